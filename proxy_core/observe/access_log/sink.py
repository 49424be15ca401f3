"""Where access-log lines wait and how they reach their file. Mirrors `AccessLogFileImpl`.

Lines are collected and written at 64 KiB, or by a timer that runs only while lines wait, so an idle proxy
stays asleep. A file that can't be written is an outage of the log and of nothing else: lines are kept up to 1
MiB, writing is tried again at growing intervals, and the process log says it once at the start and once at
the end.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Protocol, Union

from ..log import component_logger
from ..stat_names import FilesystemStats
from .target import DescriptorTarget, FileTarget

ArmTimer = Callable[[float, Callable[[], None]], object]

FLUSH_SIZE = 64 * 1024  # --file-flush-min-size-kb
FLUSH_DELAY_S = 1.0  # --file-flush-interval-msec
_KEEP_AT_MOST = 1024 * 1024
_LONGEST_RETRY_S = 60.0

_log = component_logger("file")


class Sink(Protocol):
    """What an access log needs of its destination."""

    def write(self, line: str) -> None: ...


class BufferedSink:
    """Lines of one destination, buffered. Never raises into its caller.

    arm_timer(delay_s, callback): a one-shot timer of the reactor. flush_delay_s, flush_size: when to write.
    """

    __slots__ = (
        "_target", "_arm_timer", "_stats", "_flush_delay_s", "_flush_size", "_waiting", "_size", "_armed",
        "_retry_s", "_dropped", "_reported",
    )

    def __init__(
        self, target: Union[FileTarget, DescriptorTarget], arm_timer: ArmTimer, stats: FilesystemStats,
        flush_delay_s: float = FLUSH_DELAY_S, flush_size: int = FLUSH_SIZE,
    ) -> None:
        self._target = target
        self._arm_timer = arm_timer
        self._stats = stats
        self._flush_delay_s = flush_delay_s
        self._flush_size = flush_size
        self._waiting: List[bytes] = []
        self._size = 0
        self._armed = False
        self._retry_s = 0.0  # above 0: the next try is the timer's, not the next line's
        self._dropped = 0
        self._reported = False

    def write(self, line: str) -> None:
        """Take one line with its line end. It is written soon, or dropped and counted in an outage."""
        data = line.encode("utf-8", "backslashreplace")
        if self._size + len(data) > _KEEP_AT_MOST and self._size:
            self._drop()
            return
        self._waiting.append(data)
        self._size += len(data)
        self._stats.write_buffered.value += 1
        self._stats.write_total_buffered.inc(len(data))
        if self._size >= self._flush_size and not self._retry_s:
            self.flush()
        self._arm()

    def flush(self) -> None:
        """Write what waits now, as far as the destination takes it."""
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        try:
            taken = self._target.write(data)
        except OSError as error:
            self._failed(error)
            return
        if taken:
            self._stats.write_completed.value += 1
            self._stats.write_total_buffered.dec(taken)
            self._size -= taken
            self._waiting = [data[taken:]] if self._size else []
        if self._size:  # a slow reader: no outage yet, but no use in trying again for every line
            self._retry_s = self._flush_delay_s
            return
        self._retry_s = 0.0
        if self._reported:
            self._recovered()

    def reopen(self) -> None:
        """Write what waits to the old file, then open the path again. Keeps the old file when that fails."""
        self.flush()
        try:
            self._target.reopen()
        except OSError as error:
            self._stats.reopen_failed.value += 1
            _log.error(
                "access log %s: can't reopen, the old file stays in use: %s", self._target.name,
                error.strerror,
            )

    def close(self) -> None:
        """Write what waits and close. What the destination does not take now is lost and said so."""
        self.flush()
        if self._size:
            _log.error("access log %s: %d bytes were lost at the end", self._target.name, self._size)
        self._stats.write_total_buffered.dec(self._size)
        self._waiting, self._size = [], 0
        self._target.close()

    def _arm(self) -> None:
        if self._waiting and not self._armed:
            self._armed = True
            self._arm_timer(self._retry_s or self._flush_delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._armed = False
        if self._waiting:
            self._stats.flushed_by_timer.value += 1
            self.flush()
            self._arm()

    def _failed(self, error: OSError) -> None:
        self._stats.write_failed.value += 1
        self._retry_s = min(max(self._retry_s * 2, self._flush_delay_s), _LONGEST_RETRY_S)
        self._report(error.strerror or str(error))

    def _drop(self) -> None:
        self._dropped += 1
        self._stats.write_failed.value += 1
        self._report("the reader is too slow")

    def _report(self, why: str) -> None:
        if not self._reported:
            self._reported = True
            _log.error(
                "access log %s: can't write: %s; up to %d bytes wait for better times, then lines are lost",
                self._target.name, why, _KEEP_AT_MOST,
            )

    def _recovered(self) -> None:
        _log.info("access log %s: writing again, %d lines were lost", self._target.name, self._dropped)
        self._reported = False
        self._dropped = 0


class SinkCache:
    """One sink per destination: two logs with the same path share it, so their lines do not mix."""

    def __init__(
        self, arm_timer: ArmTimer, stats: FilesystemStats, flush_delay_s: float = FLUSH_DELAY_S,
        flush_size: int = FLUSH_SIZE,
    ) -> None:
        self._arm_timer = arm_timer
        self._stats = stats
        self._flush_delay_s = flush_delay_s
        self._flush_size = flush_size
        self._sinks: Dict[str, BufferedSink] = {}

    def file(self, path: str) -> BufferedSink:
        """The sink of a file. Raises OSError when the file can't be opened.

        /dev/stdout and /dev/stderr mean the descriptors: opening them by name fails where they are sockets.
        """
        if path in ("/dev/stdout", "/dev/stderr"):
            return self.stdout() if path.endswith("out") else self.stderr()
        key = os.path.abspath(path)
        if key not in self._sinks:
            self._sinks[key] = self._make(FileTarget(path))
        return self._sinks[key]

    def stdout(self) -> BufferedSink:
        return self._descriptor(1, "stdout")

    def stderr(self) -> BufferedSink:
        return self._descriptor(2, "stderr")

    def flush(self) -> None:
        for sink in self._sinks.values():
            sink.flush()

    def reopen(self) -> None:
        """Reopen all files (SIGUSR1, POST /reopen_logs)."""
        for sink in self._sinks.values():
            sink.reopen()

    def close(self) -> None:
        """Flush and close everything; the cache is empty afterwards."""
        for sink in self._sinks.values():
            sink.close()
        self._sinks.clear()

    def _descriptor(self, fd: int, name: str) -> BufferedSink:
        if name not in self._sinks:
            self._sinks[name] = self._make(DescriptorTarget(fd, name))
        return self._sinks[name]

    def _make(self, target: Union[FileTarget, DescriptorTarget]) -> BufferedSink:
        return BufferedSink(target, self._arm_timer, self._stats, self._flush_delay_s, self._flush_size)
