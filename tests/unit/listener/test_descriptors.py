"""Running out of descriptors: accepting stops, is said once, and goes on; nothing spins."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.listener.descriptors import TRY_AGAIN_AFTER
from proxy_core.listener.limits import ProcessLimit, limit_from_open_files
from proxy_core.network import sockets
from tests.support.engine import Engine, bootstrap, listener, network_filter
from tests.support.peers import Peer

resource = pytest.importorskip("resource", reason="no open-file limit to lower on this system")


class Shortage:
    """Makes `accept` fail while `on`, or while `full` says so, as with EMFILE; counts the attempts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        self.full: Callable[[], bool] = lambda: self.on
        self.attempts = 0
        self._accept = sockets.accept
        monkeypatch.setattr(sockets, "accept", self.accept)

    def accept(self, *args: Any) -> Any:
        self.attempts += 1
        if self.full():
            raise sockets.OutOfDescriptors("Too many open files")
        return self._accept(*args)


@pytest.fixture
def shortage(monkeypatch: pytest.MonkeyPatch) -> Shortage:
    return Shortage(monkeypatch)


@pytest.fixture
def engine() -> Iterator[Engine]:
    echo = network_filter("echo")
    engine = Engine(bootstrap([listener(echo), listener(echo, name="other")])).start()
    yield engine
    engine.close()


def served(engine: Engine, client: Peer) -> None:
    client.send(b"x")
    engine.until(lambda: client.got)


def test_a_shortage_stops_accepting_with_one_log_line_and_one_count_and_does_not_spin(
    engine: Engine, shortage: Shortage
) -> None:
    shortage.on = True
    engine.client()
    engine.client("other")
    engine.turn(20)
    assert shortage.attempts == 2  # once per listener
    assert engine.log_records == ["Too many open files: not accepting connections until one closes"]
    assert engine.value("proxy_core.descriptors_exhausted") == 1
    for _ in range(10):
        engine.advance(TRY_AGAIN_AFTER)
    assert shortage.attempts == 2 + 2 * 10
    assert len(engine.log_records) == 1


def test_accepting_goes_on_as_soon_as_a_connection_closes(engine: Engine, shortage: Shortage) -> None:
    first = engine.client()
    served(engine, first)
    shortage.on = True
    waiting = [engine.client(), engine.client("other")]
    engine.turn(3)
    shortage.on = False
    first.reset()
    for client in waiting:
        served(engine, client)
    assert len(engine.log_records) == 1


def test_accepting_goes_on_by_itself_when_somebody_else_gave_a_descriptor_back(engine: Engine, shortage: Shortage) -> None:
    shortage.on = True
    client = engine.client()
    engine.turn(3)
    shortage.on = False
    engine.advance(TRY_AGAIN_AFTER)
    served(engine, client)


def test_connections_that_come_and_go_at_the_limit_are_still_one_outage(engine: Engine, shortage: Shortage) -> None:
    """Each close lets one in, and the next accept fails again: that must not be a log line each."""
    shortage.full = lambda: len(engine.live) >= 1
    current = engine.client()
    served(engine, current)
    for _ in range(30):
        following = engine.client()
        engine.turn(3)
        engine.advance(0.1)
        current.reset()
        served(engine, following)
        current = following
    assert len(engine.log_records) == 1
    assert engine.value("proxy_core.descriptors_exhausted") == 1


def test_the_next_outage_after_a_quiet_time_is_told_again(engine: Engine, shortage: Shortage) -> None:
    for outage in (1, 2, 3):
        shortage.on = True
        client = engine.client()
        engine.turn(3)
        shortage.on = False
        engine.advance(TRY_AGAIN_AFTER)
        served(engine, client)
        engine.advance(TRY_AGAIN_AFTER)
        assert len(engine.log_records) == outage
    engine.advance(TRY_AGAIN_AFTER)
    assert engine.value("proxy_core.descriptors_exhausted") == 3


def test_after_an_outage_the_loop_sleeps_again(engine: Engine, shortage: Shortage) -> None:
    shortage.on = True
    client = engine.client()
    engine.turn(3)
    shortage.on = False
    engine.advance(TRY_AGAIN_AFTER)
    served(engine, client)
    client.reset()
    engine.until(lambda: not engine.live)
    engine.advance(2 * TRY_AGAIN_AFTER)
    assert len(engine.reactor.timers) == 0


def test_a_listener_that_was_closed_during_an_outage_is_not_started_again(engine: Engine, shortage: Shortage) -> None:
    client = engine.client("other")
    served(engine, client)
    shortage.on = True
    engine.client()
    engine.client("other")
    engine.turn(3)
    engine.listener().stop_listening()
    shortage.on = False
    client.reset()
    engine.advance(TRY_AGAIN_AFTER)
    served(engine, engine.client("other"))
    assert engine.errors == []


def test_the_reserve_is_lent_once_and_taken_back_when_a_connection_closes(engine: Engine) -> None:
    guard = engine.descriptors
    assert guard.lend_reserve()
    assert not guard.lend_reserve()
    guard.released()
    assert guard.lend_reserve()
    guard.released()


# -- the real thing ----------------------------------------------------------------------------------------------------

REAL = """
import resource, sys
sys.path[:0] = {path!r}
from tests.support.engine import Engine, bootstrap, listener, network_filter
engine = Engine(bootstrap([listener(network_filter("echo"))])).start()
clients = [engine.client() for _ in range(12)]
open_now = engine.listener().sockets.all()[0]._sock.fileno()
highest = max(client.sock.fileno() for client in clients)
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + 5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
turns = engine.reactor.turns
engine.turn(50)
served = len(engine.live)
print("served", served, "logged", len(engine.log_records), "errors", len(engine.errors))
engine.peers[0].reset()
engine.until(lambda: engine.table._next_id > served)
print("went on", "logged", len(engine.log_records))
"""


def test_a_real_open_file_limit_is_survived() -> None:
    """In a process of its own: the limit must not hit the test runner."""
    run = subprocess.run(
        [sys.executable, "-c", REAL.format(path=[path for path in sys.path if path] + [os.getcwd()])],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60,
    )
    assert run.stdout.splitlines() == ["served 5 logged 1 errors 0", "went on logged 1"], run.stdout


# -- the default limit of connections ----------------------------------------------------------------------------------

@pytest.mark.parametrize("soft, limit", [(1024, 480), (64, 1), (10, 1), (resource.RLIM_INFINITY, ((1 << 20) - 64) // 2)])
def test_the_default_limit_follows_from_the_open_file_limit(
    monkeypatch: pytest.MonkeyPatch, soft: int, limit: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, soft))
    found, source = limit_from_open_files()
    assert found == limit
    assert source.startswith("open-file limit ")


def test_a_limit_is_reached_when_as_many_are_active() -> None:
    limit = ProcessLimit(2, "test")
    seen: List[bool] = []
    for active in (0, 1, 2, 3):
        limit.active = active
        seen.append(limit.reached)
    assert seen == [False, False, True, True]


def test_accepting_skips_clients_that_left_while_they_waited() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        listening.setblocking(False)
        assert sockets.accept(listening, socket.AF_INET) is None
        with socket.create_connection(listening.getsockname()) as client:
            accepted = sockets.accept(listening, socket.AF_INET)
            assert accepted is not None
            assert accepted[1] == client.getsockname()
            assert accepted[0].getblocking() is False
            accepted[0].close()
