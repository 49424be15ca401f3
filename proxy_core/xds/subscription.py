"""A subscription to a file: read at the start and each time it changes, decoded, handed over, counted.

    the file changed -> update_attempt -> can't be read or decoded   update_failure   the old resources stay
                                       -> the receiver refuses       update_rejected  what it took is in force
                                       -> all is well                update_success   version, update_time

Envoy reads again when a file is moved over the old one. Here writing in place counts as well; touching a
file, or writing the same bytes again, does not. Mirrors `FilesystemSubscriptionImpl`.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Callable, Generic, List, Optional, Protocol, Sequence, Tuple, TypeVar

from ..config.json_text import MAX_BYTES
from ..config.model.config_source import ConfigSource
from ..errors import ConfigError, Problem
from ..event.background import Background, Task
from ..event.file_watch import FileWatch, FileWatcher
from ..event.reactor import Reactor
from ..hashing import xxhash64
from ..observe.log import component_logger
from ..observe.stats import Scope
from .response import Rejected

_log = component_logger("config")

LARGE = 64 * 1024  # bytes; decoding as much keeps the loop from its connections for several milliseconds


class Decoded(Protocol):
    """What a response must say of itself: `response.Response` does."""

    @property
    def version_info(self) -> str:
        """As given by whoever wrote the file."""

    @property
    def warnings(self) -> Sequence[Problem]:
        """What was ignored in it."""


R = TypeVar("R", bound=Decoded)

Identity = Tuple[int, int, bytes]  # inode, device, digest of the content


class SubscriptionStats:
    """`<prefix>.` of one kind of resource, such as `listener_manager.lds.`; Envoy's names."""

    __slots__ = (
        "update_attempt", "update_success", "update_failure", "update_rejected", "update_time", "version",
        "version_text", "_error",
    )

    def __init__(self, scope: Scope) -> None:
        self.update_attempt = scope.counter("update_attempt")
        self.update_success = scope.counter("update_success")
        self.update_failure = scope.counter("update_failure")
        self.update_rejected = scope.counter("update_rejected")
        self.update_time = scope.gauge("update_time")
        self.version = scope.gauge("version")
        self.version_text = scope.text("version_text")
        self._error = scope.elsewhere("proxy_core").text("config_update_error")  # beside config_reload_error; of all sources
        scope.zeros(counters=("init_fetch_timeout",), histograms=("update_duration",))

    def note_error(self, file: str, why: str) -> None:
        """What was wrong with the last update that was not taken whole: for /why."""
        self._error.set(f"{file}: {why}")

    def forget_error(self, file: str) -> None:
        """All is well with this file again."""
        if self._error.value.startswith(f"{file}: "):
            self._error.set("")


def source_problems(source: ConfigSource, path: str) -> List[Problem]:
    """What of a file source is not there. path: where the source stands in the configuration."""
    problems = []
    if not os.path.exists(source.file):
        text = f"paths must refer to an existing path in the system: '{source.file}' does not exist"
        where = f"{path}.path_config_source.path" if source.path is None else f"{path}.path"
        problems.append(Problem(where, text))
    if source.directory and not os.path.isdir(source.directory):
        where = f"{path}.path_config_source.watched_directory.path"
        problems.append(Problem(where, f"unable to watch '{source.directory}': there is no such directory"))
    return problems


class FileSubscription(Generic[R]):
    """Reads one file for whoever takes its resources.

    decode: (bytes, path) -> response; raises ConfigError or Rejected. on_update: takes a response; raises
    Rejected when it can't use all of it. wall_clock: seconds since the epoch. background: decodes what is
    large, once the loop runs; `decode` is never called twice at once.
    """

    def __init__(
        self,
        source: ConfigSource,
        reactor: Reactor,
        watcher: FileWatcher,
        wall_clock: Callable[[], float],
        stats: SubscriptionStats,
        decode: Callable[[bytes, str], R],
        on_update: Callable[[R], None],
        background: Optional[Background] = None,
    ) -> None:
        self._source = source
        self._reactor = reactor
        self._watcher = watcher
        self._wall_clock = wall_clock
        self._stats = stats
        self._decode = decode
        self._on_update = on_update
        self._watches: List[FileWatch] = []
        self._last: Optional[Identity] = None
        self._is_due = False
        self._background = background
        self._task: Optional[Task] = None
        self._has_started = False
        self._changed_meanwhile = False

    def start(self) -> None:
        """Read now, and again at each change."""
        self._watches.append(self._watcher.watch(self._source.file, self._on_file))
        if self._source.directory:
            self._watches.append(self._watcher.watch(self._source.directory, self._on_directory))
        self._read()
        self._has_started = True

    def check(self, judge: Callable[[R], List[Problem]]) -> List[Problem]:
        """What is wrong with the file as it is now, for `validate`; nothing is handed over or counted.

        judge: finds what is wrong with the resources.
        """
        path = self._source.file
        try:
            response = self._decode(_contents(path)[0], path)
            found = [*response.warnings, *judge(response)]
        except ConfigError as error:
            found = list(error.problems)
        except (OSError, ValueError, Rejected) as error:
            found = [Problem("", str(error))]
        return [Problem(f"{path}: {one.path}" if one.path else path, one.message, one.hint) for one in found]

    def close(self) -> None:
        """Read no more."""
        for watch in self._watches:
            watch.cancel()
        self._watches.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _on_file(self) -> None:
        """The file may be the same with another date. When its directory changed too, it is read once."""
        if not self._is_due:
            self._is_due = True
            self._reactor.defer(self._read)

    def _on_directory(self) -> None:
        """Something in it changed: as for Envoy, that is reason enough to read again."""
        self._last = None
        self._on_file()

    def _read(self) -> None:
        self._is_due = False
        if self._task is not None:
            self._changed_meanwhile = True
            return
        path = self._source.file
        try:
            data, identity = _contents(path)
        except (OSError, ValueError) as error:
            self._stats.update_attempt.inc()
            self._fail(f"unable to read file: {path} ({getattr(error, 'strerror', None) or error})")
            return
        if identity == self._last:
            return
        self._last = identity
        self._stats.update_attempt.inc()
        if self._background is None or not self._has_started or len(data) < LARGE:
            self._take(lambda: self._decode(data, path), path)
        else:
            self._task = self._background.run(lambda: self._decode(data, path), self._decoded)

    def _decoded(self, response: Any, error: Optional[Exception]) -> None:
        """The background is done with what was large."""
        self._task = None

        def result() -> R:
            if error is not None:
                raise error
            decoded: R = response
            return decoded
        self._take(result, self._source.file)
        if self._changed_meanwhile:
            self._changed_meanwhile = False
            self._read()

    def _take(self, decoded: Callable[[], R], path: str) -> None:
        try:
            response = decoded()
            for warning in response.warnings:
                _log.warning("%s: %s", path, warning)
            self._on_update(response)
        except ConfigError as error:
            self._fail("; ".join(str(problem) for problem in error.problems))
        except Rejected as rejected:
            self._stats.update_rejected.inc()
            self._stats.note_error(path, str(rejected))
            _log.warning("Filesystem config update rejected: %s", rejected)
        else:
            stats = self._stats
            stats.update_success.inc()
            stats.forget_error(path)
            stats.update_time.set(int(self._wall_clock() * 1000))
            stats.version.set(xxhash64(response.version_info.encode("utf-8", "surrogatepass")))
            stats.version_text.set(response.version_info)

    def _fail(self, why: str) -> None:
        self._stats.update_failure.inc()
        self._stats.note_error(self._source.file, why)
        _log.warning("Filesystem config update failure: in %s, %s", self._source.file, why)


def _contents(path: str) -> Tuple[bytes, Identity]:
    """The bytes of a file, one more than allowed if it is too large, and which content of which file they
    are."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        data = file.read(MAX_BYTES + 1)
    return data, (status.st_ino, status.st_dev, hashlib.sha256(data).digest())
