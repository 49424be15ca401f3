"""`FileWatcher` on real files under simulated time: every way to replace a file is seen once, nothing else
is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from proxy_core.event.file_watch import POLL_INTERVAL, REST, FileWatcher
from proxy_core.event.reactor import Reactor
from proxy_core.testing.clock import SimulatedClock

WRITTEN_AT = 500.0  # long before the clock's start, 1000


class Watched:
    """A watcher and what it reported."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.watcher = FileWatcher(self.reactor, wall_clock=self.clock)
        self.reports: List[str] = []

    def write(self, name: str, content: str, at: float = WRITTEN_AT) -> Path:
        path = self.directory / name
        path.write_text(content, encoding="ascii")
        os.utime(path, (at, at))
        return path

    def watch(self, name: str) -> Any:
        return self.watcher.watch(str(self.directory / name), lambda: self.reports.append(name))

    def poll(self, times: int = 1) -> List[str]:
        """Let the watcher look; what it reported since the last time."""
        for _ in range(times):
            self.clock.advance(POLL_INTERVAL)
            self.reactor.turn(0)
        reports, self.reports = self.reports, []
        return reports


@pytest.fixture()
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(tmp_path)
    yield one
    one.watcher.close()
    one.reactor.close()


def test_a_file_that_does_not_change_is_not_reported(watched: Watched) -> None:
    watched.write("a", "one")
    watched.watch("a")
    assert watched.poll(10) == []


def test_a_file_written_in_place_is_reported_once(watched: Watched) -> None:
    watched.write("a", "one")
    watched.watch("a")
    watched.write("a", "two", at=WRITTEN_AT + 1)
    assert watched.poll(5) == ["a"]


def test_a_file_moved_over_another_is_reported_though_time_and_size_are_the_same(watched: Watched) -> None:
    path = watched.write("a", "one")
    watched.watch("a")
    watched.write("b", "two").rename(path)
    assert watched.poll(5) == ["a"]


def test_a_file_that_appears_is_reported_and_one_that_goes_is_not(watched: Watched) -> None:
    watched.watch("a")
    assert watched.poll(2) == []
    path = watched.write("a", "one")
    assert watched.poll(3) == ["a"]
    path.unlink()
    assert watched.poll(3) == []
    watched.write("a", "one")
    assert watched.poll(3) == ["a"]


def test_a_link_that_is_moved_to_another_directory_is_a_change_of_the_files_behind_it(watched: Watched) -> None:
    for version in ("1", "2"):
        (watched.directory / version).mkdir()
        watched.write(f"{version}/a", "same size")
    (watched.directory / "data").symlink_to("1")
    watched.watch("data/a")
    (watched.directory / "new").symlink_to("2")
    (watched.directory / "new").rename(watched.directory / "data")
    assert watched.poll(5) == ["data/a"]


def test_a_file_that_is_still_being_written_waits_until_it_has_rested(watched: Watched) -> None:
    watched.write("a", "one")
    watched.watch("a")
    watched.write("a", "half", at=watched.clock() + POLL_INTERVAL - REST / 2)
    assert watched.poll() == []
    watched.write("a", "whole", at=watched.clock() + REST / 2)
    assert watched.poll() == ["a"]
    assert watched.poll(5) == []


def test_a_time_in_the_future_does_not_keep_a_change_from_being_seen(watched: Watched) -> None:
    watched.write("a", "one")
    watched.watch("a")
    watched.write("a", "two", at=watched.clock() + 1e6)
    assert watched.poll(3) == ["a"]


def test_the_timer_is_armed_only_while_something_is_watched(watched: Watched) -> None:
    assert watched.reactor.timers.next_due() is None
    first, second = watched.watch("a"), watched.watch("a")
    assert len(watched.reactor.timers) == 1
    first.cancel()
    first.cancel()
    assert len(watched.reactor.timers) == 1
    second.cancel()
    assert len(watched.reactor.timers) == 0
    third = watched.watch("a")
    watched.write("a", "one")
    assert watched.poll() == ["a"]
    third.cancel()
    assert len(watched.reactor.timers) == 0


def test_two_watches_of_one_path_are_both_told_and_one_may_cancel_the_other(watched: Watched) -> None:
    path = str(watched.write("a", "one"))
    watches: List[Any] = []

    def report() -> None:
        watched.reports.append("told")
        if len(watches) == 3:
            watches.pop().cancel()
    watches += [watched.watcher.watch(path, report) for _ in range(2)]
    watched.write("a", "two", at=WRITTEN_AT + 1)
    assert watched.poll() == ["told", "told"]
    watches.append(watched.watcher.watch(path, report))
    watched.write("a", "six", at=WRITTEN_AT + 2)
    assert watched.poll(3) == ["told", "told"]


def test_an_exception_of_one_subscriber_is_reported_and_harms_no_other(watched: Watched) -> None:
    path = str(watched.write("a", "one"))

    def fail() -> None:
        raise RuntimeError("of the test")
    watched.watcher.watch(path, fail)
    watched.watch("a")
    for number in (1, 2):
        watched.write("a", "two", at=WRITTEN_AT + number)
        assert watched.poll() == ["a"]
        assert len(watched.errors) == number


def test_paths_that_can_not_exist_are_just_not_there(watched: Watched) -> None:
    watched.watch("a\0b")
    watched.watch("x" * 5000)
    assert watched.poll(3) == []
    assert watched.errors == []
