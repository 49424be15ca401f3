"""Subscriptions to files under simulated time: when they read, what they count, and what they leave alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.config_source import ConfigSource, PathConfigSource, WatchedDirectory
from proxy_core.config.model.listener import Listener
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError, Problem
from proxy_core.xds.response import Rejected, Response, decode_response
from proxy_core.xds.subscription import source_problems
from tests.support.watched_file import WatchedFile, move_in

COUNTERS = ("update_attempt", "update_success", "update_failure", "update_rejected")


class Subscribed(WatchedFile):
    """A subscription whose receiver rejects versions that begin with "bad"."""

    def __init__(self, directory: Path, watched: str = "") -> None:
        super().__init__(directory / "lds.json")
        self.received: List[str] = []
        source = self.source
        if watched:
            source = ConfigSource(path_config_source=PathConfigSource(str(self.path), WatchedDirectory(watched)))
        self.subscription = self.files.subscribe(
            source, self.store.scope("x.lds"),
            lambda data, path: decode_response(data, path, Listener, self.files.types), self._take,
        )

    def _take(self, response: Response[Listener]) -> None:
        self.received.append(response.version_info)
        if response.version_info.startswith("bad"):
            raise Rejected("of the test")

    def put(self, content: Any, name: str = "lds.json") -> None:
        """Replace a file, and date the directory: it has the date of the real clock, the simulated one is another."""
        then = self.clock.now - 9
        data = content if isinstance(content, str) else json.dumps(content)
        move_in(self.path.with_name(name), data.encode(), then)
        os.utime(self.path.parent, (then, then))

    @property
    def counts(self) -> List[int]:
        return self.counters("x.lds", COUNTERS)

    def value(self, name: str) -> Any:
        stat: Any = self.store.find(f"x.lds.{name}")
        return stat.value


@pytest.fixture()
def made(tmp_path: Path) -> Iterator[List[Subscribed]]:
    kept: List[Subscribed] = []
    yield kept
    for one in kept:
        one.subscription.close()
        assert len(one.reactor.timers) == 0
        assert one.errors == []
        one.reactor.close()


@pytest.fixture()
def subscribed(tmp_path: Path, made: List[Subscribed]) -> Subscribed:
    made.append(Subscribed(tmp_path))
    return made[-1]


def test_the_file_is_read_at_the_start_and_at_each_change(subscribed: Subscribed) -> None:
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    assert (subscribed.received, subscribed.counts) == (["1"], [1, 1, 0, 0])
    assert subscribed.value("version_text") == "1"
    assert subscribed.value("version") == 13237225503670494420
    assert subscribed.value("update_time") == 1_000_000
    subscribed.poll(3)
    assert subscribed.counts == [1, 1, 0, 0]
    subscribed.put({"version_info": "2"})
    subscribed.poll(3)
    assert (subscribed.received, subscribed.counts) == (["1", "2"], [2, 2, 0, 0])


def test_fields_that_nobody_understands_are_counted_at_each_update(subscribed: Subscribed) -> None:
    one = {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "a", "nosuch": 1}
    subscribed.put({"version_info": "1", "resources": [one]})
    subscribed.subscription.start()
    subscribed.put({"version_info": "bad 2", "resources": [one, {**one, "name": "b"}]})
    subscribed.poll(2)
    assert subscribed.received == ["1", "bad 2"] and subscribed.unknown.value == 3


def test_the_same_content_in_a_new_file_is_an_update_and_a_touched_file_is_none(subscribed: Subscribed) -> None:
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    subscribed.put({"version_info": "1"})
    subscribed.poll(2)
    assert subscribed.counts == [2, 2, 0, 0]
    os.utime(subscribed.path, (1.0, 1.0))
    subscribed.poll(2)
    assert subscribed.counts == [2, 2, 0, 0]


def test_a_file_that_can_not_be_read_or_decoded_is_a_failure_and_the_version_stays(subscribed: Subscribed) -> None:
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    for number, broken in enumerate(('{"version_info": "2", ', "", "[]", '{"resources": 1}'), 1):
        subscribed.put(broken)
        subscribed.poll(2)
        assert subscribed.counts == [1 + number, 1, number, 0]
    assert (subscribed.received, subscribed.value("version_text")) == (["1"], "1")
    subscribed.put({"version_info": "3"})
    subscribed.poll()
    assert subscribed.value("version_text") == "3"


def test_what_the_receiver_refuses_is_a_rejection_and_the_version_stays(subscribed: Subscribed) -> None:
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    subscribed.put({"version_info": "bad 2"})
    subscribed.poll()
    assert (subscribed.counts, subscribed.value("version_text")) == ([2, 1, 0, 1], "1")


def test_what_was_wrong_last_is_kept_until_the_file_is_good(subscribed: Subscribed) -> None:
    error = subscribed.store.texts["proxy_core.config_update_error"]
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    assert error.value == ""
    for broken, why in (("[]", "expected"), ({"version_info": "bad 2"}, "")):
        subscribed.put(broken)
        subscribed.poll()
        assert error.value.startswith(f"{subscribed.path}: ") and why in error.value
    subscribed.put({"version_info": "3"})
    subscribed.poll()
    assert error.value == ""


def test_a_file_that_is_gone_is_left_alone_and_one_that_is_missing_at_the_start_is_a_failure(
    subscribed: Subscribed
) -> None:
    subscribed.subscription.start()
    assert subscribed.counts == [1, 0, 1, 0]
    subscribed.put({"version_info": "1"})
    subscribed.poll()
    assert subscribed.received == ["1"]
    (subscribed.path).unlink()
    subscribed.poll(3)
    assert subscribed.counts == [2, 1, 1, 0]


def test_a_change_in_the_watched_directory_is_a_reason_to_read_again_once(tmp_path: Path, made: List[Subscribed]) -> None:
    one = Subscribed(tmp_path, watched=str(tmp_path))
    made.append(one)
    one.put({"version_info": "1"})
    one.subscription.start()
    one.put("x", name="other")
    os.utime(tmp_path, (one.clock.now - 5, one.clock.now - 5))
    one.poll(3)
    assert one.counts == [2, 2, 0, 0]
    one.put({"version_info": "2"})
    os.utime(tmp_path, (one.clock.now - 4, one.clock.now - 4))
    one.poll(3)
    assert (one.counts, one.received) == ([3, 3, 0, 0], ["1", "1", "2"])


def test_after_close_nothing_is_read(subscribed: Subscribed) -> None:
    subscribed.put({"version_info": "1"})
    subscribed.subscription.start()
    subscribed.subscription.close()
    subscribed.put({"version_info": "2"})
    subscribed.poll(3)
    assert subscribed.received == ["1"]


def test_a_source_whose_file_or_directory_is_not_there_is_a_problem_with_envoys_sentence(tmp_path: Path) -> None:
    folder = WatchedDirectory(str(tmp_path / "no"))
    source = ConfigSource(path_config_source=PathConfigSource(str(tmp_path / "lds.json"), folder))
    found = source_problems(source, "dynamic_resources.lds_config")
    assert [problem.path.rpartition("lds_config.")[2] for problem in found] == [
        "path_config_source.path", "path_config_source.watched_directory.path",
    ]
    assert "paths must refer to an existing path in the system: '" in found[0].message
    assert source_problems(ConfigSource(path=str(tmp_path / "x")), "p")[0].path == "p.path"
    (tmp_path / "lds.json").touch()
    (tmp_path / "no").mkdir()
    assert source_problems(source, "p") == []


def test_a_source_is_a_file_in_one_of_two_spellings_and_of_version_3() -> None:
    def source(**fields: Any) -> ConfigSource:
        return decode(ConfigSource, fields, TypeRegistry())
    assert source(path="/a").file == source(path_config_source={"path": "/a"}).file == "/a"
    assert source(path="/a").directory == source(path_config_source={"path": "/a"}).directory == ""
    watched = source(path_config_source={"path": "/a/b", "watched_directory": {"path": "/a"}}, resource_api_version="V3")
    assert (watched.file, watched.directory) == ("/a/b", "/a")
    for wrong in ({}, {"path": ""}, {"path": "/a", "resource_api_version": "V2"}, {"ads": {"x": 1}}):
        with pytest.raises(ConfigError):
            source(**wrong)


def test_a_check_names_the_file_and_changes_and_counts_nothing(subscribed: Subscribed) -> None:
    def judge(response: Response[Listener]) -> List[Problem]:
        return [Problem("resources[0].name", "of the test")] if response.version_info == "1" else []
    path = str(subscribed.path)
    found = subscribed.subscription.check(judge)
    assert len(found) == 1 and found[0].path == path
    for content, where in (
        ({"version_info": "1"}, f"{path}: resources[0].name"), ({"version_info": 1}, f"{path}: version_info"),
        ({"nosuch": 1}, f"{path}: nosuch"), ({"resources": [{"@type": "t/other"}]}, path), ("{", path),
    ):
        subscribed.put(content)
        assert [problem.path for problem in subscribed.subscription.check(judge)] == [where]
    subscribed.put({"version_info": "2"})
    assert subscribed.subscription.check(judge) == []
    assert (subscribed.received, subscribed.counts) == ([], [0, 0, 0, 0])
