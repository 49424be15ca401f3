"""A thousand connections are made while their listener changes twenty times: every one of them is served.

Nothing is left to timing: each update is made with clients in the backlog, before and after them others
connect, and some stay open through all of it. `tools/update_storm.py` does the same, larger and against the
clock, with the whole program.
"""

from __future__ import annotations

from typing import List

from tests.support.engine import Json, address, listener, network_filter
from tests.support.peers import Peer
from tests.support.updates import Updated

UPDATES = 20
CLIENTS = 1000
EACH = CLIENTS // UPDATES // 2
LASTING = 10

ECHO = network_filter("echo")


def changed(port: int, turn: int) -> Json:
    """The listener after `turn` updates: in place, on the same socket, on a new socket, under another
    name."""
    turns = [(turn + 3 - kind) // 4 for kind in range(4)]
    return {
        "name": f"main{turns[3]}", "stat_prefix": f"s{turns[1]}", "address": address(port),
        "tcp_keepalive": {"keepalive_time": 100 + turns[2]},
        "filter_chains": [{"name": f"c{turns[0]}", "filters": [ECHO]}],
    }


def all_served(engine: Updated, clients: List[Peer], question: bytes) -> None:
    for client in clients:
        client.send(question)
    engine.until(lambda: all(bytes(client.got).endswith(question) for client in clients))


def left(engine: Updated, clients: List[Peer]) -> None:
    for client in clients:
        client.close()
        engine.peers.remove(client)


def test_no_connection_is_lost_while_a_listener_is_updated_in_every_way() -> None:
    engine = Updated(drain_time=600.0, limit=10_000)
    engine.push(listener(ECHO, name="first"))
    engine.start()
    port = engine.port("first")
    assert engine.push(changed(port, 0), version="0") == ""
    lasting: List[Peer] = []
    served = 0
    for turn in range(1, UPDATES + 1):
        name, = engine.names
        established = [engine.client(name) for _ in range(EACH)]
        all_served(engine, established, b"before")
        waiting = [engine.client(name) for _ in range(EACH)]  # the loop does not turn before the update
        assert engine.push(changed(port, turn), version=str(turn)) == ""
        name, = engine.names
        assert engine.port(name) == port
        all_served(engine, established + waiting, b"after")
        all_served(engine, lasting, b"lasting %d" % turn)
        served += len(established) + len(waiting)
        lasting += waiting[:1] if len(lasting) < LASTING else []
        left(engine, [client for client in established + waiting if client not in lasting])
        engine.until(lambda: len(engine.live) == len(lasting))
    assert served == CLIENTS
    assert not any(client.ended for client in lasting)
    counted = engine.stats_of("listener_in_place_updated", "listener_modified", "listener_added", "listener_removed")
    assert counted == [5, 15, 7, 6]
    assert engine.errors == []
    engine.close()
