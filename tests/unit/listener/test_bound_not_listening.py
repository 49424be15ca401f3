"""Between bind and listen: the address is ours, and clients are refused."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from proxy_core.listener.binding import BindError
from tests.support.engine import address, listener, network_filter, pipe
from tests.support.updates import Updated, echoes

ECHO = network_filter("echo")
NewUpdated = Callable[..., Updated]


@pytest.fixture
def bound() -> Iterator[NewUpdated]:
    """Engines that are bound, and wait for their start."""
    made = []

    def make(*static: Any, **settings: Any) -> Updated:
        engine = Updated(*static, **settings)
        made.append(engine)
        engine.listeners.bind()
        return engine
    yield make
    for engine in made:
        engine.close()


def port_of(engine: Updated, name: str = "main") -> int:
    return engine.entry(name).listener.local_addresses()[0].port


def outcome(port: int) -> int:
    """The errno of a client that connects."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port))


def test_clients_are_refused_until_listeners_listen_and_wait_until_they_accept(bound: NewUpdated) -> None:
    engine = bound(listener(ECHO))
    port = port_of(engine)
    assert port and outcome(port) == errno.ECONNREFUSED
    engine.listeners.listen()
    assert outcome(port) == 0
    engine.start()
    assert port_of(engine) == port
    echoes(engine, engine.client())
    assert engine.stats_of("listener_create_success", "listener_create_failure") == [1, 0]


def test_clients_of_a_unix_socket_are_refused_as_well(bound: NewUpdated, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    engine = bound(listener(ECHO, address=pipe(path)))
    with socket.socket(socket.AF_UNIX) as client:
        assert client.connect_ex(path) == errno.ECONNREFUSED
        engine.start()
        assert client.connect_ex(path) == 0


def test_an_address_that_somebody_else_took_meanwhile_is_found_out(bound: NewUpdated) -> None:
    engine = bound(listener(ECHO))
    port = port_of(engine)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))  # neither listens, so the system lets both have it
        other.listen()
        with pytest.raises(BindError) as caught:
            engine.start()
    assert str(caught.value) == "cannot bind '127.0.0.1:0': Address already in use"  # as it was configured
    assert engine.stats_of("listener_create_success", "listener_create_failure", "workers_started") == [0, 1, 0]


def test_a_listener_that_is_replaced_before_the_start_hands_on_a_socket_that_refuses(bound: NewUpdated) -> None:
    engine = bound()
    assert engine.push(listener(ECHO)) == ""
    port = port_of(engine)
    assert engine.push(listener(ECHO, tcp_backlog_size=7)) == ""
    assert port_of(engine) == port and outcome(port) == errno.ECONNREFUSED
    assert engine.stats_of("total_listeners_active", "total_listeners_draining") == [1, 0]
    engine.start()
    echoes(engine, engine.client())


def test_once_listeners_listen_one_that_comes_listens_or_is_rejected(bound: NewUpdated) -> None:
    engine = bound(listener(ECHO))
    engine.listeners.listen()
    assert engine.push(listener(ECHO, name="late")) == ""
    assert outcome(port_of(engine, "late")) == 0
    taken = port_of(engine)
    assert f"cannot bind '127.0.0.1:{taken}': Address already in use" in engine.push(
        listener(ECHO, name="late"), listener(ECHO, name="taken", address=address(taken))
    )
    assert engine.names == ["main", "late"]
    engine.start()


def test_a_listener_that_was_stopped_before_the_start_stays_closed(bound: NewUpdated) -> None:
    engine = bound(listener(ECHO))
    port = port_of(engine)
    engine.listeners.stop_listening()
    engine.start()
    assert outcome(port) == errno.ECONNREFUSED and engine.errors == []
