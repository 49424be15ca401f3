"""The stream of pictures: when they are sent, what is in them, and that nothing runs without a viewer."""

from __future__ import annotations

import json
import socket
from typing import Any, Dict, List

import pytest

from proxy_core.admin.ui import live, picture
from proxy_core.admin.ui.live import BEAT, LONGEST_BEAT, STEP
from proxy_core.network.address import Address
from tests.support.peers import Peer
from tests.unit.admin.admin_kit import AdminRig, bootstrap, cluster, listener, member

GET = b"GET /ui/events%b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def watch(rig: AdminRig, query: bytes = b"") -> Peer:
    viewer = rig.client()
    viewer.send(GET % query)
    rig.turn()
    return viewer


def pictures(viewer: Peer) -> List[Dict[str, Any]]:
    """All that came so far. Chunk sizes stand on lines of their own."""
    lines = bytes(viewer.got).split(b"\n")
    return [json.loads(line[len(b"data: "):]) for line in lines if line.startswith(b"data: ")]


def client(rig: AdminRig, number: int = 0) -> Peer:
    """A client of one of the listeners."""
    near, far = socket.socketpair()
    near.setblocking(False)
    one = rig.server.listeners.listeners[number]
    one.on_accepted(near, Address.from_ip("127.0.0.1", 40000), Address.from_ip("127.0.0.1", 7001))
    peer = Peer(far)
    rig._clients.append(peer)
    rig.turn()
    return peer


def test_the_first_picture_comes_at_once_and_then_one_a_beat(rig: AdminRig) -> None:
    viewer = watch(rig)
    assert b"\r\ncontent-type: text/event-stream\r\n" in viewer.got and b"retry: 2000\n\n" in viewer.got
    assert len(pictures(viewer)) == 1
    rig.advance(BEAT / 2)
    assert len(pictures(viewer)) == 1
    for count in (2, 3, 4):
        rig.advance(BEAT)
        assert len(pictures(viewer)) == count
    assert bytes(viewer.got).count(b"event: picture\ndata: {") == 4


def test_a_picture_has_the_listeners_clusters_and_hosts_that_there_are_and_the_pairs_with_their_rates(rig: AdminRig) -> None:
    talker = client(rig)
    viewer = watch(rig)
    talker.send(b"x" * 50)
    rig.turn()
    rig.advance(BEAT)
    seen = pictures(viewer)[-1]
    assert [one["name"] for one in seen["listeners"]] == ["in", "out"]
    assert seen["listeners"][0]["connections"] == 1 and seen["listeners"][0]["accepted"] == 1
    assert [one["name"] for one in seen["clusters"]] == ["api", "web"]
    assert [one["healthy"] for one in seen["clusters"][0]["hosts"]] == [False] and seen["clusters"][0]["unhealthy"] == 1
    assert seen["total"] == {"connections": 1, "states": {"moving": 1}, "in_rate": 100, "out_rate": 100}
    chains = [(one["listener"], one["filters"], one["connections"], one["in_rate"]) for one in seen["chains"]]
    assert chains == [("in", ["envoy.filters.network.echo"], 1, 100), ("out", ["echo"], 0, 0)]
    row, = seen["connections"]
    assert (row["listener"], row["state"], row["in_rate"], row["far"], row["streams"]) == ("in", "moving", 100, None, [])
    assert row["near"]["read"] == [0, 1 << 20] and row["near"]["write"] == [0, 1 << 20, False]
    assert seen["matched"] == 1 and seen["server"] == "LIVE" and not seen["ended"]


def test_the_admins_own_connections_are_not_in_it_and_those_that_ended_are(rig: AdminRig) -> None:
    viewer = watch(rig)
    assert pictures(viewer)[0]["total"]["connections"] == 0
    one = client(rig)
    one.finish()
    rig.turn()
    rig.advance(BEAT)
    seen = pictures(viewer)[-1]
    assert seen["connections"] == [] and len(seen["ended"]) == 1 and "FIN" in seen["ended"][0]["reason"]


def test_nothing_runs_once_the_viewer_has_left(rig: AdminRig) -> None:
    reactor = rig.server.reactor
    before = len(reactor.timers)
    viewer = watch(rig)
    assert len(reactor.timers) == before + 2  # its beat, and the idle time of its connection
    viewer.finish()
    rig.turn()
    assert len(reactor.timers) == before and not rig.connections


def test_a_viewer_that_does_not_read_gets_no_more_pictures_until_it_does(
    rig: AdminRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "picture", lambda host, survey, seconds: {"much": "x" * 300_000})
    viewer = watch(rig)
    viewer.reading = False
    for _ in range(60):
        rig.advance(BEAT)
    connection = rig.connections[0]
    assert 0 < connection.write_buffer.size < 400_000  # what is left of one
    viewer.reading = True
    for _ in range(40):
        rig.turn()
    received = len(pictures(viewer))
    rig.advance(BEAT)
    rig.turn(20)
    assert len(pictures(viewer)) == received + 1


@pytest.mark.parametrize(("cost", "beat"), [(0.001, BEAT), (0.02, 2.0), (0.5, LONGEST_BEAT)])
def test_the_more_a_walk_costs_the_longer_it_waits_for_the_next(
    rig: AdminRig, monkeypatch: pytest.MonkeyPatch, cost: float, beat: float
) -> None:
    def costly(*_: Any) -> Dict[str, Any]:
        rig.clock.advance(cost)
        return {}
    monkeypatch.setattr(live, "picture", costly)
    viewer = watch(rig)
    rig.advance(beat - cost - 0.01)
    assert len(pictures(viewer)) == 1
    rig.advance(0.02)
    assert len(pictures(viewer)) == 2


def test_a_walk_over_many_connections_is_cut_into_steps_with_turns_between_them(rig: AdminRig) -> None:
    clients = [client(rig) for _ in range(STEP + 5)]
    viewer = rig.client()
    viewer.send(GET % b"")
    rig.turn()
    assert pictures(viewer) == []
    rig.advance(live.PAUSE)
    seen = pictures(viewer)[0]
    assert seen["total"]["connections"] == len(clients) and len(seen["connections"]) == 40


def test_the_query_selects(rig: AdminRig) -> None:
    client(rig, 0)
    client(rig, 1)
    seen = pictures(watch(rig, b"?listener=out&rows=5"))[0]
    assert [row["listener"] for row in seen["connections"]] == ["out"]
    assert seen["matched"] == 1 and seen["total"]["connections"] == 2


def test_what_is_left_out_of_a_large_configuration_is_counted() -> None:
    listeners = [listener(f"l{number:02}", 7100 + number) for number in range(picture.MOST_LISTENERS + 3)]
    members = [member(8000 + number) for number in range(picture.MOST_HOSTS + 4)]
    clusters = [cluster(f"c{number:02}", members) for number in range(picture.MOST_CLUSTERS + 2)]
    rig = AdminRig(bootstrap(static_resources={"listeners": listeners, "clusters": clusters}))
    try:
        for _ in range(2):
            client(rig, picture.MOST_LISTENERS + 2)
        seen = pictures(watch(rig))[0]
        assert len(seen["listeners"]) == picture.MOST_LISTENERS and seen["more_listeners"] == 3
        assert seen["listeners"][-1]["name"] == "l14" and seen["listeners"][-1]["connections"] == 2  # the busiest stays
        assert len(seen["clusters"]) == picture.MOST_CLUSTERS and seen["more_clusters"] == 2
        assert {len(one["hosts"]) for one in seen["clusters"]} == {picture.MOST_HOSTS}
        assert {one["more_hosts"] for one in seen["clusters"]} == {4}
    finally:
        rig.close()
