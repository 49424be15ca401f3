"""Files that may change while the proxy runs: a configuration, a certificate. Looked at, not listened to.

The standard library has no inotify, so each file is asked for its status a few times a second, all files with
one timer, which is armed only while something is watched. Status is taken through symbolic links, so the
usual ways to replace a file are seen: writing it again, moving a new one over it, and moving a link to
another directory (Kubernetes' `..data`).

Envoy notices only files that are moved into place, since one that is being written may be read half. Here a
file is read once it has rested: one that was written to in the last moment is looked at again at the next
poll. That also finds the second of two writes that fall into one tick of the file system's clock.

What has changed is known by the time, the size and the identity of the file, not by its bytes: whoever
watches reads it anyway, and can tell best whether the new content matters. Mirrors `Filesystem::Watcher`.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Dict, Final, List, Optional, Tuple

from .reactor import Reactor
from .timers import Timer

POLL_INTERVAL: Final = 0.25  # seconds
# File systems stamp with the kernel's tick, at most 10 ms; whoever writes in place pauses for little more.
REST: Final = 0.05

Status = Optional[Tuple[int, int, int, int]]  # None: there is no such file


class FileWatch:
    """One watched path; made by `FileWatcher.watch`."""

    __slots__ = ("path", "on_change", "_seen", "_watcher")

    def __init__(self, watcher: FileWatcher, path: str, on_change: Callable[[], None]) -> None:
        self.path = path
        self.on_change = on_change
        self._watcher = watcher
        self._seen = watcher.status(path)

    def cancel(self) -> None:
        """Never call `on_change` again. Harmless the second time."""
        self._watcher.forget(self)

    def has_changed(self, status: Status) -> bool:
        """Whether `status` is news, and note it. A file that went away is none: the last content stays in
        force."""
        if status == self._seen:
            return False
        self._seen = status
        return status is not None


class FileWatcher:
    """All watched files of one reactor.

    interval: seconds between two looks. wall_clock: seconds since the epoch, as files are stamped.
    """

    def __init__(
        self, reactor: Reactor, interval: float = POLL_INTERVAL, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._reactor = reactor
        self._interval = interval
        self._wall_clock = wall_clock
        self._watches: Dict[FileWatch, None] = {}  # in the order of `watch`
        self._timer: Optional[Timer] = None

    def watch(self, path: str, on_change: Callable[[], None]) -> FileWatch:
        """Call `on_change` each time the file (or directory) at `path` has changed or appeared.

        The path need not exist yet. Watch first and read afterwards: then no change falls between the two. An
        exception of `on_change` is reported by the reactor; the file stays watched.
        """
        watch = FileWatch(self, path, on_change)
        self._watches[watch] = None
        if self._timer is None:
            self._timer = self._reactor.after(self._interval, self._poll)
        return watch

    def forget(self, watch: FileWatch) -> None:
        """What `FileWatch.cancel` does."""
        self._watches.pop(watch, None)
        if not self._watches:
            self.close()

    def close(self) -> None:
        """Watch nothing any more."""
        self._watches.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def status(self, path: str) -> Status:
        """When changed (ns), how long (bytes) and which (inode, device) the file behind `path` is."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # not there, not reachable, or no possible name
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev

    def _poll(self) -> None:
        self._timer = self._reactor.after(self._interval, self._poll)
        restless_since = self._wall_clock() - REST
        statuses: Dict[str, Status] = {}
        changed: List[FileWatch] = []
        for watch in self._watches:
            if watch.path not in statuses:
                statuses[watch.path] = self.status(watch.path)
            status = statuses[watch.path]
            if status is not None and restless_since < status[0] / 1e9 <= restless_since + REST:
                continue
            if watch.has_changed(status):
                changed.append(watch)
        for watch in changed:
            if watch not in self._watches:  # one of the others cancelled it
                continue
            try:
                watch.on_change()
            except Exception as error:
                self._reactor.contain(error, None)
