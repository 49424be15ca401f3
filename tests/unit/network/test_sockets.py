"""The system calls and what their errors mean, on real sockets and on scripted ones."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.errors import PeerError
from proxy_core.network import sockets
from proxy_core.network.address import Address
from proxy_core.network.close import CloseReason
from proxy_core.testing.scripted import FIN, ScriptedSocket, reset_error


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_receive_tells_bytes_from_the_end_from_nothing_yet() -> None:
    sock: Any = ScriptedSocket()
    assert sockets.receive(sock, 10) is None
    sock.incoming.extend([b"abc", FIN])
    assert sockets.receive(sock, 2) == b"ab"
    assert sockets.receive(sock, 10) == b"c"
    assert sockets.receive(sock, 10) == b""
    assert sockets.receive(sock, 10) == b""


@pytest.mark.parametrize("number, reset", [
    (errno.ECONNRESET, True), (errno.EPIPE, False), (errno.ETIMEDOUT, False), (errno.EHOSTUNREACH, False),
])
def test_a_lost_connection_says_whether_it_was_reset(number: int, reset: bool) -> None:
    sock: Any = ScriptedSocket()
    sock.incoming.append(error(number))
    sock.send_error = error(number)
    for call in (lambda: sockets.receive(sock, 1), lambda: sockets.send(sock, Buffer(b"x"))):
        with pytest.raises(sockets.ConnectionLost) as caught:
            call()
        assert caught.value.reset is reset
        assert str(caught.value) == os.strerror(number)
        assert isinstance(caught.value, PeerError)
    assert sockets.lost(number).reset is reset


def test_send_drains_what_went_out_and_stops_when_the_socket_is_full() -> None:
    sock: Any = ScriptedSocket()
    sock.room = 5
    data = Buffer(b"abc")
    data.append(b"x" * 5000)
    assert sockets.send(sock, data) == 5
    assert bytes(sock.sent) == b"abcxx" and data.size == 4998
    assert sockets.send(sock, data) == 0
    assert data.size == 4998
    assert sockets.send(sock, Buffer()) == 0


def test_an_error_in_the_middle_of_a_send_loses_no_count() -> None:
    sock: Any = ScriptedSocket()
    sock.send_error = reset_error()
    data = Buffer(b"abc")
    with pytest.raises(sockets.ConnectionLost):
        sockets.send(sock, data)
    assert bytes(data) == b"abc"


def tcp_pair() -> Tuple[socket.socket, socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    return near, far


def test_a_fin_to_a_peer_that_is_gone_already_is_no_error() -> None:
    near, far = tcp_pair()
    sockets.close(far, reset=True)
    sockets.send_fin(near)
    sockets.send_fin(near)
    near.close()


def test_closing_with_reset_is_told_from_closing() -> None:
    for reset in (True, False):
        near, far = tcp_pair()
        sockets.close(near, reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                far.recv(1)
        else:
            assert far.recv(1) == b""
        far.close()


def test_a_unix_socket_is_closed_without_a_reset_whatever_was_asked_for() -> None:
    near, far = socket.socketpair()
    sockets.close(near, reset=True)
    assert far.recv(1) == b""
    far.close()


@pytest.mark.skipif(not hasattr(os, "uname") or os.uname().sysname != "Linux", reason="other systems can't say")
def test_the_kernels_queues_are_counted() -> None:
    near, far = tcp_pair()
    assert sockets.kernel_queues(near)[0] == 0
    far.send(b"12345")
    assert sockets.kernel_queues(near)[0] == 5
    near.recv(5)
    assert sockets.kernel_queues(near) == (0, 0)
    near.close()
    far.close()


def test_a_close_reason_reads_like_a_sentence() -> None:
    assert str(CloseReason("peer", "FIN")) == "peer FIN"
    assert str(CloseReason("local", "timeout", "tcp_session_idle_timeout", "idle_timeout 1h, default")) == (
        "local timeout: tcp_session_idle_timeout (idle_timeout 1h, default)"
    )
    assert repr(CloseReason("peer", "RST", "x")) == "CloseReason(peer RST: x)"


def test_an_errno_is_described_in_the_systems_words() -> None:
    assert sockets.describe(errno.ECONNREFUSED) == "Connection refused"
    assert sockets.describe(None) == sockets.describe(0) == "unknown error"


@pytest.mark.parametrize("compat", [False, True])
def test_an_ipv6_listener_takes_ipv4_clients_only_with_ipv4_compat(compat: bool) -> None:
    address = Address.from_ip("::", 0)
    address.ipv4_compat = compat
    try:
        listening = sockets.bind(address, False)
        listening.listen(5)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listening, socket.socket() as client:
        found = client.connect_ex(("127.0.0.1", listening.getsockname()[1]))
    assert (found == 0) is compat
