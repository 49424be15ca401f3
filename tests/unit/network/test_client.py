"""Opening connections: success, every way to fail, Unix sockets and IPv6."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest

from proxy_core.buffer import Buffer
from proxy_core.event.reactor import Reactor
from proxy_core.network import client, sockets
from proxy_core.network.address import Address
from proxy_core.network.close import ABORT
from proxy_core.network.connection import Connection
from proxy_core.network.facts import local_address_text
from proxy_core.network.settings import ByteCounters, ConnectionSettings
from proxy_core.observe.stats import Counter
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.testing.clock import SimulatedClock
from proxy_core.testing.recording import RecordingCallbacks, RecordingFilter
from tests.support.peers import Peer, RefusedPort, Server


class Attempt:
    """One connection that is being opened."""

    def __init__(self, address: Address, source: Optional[Address] = None) -> None:
        self.reactor = Reactor(SimulatedClock())
        self.callbacks = RecordingCallbacks()
        self.filter = RecordingFilter()
        self.connection = Connection(
            1, self.reactor, sockets.new_stream(address), StreamInfo(1, 0.0, 0.0), ConnectionSettings(),
            ByteCounters(Counter("rx"), Counter("tx")),
        )
        self.connection.read_chain.add(self.filter, "f")
        self.connection.callbacks += (self.callbacks,)
        client.connect(self.connection, address, source)
        assert self.callbacks.log == [], "the outcome never comes from inside the call"

    @property
    def events(self) -> List[str]:
        return [what for _, what in self.callbacks.log]

    def until(self, true: Callable[[], Any]) -> None:
        for _ in range(500):
            if true():
                return
            self.reactor.turn(0.002)
        raise AssertionError("never came")

    def outcome(self) -> List[str]:
        self.until(lambda: self.events)
        return self.events

    def close(self) -> None:
        self.connection.close(ABORT)
        self.reactor.turn(0)
        self.reactor.close()


@pytest.fixture
def attempt() -> Iterator[Callable[..., Attempt]]:
    made: List[Attempt] = []

    def make(address: Address, source: Optional[Address] = None) -> Attempt:
        made.append(Attempt(address, source))
        return made[-1]
    yield make
    for one in made:
        one.close()


def exchange(one: Attempt, server: Server) -> None:
    """Bytes both ways through a connection that came up."""
    assert one.outcome() == ["Connected"]
    accepted = server.try_accept()
    assert accepted is not None
    accepted.send(b"hello")
    one.until(lambda: bytes(one.filter.data) == b"hello")
    one.connection.write(Buffer(b"world"), True)
    one.until(lambda: (accepted.pump(), accepted.ended)[1])
    assert bytes(accepted.got) == b"world"
    accepted.close()


def test_a_connection_over_ipv4_with_both_addresses(attempt: Any) -> None:
    server = Server()
    one = attempt(Address.from_ip("127.0.0.1", server.port))
    exchange(one, server)
    assert one.connection.remote_address == Address.from_ip("127.0.0.1", server.port)
    assert local_address_text(one.connection).startswith("127.0.0.1:")
    server.close()


def test_a_connection_over_ipv6(attempt: Any) -> None:
    try:
        server = Server(socket.AF_INET6, ("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    one = attempt(Address.from_ip("::1", server.port))
    exchange(one, server)
    assert local_address_text(one.connection).startswith("[::1]:")
    server.close()


def test_a_connection_over_a_unix_socket(attempt: Any, tmp_path: Path) -> None:
    path = os.path.relpath(str(tmp_path / "s"))
    path = min(path, str(tmp_path / "s"), key=len)
    server = Server(socket.AF_UNIX, path)
    one = attempt(Address.from_path(path))
    exchange(one, server)
    server.close()


def test_a_connection_from_a_given_source(attempt: Any) -> None:
    server = Server()
    one = attempt(Address.from_ip("127.0.0.1", server.port), Address.from_ip("127.0.0.2", 0))
    exchange(one, server)
    assert local_address_text(one.connection).startswith("127.0.0.2:")
    server.close()


def test_a_refused_connection_is_a_remote_close_with_envoys_text(attempt: Any) -> None:
    refused = RefusedPort()
    one = attempt(Address.from_ip("127.0.0.1", refused.port))
    assert one.outcome() == ["RemoteClose"]
    assert one.connection.transport_failure_reason == "delayed connect error: Connection refused"
    assert one.connection.fd < 0
    refused.close()


def test_a_unix_socket_that_is_not_there_fails_at_once_but_is_told_later(attempt: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    one = attempt(Address.from_path(path))
    assert one.outcome() == ["RemoteClose"]
    assert one.connection.transport_failure_reason == (
        f"immediate connect error: {os.strerror(errno.ENOENT)}|remote address:{path}"
    )


def test_a_unix_path_that_is_too_long_is_a_failed_connect_and_no_exception(attempt: Any) -> None:
    one = attempt(Address.from_path("/" + "x" * 200))
    assert one.outcome() == ["RemoteClose"]
    assert "too long" in one.connection.transport_failure_reason


def test_a_source_that_cannot_be_bound_is_a_local_close(attempt: Any) -> None:
    server = Server()
    one = attempt(Address.from_ip("127.0.0.1", server.port), Address.from_ip("192.0.2.1", 0))
    assert one.outcome() == ["LocalClose"]
    text = os.strerror(errno.EADDRNOTAVAIL)
    assert one.connection.transport_failure_reason == f"failed to bind to 192.0.2.1:0: {text}"
    server.close()


def test_a_source_of_another_family_is_a_local_close(attempt: Any, tmp_path: Path) -> None:
    for address in (Address.from_path(str(tmp_path / "s")), Address.from_path("@abstract")):
        one = attempt(address, Address.from_ip("127.0.0.1", 0))
        assert one.outcome() == ["LocalClose"]
        assert one.connection.transport_failure_reason.startswith("failed to bind to 127.0.0.1:0: ")


def test_what_is_written_while_connecting_goes_out_when_it_is_up(attempt: Any) -> None:
    server = Server()
    one = attempt(Address.from_ip("127.0.0.1", server.port))
    one.connection.write(Buffer(b"early"), True)
    one.outcome()
    accepted = server.try_accept()
    assert isinstance(accepted, Peer)
    one.until(lambda: (accepted.pump(), accepted.ended)[1])
    assert bytes(accepted.got) == b"early"
    accepted.close()
    server.close()


def test_what_became_of_a_connect_is_up_under_way_or_an_errno() -> None:
    server, refused = Server(), RefusedPort()
    there, nobody = Address.from_ip("127.0.0.1", server.port), Address.from_ip("127.0.0.1", refused.port)
    for address, answers in ((there, (0,)), (nobody, (errno.ECONNREFUSED,))):
        sock = sockets.new_stream(address)
        assert sockets.start_connect(sock, address) is None
        assert sockets.finish_connect(sock, address) in answers
        sock.close()
    never = sockets.new_stream(there)
    never.close()
    assert sockets.finish_connect(never, there) == errno.EBADF
    server.close()
    refused.close()


@pytest.mark.parametrize("text, local", [
    ("127.0.0.1", True), ("127.200.0.9", True), ("::1", True), ("10.1.2.7", False), ("1.127.0.1", False), ("2001:db8::1", False),
])
def test_which_hosts_are_asked_once_more_whether_they_are_connected(text: str, local: bool) -> None:
    assert Address.from_ip(text, 1).is_local is local
    assert Address.from_path("/run/x").is_local and Address.from_path("@x").is_local


def test_a_connection_that_is_up_at_once_and_closed_before_it_was_told_says_so_once(attempt: Any) -> None:
    server = Server()
    one = attempt(Address.from_ip("127.0.0.1", server.port))
    one.connection.close(ABORT, "given up")
    one.reactor.turn(0.01)
    assert one.events == ["LocalClose"] and not one.reactor.failures
    server.close()


def test_closing_while_connecting_tells_it_once_and_the_outcome_no_more(attempt: Any, tmp_path: Path) -> None:
    for address in (Address.from_ip("127.0.0.1", 9), Address.from_path(str(tmp_path / "nobody"))):
        one = attempt(address)
        one.connection.close(ABORT, "given up")
        one.reactor.turn(0.01)
        assert one.events == ["LocalClose"]
        assert one.connection.local_close_details == "given up"
