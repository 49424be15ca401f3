"""A file with resources that is watched under simulated time, and what subscriptions to it need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Sequence

from proxy_core.config.model.config_source import ConfigSource, PathConfigSource
from proxy_core.config.registry import TypeRegistry
from proxy_core.event.file_watch import POLL_INTERVAL, FileWatcher
from proxy_core.event.reactor import Reactor
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.xds.files import ResourceFiles
from tests.support.discovered import Held


class WatchedFile:
    """One file that may not be there yet. files: for those who subscribe; unknown: the counter of what was ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.store = StatsStore(self.clock)
        self.watcher = FileWatcher(self.reactor, wall_clock=self.clock)
        self.background = Held()
        self.unknown = self.store.scope("server").counter("dynamic_unknown_fields")
        self.files = ResourceFiles(TypeRegistry(), self.reactor, self.watcher, self.clock, self.background, self.unknown)

    @property
    def source(self) -> ConfigSource:
        """It, as a configuration names it."""
        return ConfigSource(path_config_source=PathConfigSource(str(self.path)))

    def move_in(self, data: bytes) -> None:
        """Replace it as one should: each time another inode."""
        move_in(self.path, data, self.clock.now - 9)

    def poll(self, times: int = 1) -> None:
        """Let the watcher look."""
        for _ in range(times):
            self.clock.advance(POLL_INTERVAL)
            self.reactor.turn(0)

    def counters(self, prefix: str, names: Sequence[str]) -> List[int]:
        """Some of the counters below `prefix`."""
        return [self.store.counters[f"{prefix}.{name}"].value for name in names]


def move_in(path: Path, data: bytes, written_at: float) -> None:
    """Replace a file by another one. written_at: the time it bears."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(data)
    os.utime(fresh, (written_at, written_at))
    fresh.rename(path)
