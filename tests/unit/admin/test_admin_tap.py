"""/tap: what somebody who looks on gets, how much of it may wait for him, and when it ends."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.admin import tap
from proxy_core.admin.filter import IDLE_TIMEOUT
from proxy_core.observe.tap import TapHub
from tests.unit.admin.admin_kit import AdminRig
from tests.unit.admin.test_admin_faults import ECHO, FaultRig
from tests.unit.admin.test_admin_faults import listener

TAP = "type.googleapis.com/proxy_core.filters.network.tap.v1.Tap"


def tapped(name: str) -> Dict[str, Any]:
    filters = [{"name": "tap", "typed_config": {"@type": TAP, "name": name}}, {"name": "echo", "typed_config": ECHO}]
    return listener(name, {"filters": filters})


@pytest.fixture
def rig() -> Iterator[FaultRig]:
    made = FaultRig(tapped("one"), tapped("two"))
    yield made
    made.close()


def looking(rig: AdminRig, query: str = "") -> Any:
    client = rig.client()
    client.send(f"GET /tap{query} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    rig.turn()
    return client


def records(viewer: Any) -> List[Dict[str, Any]]:
    """What has come, out of its chunks."""
    body = bytes(viewer.got).partition(b"\r\n\r\n")[2]
    return [json.loads(line) for line in body.split(b"\r\n") if line.startswith(b"{")]


def hub(rig: AdminRig) -> TapHub:
    return rig.server.context.singletons.get(TapHub)


def talk(rig: FaultRig, name: str, said: bytes = b"hello") -> None:
    client = rig.connect(name)
    client.send(said)
    client.finish()
    rig.turn(6)


def test_a_viewer_gets_the_records_of_connections_that_come_while_he_looks_on(rig: FaultRig) -> None:
    talk(rig, "one", b"before")
    viewer = looking(rig)
    talk(rig, "one")
    head = bytes(viewer.got).partition(b"\r\n\r\n")[0]
    assert b"content-type: application/x-ndjson" in head
    found = records(viewer)
    assert [one["type"] for one in found] == ["open", "data", "data", "data", "data", "close"]
    assert found[0]["listener"] == "one"
    assert [(one["dir"], one["text"]) for one in found if one.get("text")] == [("in", "hello"), ("out", "hello")]


def test_a_viewer_of_one_tap_sees_no_other(rig: FaultRig) -> None:
    viewer = looking(rig, "?name=two")
    talk(rig, "one")
    talk(rig, "two")
    assert {one["tap"] for one in records(viewer)} == {"two"} and records(viewer)


def test_it_ends_after_so_many_records(rig: FaultRig) -> None:
    viewer = looking(rig, "?records=2")
    talk(rig, "one")
    assert len(records(viewer)) == 2 and bytes(viewer.got).endswith(b"0\r\n\r\n") and hub(rig).viewers == []


@pytest.mark.parametrize("number", ["0", "-1", "x", ""])
def test_a_number_of_records_that_is_none_is_a_400(rig: FaultRig, number: str) -> None:
    assert rig.ask(f"/tap?records={number}").status == 400


def test_a_viewer_who_leaves_is_forgotten_and_taps_cost_nothing_again(rig: FaultRig) -> None:
    viewer = looking(rig)
    assert len(hub(rig).viewers) == 1
    viewer.finish()
    rig.turn()
    assert hub(rig).viewers == []
    client = rig.connect("one")
    names = [slot.name for one in rig.connections for slot in one.read_chain.filters() if one.info.listener_name == "one"]
    assert names == ["envoy.filters.network.echo"] and not client.over


def test_who_reads_slowly_misses_records_and_is_told_how_many(rig: FaultRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "WAITING", 20_000)
    viewer = looking(rig)
    viewer.reading = False
    admin = next(one for one in rig.connections if one.info.listener_name == "admin")
    said = "x" * 10_000
    most = 0
    client = rig.connect("one")
    for _ in range(400):
        client.send(said.encode())
        rig.turn(1)
        most = max(most, admin.write_buffer.size)
    assert most < 20_000 + 70_000  # a record of one read more
    viewer.reading = True
    rig.turn(30)
    talk(rig, "one", b"last")
    found = records(viewer)
    lost, = [one["records"] for one in found if one["type"] == "lost"]
    assert lost > 0 and any(one.get("text") == "last" for one in found)


def test_who_missed_records_is_told_so_even_if_nothing_more_happens(rig: FaultRig, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = looking(rig)
    monkeypatch.setattr(tap, "WAITING", -1)
    talk(rig, "one")
    assert records(viewer) == []
    monkeypatch.setattr(tap, "WAITING", 20_000)
    rig.advance(tap.SAY_SOMETHING_AFTER)
    assert records(viewer) == [{"type": "lost", "records": 6}]


def test_a_silent_viewer_is_not_taken_for_an_idle_one(rig: FaultRig) -> None:
    viewer = looking(rig)
    for _ in range(10):
        rig.advance(IDLE_TIMEOUT / 4)
    assert not viewer.over and records(viewer) == []
