"""The walk over all connections: every pair counted once, in its state, and the ones to be shown chosen and in order."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.admin.connection_rows import STATES
from proxy_core.admin.ui.live import selection
from proxy_core.admin.ui.survey import MOST_ROWS, SEVERITY, Pair, Selection, Survey
from proxy_core.buffer import Buffer
from proxy_core.filters.api import STOP_ITERATION, FilterManager, FilterStatus, NetworkFilter
from tests.support.engine import Engine, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Peer, Server

MAIN, ECHO = "main", "echo"


class Parks(NetworkFilter):
    """Stops at the first byte."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return STOP_ITERATION


def park(manager: FilterManager) -> None:
    manager.add_read_filter(Parks(), "parks")


class Proxying:
    """An engine with an echo listener, and one with a tcp_proxy to a server of the test's own."""

    def __init__(self) -> None:
        self.server = Server()
        self.engine = Engine(bootstrap(
            [
                listener(network_filter("echo"), name=ECHO),
                listener(network_filter("tcp_proxy", stat_prefix="x", cluster="c"), name=MAIN),
            ],
            [cluster(address(self.server.port))],
        )).start()
        self.moved: Any = None

    def clients(self, count: int, name: str = ECHO) -> List[Peer]:
        """Connected, at both ends."""
        before = len(self.engine.live)
        found = [self.engine.client(name) for _ in range(count)]
        for _ in found if name == MAIN else ():
            self.engine.accepted(self.server)
        self.engine.until(lambda: len(self.engine.live) == before + count * (2 if name == MAIN else 1))
        self.engine.turn(3)
        return found

    def walk(self, step: int = 1000, names: Any = (MAIN, ECHO), **wanted: Any) -> Survey:
        survey = Survey(self.engine.live, names, self.moved, Selection(**wanted))
        while not survey.step(step):
            pass
        self.moved = survey.moved
        return survey

    def states(self) -> Dict[str, int]:
        return {state: tally.count for state, tally in self.walk().states.items()}


@pytest.fixture
def proxying() -> Iterator[Proxying]:
    made = Proxying()
    yield made
    made.engine.close()
    made.server.close()


def ids(survey: Survey) -> List[int]:
    return [pair.near.id for pair in survey.shown()]


@pytest.mark.parametrize("step", [1, 2, 1000])
def test_however_it_is_cut_each_pair_is_counted_once_with_its_place(proxying: Proxying, step: int) -> None:
    proxying.clients(3)
    proxying.clients(2, MAIN)
    survey = proxying.walk(step)
    assert {name: sum(tally.states.values()) for name, tally in survey.chains.items()} == {(ECHO, ""): 3, (MAIN, ""): 2}
    host = f"127.0.0.1:{proxying.server.port}"
    assert {name: tally.count for name, tally in survey.hosts.items()} == {("c", host): 2}
    assert {name: tally.count for name, tally in survey.ways.items()} == {("idle", "c"): 2}
    assert survey.matched == 5 and len(survey.shown()) == 5
    assert [pair.far is None for pair in survey.shown()] == [True] * 3 + [False] * 2
    assert survey.chains[MAIN, ""].filters == ["envoy.filters.network.tcp_proxy"]


def test_connections_of_unknown_listeners_are_the_admins_and_do_not_count(proxying: Proxying) -> None:
    proxying.clients(2)
    assert proxying.walk(names=(MAIN,)).matched == 0


def test_the_first_walk_says_idle_later_ones_what_moved_since_the_one_before(proxying: Proxying) -> None:
    client, _ = proxying.clients(2)
    client.send(b"x" * 100)
    proxying.engine.until(lambda: len(client.got) == 100)
    assert proxying.states() == {"idle": 2}
    client.send(b"y" * 10)
    proxying.engine.until(lambda: len(client.got) == 110)
    survey = proxying.walk()
    assert {state: (tally.count, tally.received, tally.sent) for state, tally in survey.states.items()} == {
        "moving": (1, 10, 10), "idle": (1, 0, 0),
    }
    assert proxying.states() == {"idle": 2}
    proxying.clients(1)[0].send(b"z")
    proxying.engine.turn(4)
    assert proxying.states()["moving"] == 1  # a new one counts from its beginning


def test_a_pair_is_in_the_more_unusual_state_of_its_two_connections(proxying: Proxying) -> None:
    proxying.clients(1, MAIN)
    near, far = proxying.engine.live
    assert proxying.states() == {"idle": 1}
    near.pause_reading("somebody")
    assert proxying.states() == {"paused": 1}
    far.above_high = True
    assert proxying.states() == {"above_high": 1}
    far.above_high = False
    near.resume_reading("somebody")
    assert proxying.states() == {"idle": 1}


def test_a_parked_chain_is_counted_for_its_filter_and_a_stalled_one_is_worse(proxying: Proxying) -> None:
    proxying.engine.put_in_front(park, ECHO)
    client, _ = proxying.clients(2)
    client.send(b"x")
    proxying.engine.turn(3)
    survey = proxying.walk()
    assert survey.chains[ECHO, ""].parked == {"parks": 1}
    assert survey.chains[ECHO, ""].states == {"parked": 1, "idle": 1}
    proxying.engine.live[0].read_chain.stalled = True
    assert proxying.states() == {"stalled": 1, "idle": 1}


def test_a_connection_that_ended_during_the_walk_does_no_harm(proxying: Proxying) -> None:
    clients = proxying.clients(2)
    survey = Survey(proxying.engine.live, (ECHO,), None, Selection())
    assert not survey.step(1)
    for client in clients:
        client.reset()
    proxying.engine.until(lambda: not proxying.engine.live)
    assert survey.step(5) and len(survey.shown()) == 2


def test_the_unusual_come_first_then_by_id_whether_they_move_or_not(proxying: Proxying) -> None:
    clients = proxying.clients(4)
    connections = proxying.engine.live
    proxying.walk()
    clients[3].send(b"busy")
    proxying.engine.turn(4)
    connections[2].pause_reading("x")
    first = [connection.id for connection in connections]
    assert ids(proxying.walk()) == [first[2], first[0], first[1], first[3]]
    clients[3].send(b"busy")
    proxying.engine.turn(4)
    assert ids(proxying.walk(order="busiest", rows=2)) == [first[3], first[0]]
    connections[1].write_buffer.append(b"waits")
    assert ids(proxying.walk(order="fullest", rows=1)) == [first[1]]
    connections[1].write_buffer.clear()
    connections[2].resume_reading("x")


def test_a_selection_limits_what_is_shown_not_what_is_counted(proxying: Proxying) -> None:
    proxying.clients(3)
    proxying.clients(2, MAIN)
    proxying.engine.live[0].pause_reading("x")
    host = f"127.0.0.1:{proxying.server.port}"
    for wanted, count in (
        ({"listener": ECHO}, 3), ({"listener": MAIN, "chain": ""}, 2), ({"chain": "other"}, 0), ({"state": "paused"}, 1),
        ({"cluster": "c"}, 2), ({"cluster": "c", "host": host}, 2), ({"host": "10.0.0.1:1"}, 0), ({"rows": 1}, 5),
    ):
        survey = proxying.walk(**wanted)
        assert survey.matched == count, wanted
        assert sum(tally.count for tally in survey.states.values()) == 5
        assert len(survey.shown()) == min(count, wanted.get("rows", 40))
    proxying.engine.live[0].resume_reading("x")


def test_every_state_of_a_row_has_its_place_among_the_severities() -> None:
    assert set(STATES) - {"open", "closed"} <= set(SEVERITY)


@pytest.mark.parametrize(("query", "expected"), [
    ({}, Selection()),
    ({"listener": "a", "chain": "", "cluster": "c", "host": "h"}, Selection("a", "", "", "c", "h")),
    ({"state": "parked", "order": "busiest", "rows": "7"}, Selection(state="parked", order="busiest", rows=7)),
    ({"state": "open; drop", "order": "random", "rows": "-1"}, Selection()),
    ({"rows": "99999"}, Selection(rows=MOST_ROWS)),
    ({"rows": "123456789012"}, Selection()),
    ({"rows": "²"}, Selection()),
])
def test_what_a_query_asks_for(query: Dict[str, str], expected: Selection) -> None:
    assert selection(query) == expected


def test_a_pair_without_an_upstream_is_as_full_as_its_own_buffers(proxying: Proxying) -> None:
    proxying.clients(1)
    near, = proxying.engine.live
    near.read_buffer.append(b"abc")
    assert Pair(near, None, 0, 0).key("fullest") == (-3, near.id)
    near.read_buffer.clear()
