"""TLS over memory BIOs: handshake and records cut anywhere, each direction's end by itself, full sockets, broken peers."""

from __future__ import annotations

import hashlib
import itertools
import random
import socket
import ssl
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import pytest

from proxy_core.buffer import Buffer
from proxy_core.network import tls
from proxy_core.network.sockets import MOST_WRITTEN_PER_TURN, ConnectionLost
from proxy_core.network.tls import BARE_FIN, CLOSE_NOTIFY, TlsFailure, TlsTransport
from proxy_core.testing.scripted import FIN, ScriptedSocket, reset_error
from tests.support.tls_end import TlsEnd, client_context, server_context

BOTH = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
HELLO = b"hello, " * 5


class CountingPolicy:
    """Accepts, unless `refusal` says otherwise, and keeps what it was told."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.done = 0
        self.failures: List[str] = []

    def established(self, session: ssl.SSLObject) -> str:
        self.done += 1
        return self.refusal

    def failed(self, error: ssl.SSLError) -> str:
        self.failures.append(error.reason or "")
        return f"failed: {error.reason}"

    def lost(self, lost: ConnectionLost) -> str:
        return f"lost: {lost.reset}"

    def facts(self, session: ssl.SSLObject) -> Dict[str, Any]:
        return {"version": session.version()}


class CountingHost:
    """The connection's part."""

    def __init__(self) -> None:
        self.reads_wanted = 0
        self.flushes_wanted = 0

    def want_read(self) -> None:
        self.reads_wanted += 1

    def want_flush(self) -> None:
        self.flushes_wanted += 1


class Line:
    """A TlsTransport on a scripted socket, and the client at the other end of it."""

    def __init__(self, version: Optional[str] = None, policy: Optional[CountingPolicy] = None) -> None:
        self.policy = policy or CountingPolicy()
        self.host = CountingHost()
        self.scripted = ScriptedSocket()
        self.sock = cast(socket.socket, self.scripted)
        self.transport = TlsTransport(server_context(), self.policy)
        self.transport.attach(self.host)
        self.client = TlsEnd(client_context(version))

    def carry_out(self) -> None:
        """What the transport sent reaches the client."""
        wire = bytes(self.scripted.sent)
        self.scripted.sent.clear()
        if wire:
            self.client.feed(wire)

    def carry_in(self, cut: Callable[[bytes], List[bytes]] = lambda wire: [wire]) -> None:
        """What the client sent waits in the socket, in pieces."""
        wire = self.client.take()
        if wire:
            self.scripted.incoming.extend(cut(wire))

    def shake(self, cut: Callable[[bytes], List[bytes]] = lambda wire: [wire]) -> None:
        """The whole handshake."""
        ready = False
        for _ in range(10):
            self.carry_in(cut)
            while not ready and self.scripted.incoming:
                ready = self.transport.handshake(self.sock)
            self.carry_out()
            if ready and self.client.shaken:
                return
        raise AssertionError("no end of the handshake")

    def read_all(self) -> bytes:
        """Read as the connection does, until there is nothing."""
        got = b""
        while self.scripted.incoming or self.transport.has_input:
            data = self.transport.read(self.sock, 65536)
            if data == b"":
                return got
            got += data or b""
        return got

    def blocked(self) -> bool:
        """Whether wire bytes wait for room in the socket."""
        return self.transport.has_output

    def holds_input(self) -> bool:
        """Whether a read gives something without the socket."""
        return self.transport.has_input

    def fin_sent(self) -> bool:
        """Whether the FIN is out."""
        return self.scripted.fin_sent

    def write(self, data: bytes) -> int:
        buffer = Buffer(data)
        return self.transport.write(self.sock, buffer)


def shaken(version: Optional[str] = None) -> Line:
    line = Line(version)
    line.shake()
    return line


# -- handshake ---------------------------------------------------------------------------------------------------------

@BOTH
def test_a_handshake_and_data_both_ways(version: str) -> None:
    line = shaken(version)
    line.client.send(HELLO)
    line.carry_in()
    assert line.read_all() == HELLO
    assert line.write(b"welcome") == 7
    line.carry_out()
    assert bytes(line.client.got) == b"welcome"
    assert line.policy.done == 1
    facts = line.transport.facts()
    assert facts is not None and facts["version"] == version


@BOTH
def test_the_client_hello_may_be_cut_anywhere(version: str) -> None:
    size = len(TlsEnd(client_context(version)).take())
    for at in range(1, size, 7):
        line = Line(version)
        line.shake(lambda wire: [wire[:at], wire[at:]] if len(wire) > at else [wire])
        line.client.send(HELLO)
        line.carry_in()
        assert line.read_all() == HELLO


@BOTH
def test_everything_may_come_byte_by_byte(version: str) -> None:
    line = Line(version)
    line.shake(lambda wire: [wire[at:at + 1] for at in range(len(wire))])
    line.client.send(HELLO)
    line.carry_in(lambda wire: [wire[at:at + 1] for at in range(len(wire))])
    assert line.read_all() == HELLO


@BOTH
def test_a_fin_at_every_prefix_of_the_client_hello_is_an_orderly_loss_without_a_failure_text(version: str) -> None:
    hello = TlsEnd(client_context(version)).take()
    for size in itertools.chain(range(0, 12), range(12, len(hello), 37)):
        line = Line(version)
        line.scripted.incoming.extend([hello[:size], FIN] if size else [FIN])
        with pytest.raises(TlsFailure, match="closed during the TLS handshake") as caught:
            for _ in range(3):
                assert line.transport.handshake(line.sock) is False
        assert caught.value.transport_failure == "" and not caught.value.reset
        assert line.policy.failures == []
        line.transport.close(line.sock, goodbye=True)
        assert not line.scripted.sent


@BOTH
def test_a_fin_at_every_later_prefix_of_the_handshake_is_a_loss_too(version: str) -> None:
    line = shaken(version)
    for last in (0, 1, 5, 20, 40):
        line = Line(version)
        line.carry_in()
        line.transport.handshake(line.sock)
        line.carry_out()
        wire = line.client.take()
        line.scripted.incoming.extend([wire[:last], FIN] if last else [FIN])
        with pytest.raises(TlsFailure):
            for _ in range(3):
                line.transport.handshake(line.sock)


@pytest.mark.parametrize("garbage, reason", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP_REQUEST"),
    (b"CONNECT a:443 HTTP/1.1\r\n\r\n", "HTTPS_PROXY_REQUEST"),
    (b"\x16\x03\x01\xff\xff" + b"x" * 20, None),
    (b"\x00" * 40, None),
    (b"SSH-2.0-OpenSSH_9.2\r\n", None),
])
def test_what_is_not_tls_fails_the_handshake_with_a_reason(garbage: bytes, reason: Optional[str]) -> None:
    line = Line()
    line.scripted.incoming.append(garbage)
    with pytest.raises(TlsFailure, match="failed: ") as caught:
        line.transport.handshake(line.sock)
    assert caught.value.transport_failure.startswith("failed: ")
    assert len(line.policy.failures) == 1
    if reason is not None:
        assert line.policy.failures == [reason]


def test_mutated_client_hellos_never_do_worse_than_fail() -> None:
    hello = TlsEnd(client_context()).take()
    chance = random.Random(7)
    for _ in range(300):
        wire = bytearray(hello)
        for _ in range(chance.randint(1, 4)):
            wire[chance.randrange(len(wire))] = chance.randrange(256)
        line = Line()
        line.scripted.incoming.append(bytes(wire))
        try:
            line.transport.handshake(line.sock)
        except ConnectionLost:
            pass
        line.transport.close(line.sock, goodbye=True)


def test_the_alert_reaches_the_peer_before_the_failure_is_raised() -> None:
    line = Line("TLSv1.2")
    line.transport = TlsTransport(_only_13(), line.policy)
    line.carry_in()
    with pytest.raises(TlsFailure):
        line.transport.handshake(line.sock)
    line.carry_out()
    assert line.client.end == "TLSV1_ALERT_PROTOCOL_VERSION"


def _only_13() -> ssl.SSLContext:
    context = server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def test_a_policy_that_refuses_ends_the_handshake_with_its_text() -> None:
    line = Line(policy=CountingPolicy("not you"))
    with pytest.raises(TlsFailure, match="not you") as caught:
        line.shake()
    assert caught.value.transport_failure == "not you"


@pytest.mark.parametrize("version", [None, "TLSv1.2"])
def test_bytes_that_were_read_before_are_the_first_of_the_handshake(version: Optional[str]) -> None:
    """A listener filter has taken the ClientHello, or a part of it, from the socket."""
    whole = len(TlsEnd(client_context(version)).take())
    for size in (0, 1, 5, whole // 2, whole - 1, whole):
        line = Line(version)
        hello = line.client.take()
        assert line.transport.preload(hello[:size]) == b""
        if size < whole:
            line.scripted.incoming.append(hello[size:])
        assert line.transport.handshake(line.sock) is False
        line.carry_out()
        line.shake()
        assert line.client.shaken


def test_a_reset_during_the_handshake_is_a_reset() -> None:
    line = Line()
    line.carry_in()
    line.scripted.incoming.append(reset_error())
    assert line.transport.handshake(line.sock) is False
    with pytest.raises(ConnectionLost) as caught:
        line.transport.handshake(line.sock)
    assert caught.value.reset
    assert caught.value.transport_failure == "lost: True"


def test_a_full_socket_during_the_handshake_is_waited_for() -> None:
    line = Line()
    line.scripted.room = 100
    line.carry_in()
    assert line.transport.handshake(line.sock) is False
    assert line.blocked() and line.host.flushes_wanted == 1
    line.scripted.room = None
    assert line.transport.handshake(line.sock) is False
    assert not line.blocked()
    line.carry_out()
    line.carry_in()
    assert line.transport.handshake(line.sock) is True


# -- bytes that come with the handshake --------------------------------------------------------------------------------

def test_data_behind_the_last_handshake_message_is_announced_and_read_without_the_socket() -> None:
    line = Line("TLSv1.3")
    line.carry_in()
    assert not line.transport.handshake(line.sock)
    line.carry_out()
    line.client.send(HELLO)
    line.client.finish()
    line.carry_in()
    assert line.transport.handshake(line.sock) is True
    assert line.holds_input() and line.host.reads_wanted == 1
    assert not line.scripted.incoming
    assert line.transport.read(line.sock, 65536) == HELLO
    assert line.holds_input() and line.host.reads_wanted == 2  # the end of the stream stood behind it
    assert line.transport.read(line.sock, 65536) == b""
    assert not line.holds_input()


def test_our_end_does_not_lose_data_that_came_with_the_handshake_and_was_not_read_yet() -> None:
    line = Line("TLSv1.3")
    line.carry_in()
    line.transport.handshake(line.sock)
    line.carry_out()
    line.client.send(HELLO)
    line.carry_in()
    assert line.transport.handshake(line.sock) is True
    line.transport.send_end(line.sock)
    line.carry_out()
    assert line.client.end == "close_notify"
    assert line.holds_input()
    assert line.transport.read(line.sock, 65536) == HELLO
    line.client.send(b"more")
    line.carry_in()
    assert line.read_all() == b"more"


# -- records -----------------------------------------------------------------------------------------------------------

@BOTH
def test_records_may_be_cut_anywhere(version: str) -> None:
    line = shaken(version)
    line.client.send(b"first")
    line.client.send(b"second")
    size = len(line.client.take())
    for at in range(1, size):
        line = shaken(version)
        line.client.send(b"first")
        line.client.send(b"second")
        line.carry_in(lambda wire: [wire[:at], wire[at:]])
        assert line.read_all() == b"firstsecond"


@BOTH
def test_one_read_takes_everything_that_the_socket_gave(version: str) -> None:
    line = shaken(version)
    body = bytes(range(256)) * 200
    line.client.send(body)
    line.carry_in()
    assert len(line.scripted.incoming) == 1
    assert line.transport.read(line.sock, 65536) == body
    assert not line.holds_input()
    assert max(line.scripted.recv_sizes) <= 65536


def test_a_read_asks_the_socket_for_no_more_than_it_may() -> None:
    line = shaken()
    line.client.send(b"x" * 5000)
    line.carry_in()
    line.scripted.recv_sizes.clear()
    assert line.transport.read(line.sock, 1000) is None  # not a whole record yet
    assert line.transport.read(line.sock, 1 << 20) == b"x" * 5000
    assert line.scripted.recv_sizes == [1000, 65536]


def test_a_broken_record_gives_the_bytes_before_it_and_then_the_failure() -> None:
    line = shaken()
    line.client.send(HELLO)
    good = line.client.take()
    line.client.send(b"spoilt")
    spoilt = bytearray(line.client.take())
    spoilt[-1] ^= 1
    line.scripted.incoming.append(good + bytes(spoilt))
    assert line.transport.read(line.sock, 65536) == HELLO
    assert line.holds_input()
    with pytest.raises(TlsFailure, match="failed: ") as caught:
        line.transport.read(line.sock, 65536)
    assert caught.value.transport_failure
    line.carry_out()
    assert "BAD_RECORD_MAC" in line.client.end


def test_a_reset_is_reported_by_the_read() -> None:
    line = shaken()
    line.scripted.incoming.append(reset_error())
    with pytest.raises(ConnectionLost) as caught:
        line.transport.read(line.sock, 65536)
    assert caught.value.reset


@BOTH
def test_a_mebibyte_each_way_arrives_whole(version: str) -> None:
    line = shaken(version)
    chance = random.Random(3)
    up = bytes(chance.getrandbits(8) for _ in range(4096)) * 256
    line.client.send(up)
    line.carry_in(lambda wire: [wire[at:at + 30011] for at in range(0, len(wire), 30011)])
    assert hashlib.sha256(line.read_all()).digest() == hashlib.sha256(up).digest()
    buffer = Buffer()
    for at in range(0, len(up), 70001):
        buffer.append(up[at:at + 70001])
    line.scripted.most_per_send = 50021
    while buffer.size or line.blocked():
        line.transport.write(line.sock, buffer)
        line.carry_out()
    assert hashlib.sha256(line.client.got).digest() == hashlib.sha256(up).digest()


# -- writing -----------------------------------------------------------------------------------------------------------

def test_small_pieces_go_into_one_record() -> None:
    line = shaken("TLSv1.3")
    buffer = Buffer(b"a" * 5000)
    for _ in range(5):
        buffer.append(b"b" * 4000)
    total = buffer.size
    line.scripted.sends.clear()
    assert line.transport.write(line.sock, buffer) == total
    assert len(line.scripted.sends) == 1
    line.carry_out()
    assert bytes(line.client.got) == b"a" * 5000 + b"b" * 20000


def test_a_full_socket_keeps_at_most_one_portion_in_encrypted_form() -> None:
    line = shaken()
    line.scripted.room = 0
    buffer = Buffer(b"x" * 500_000)
    taken = line.transport.write(line.sock, buffer)
    assert taken == tls.ENCRYPT_AT_ONCE and buffer.size == 500_000 - taken
    assert line.blocked()
    assert line.transport.write(line.sock, buffer) == 0
    line.scripted.room = None
    assert line.transport.write(line.sock, buffer) == 500_000 - taken
    assert not line.blocked()
    line.carry_out()
    assert bytes(line.client.got) == b"x" * 500_000


def test_a_write_stops_after_a_turns_share() -> None:
    line = shaken()
    buffer = Buffer(b"x" * (3 * MOST_WRITTEN_PER_TURN))
    taken = line.transport.write(line.sock, buffer)
    assert MOST_WRITTEN_PER_TURN <= taken <= MOST_WRITTEN_PER_TURN + tls.ENCRYPT_AT_ONCE
    assert buffer.size == 3 * MOST_WRITTEN_PER_TURN - taken


def test_a_lost_peer_is_found_out_by_a_write() -> None:
    line = shaken()
    line.scripted.send_error = reset_error()
    with pytest.raises(ConnectionLost):
        line.write(HELLO)


# -- the two ends ------------------------------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("end", [CLOSE_NOTIFY, BARE_FIN])
def test_the_peers_end_is_the_end_of_the_stream_and_we_may_still_answer(version: str, end: str) -> None:
    line = shaken(version)
    line.client.send(HELLO)
    if end == CLOSE_NOTIFY:
        line.client.finish()
    line.carry_in()
    if end == BARE_FIN:
        line.scripted.incoming.append(FIN)
    assert line.transport.read(line.sock, 65536) == HELLO
    assert line.transport.read(line.sock, 65536) == b""
    facts = line.transport.facts()
    assert facts is not None and facts["peer_end"] == end
    assert line.write(b"answer") == 6
    line.transport.send_end(line.sock)
    assert line.fin_sent()
    line.carry_out()
    assert bytes(line.client.got) == b"answer"
    assert line.client.end == "close_notify"


@BOTH
def test_after_our_end_the_peer_is_still_heard(version: str) -> None:
    line = shaken(version)
    line.transport.send_end(line.sock)
    assert line.fin_sent()
    line.carry_out()
    assert line.client.end == "close_notify"
    for piece in (b"one", b"two" * 9000):
        line.client.send(piece)
        line.carry_in()
        assert line.read_all() == piece
    line.client.finish()
    line.carry_in()
    assert line.transport.read(line.sock, 65536) == b""


@BOTH
def test_after_our_end_a_record_in_two_halves_is_still_read(version: str) -> None:
    line = shaken(version)
    line.client.send(HELLO)
    wire = line.client.take()
    line.scripted.incoming.append(wire[:20])
    assert line.transport.read(line.sock, 65536) is None
    line.transport.send_end(line.sock)
    line.scripted.incoming.append(wire[20:])
    assert line.transport.read(line.sock, 65536) == HELLO


@BOTH
def test_both_ends_at_once(version: str) -> None:
    line = shaken(version)
    line.client.finish()
    line.transport.send_end(line.sock)
    line.carry_in()
    line.carry_out()
    assert line.transport.read(line.sock, 65536) == b""
    assert line.client.end == "close_notify"


def test_the_end_is_told_again_to_whoever_asks_again() -> None:
    line = shaken()
    line.client.finish()
    line.carry_in()
    assert [line.transport.read(line.sock, 65536) for _ in range(3)] == [b"", b"", b""]


def test_the_fin_waits_for_the_goodbye_to_be_sent() -> None:
    line = shaken()
    line.scripted.room = 0
    line.transport.send_end(line.sock)
    assert line.blocked() and not line.fin_sent()
    line.scripted.room = None
    line.transport.write(line.sock, Buffer())
    assert not line.blocked() and line.fin_sent()
    line.carry_out()
    assert line.client.end == "close_notify"


def test_ending_towards_a_lost_peer_is_silent() -> None:
    line = shaken()
    line.scripted.send_error = reset_error()
    line.transport.send_end(line.sock)
    assert not line.blocked()


@pytest.mark.parametrize("goodbye, end", [(True, "close_notify"), (False, "")])
def test_closing_says_goodbye_if_it_is_to(goodbye: bool, end: str) -> None:
    line = shaken()
    line.carry_out()
    line.transport.close(line.sock, goodbye)
    line.carry_out()
    assert line.client.end == end


def test_closing_after_the_end_was_sent_says_nothing_twice() -> None:
    line = shaken()
    line.transport.send_end(line.sock)
    line.scripted.sent.clear()
    line.transport.close(line.sock, goodbye=True)
    assert not line.scripted.sent


# -- a peer that makes us talk -----------------------------------------------------------------------------------------

def test_answers_that_the_peer_does_not_read_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "MOST_UNREAD_ANSWERS", 50)
    line = Line()
    line.scripted.room = 100
    line.carry_in()
    with pytest.raises(TlsFailure, match="does not read"):
        line.transport.handshake(line.sock)


# -- the other side ----------------------------------------------------------------------------------------------------

def test_the_client_side_works_through_the_same_class() -> None:
    server = TlsEnd(server_context(), server_side=True)
    scripted = ScriptedSocket()
    sock = cast(socket.socket, scripted)
    transport = TlsTransport(client_context(), CountingPolicy(), server_side=False, server_hostname="server.test")
    transport.attach(CountingHost())
    ready = transport.handshake(sock)
    for _ in range(5):
        server.feed(bytes(scripted.sent))
        scripted.sent.clear()
        scripted.incoming.append(server.take())
        ready = ready or transport.handshake(sock)
        if ready and server.shaken:
            break
    assert ready
    transport.write(sock, Buffer(b"ping"))
    server.feed(bytes(scripted.sent))
    assert bytes(server.got) == b"ping"
    server.send(b"pong")
    scripted.incoming.append(server.take())
    pieces: List[Tuple[str, Optional[bytes]]] = []
    while scripted.incoming or transport.has_input:
        pieces.append(("read", transport.read(sock, 65536)))
    assert b"".join(data or b"" for _, data in pieces) == b"pong"
