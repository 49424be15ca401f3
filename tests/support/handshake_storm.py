"""One client process of a storm of TLS handshakes: `python -m tests.support.handshake_storm PORT COUNT SEED`.

It opens COUNT connections one after the other, as fast as they are served, and breaks every tenth in one of the ways of
`BROKEN`, in turn. A good client must get back what it said. Prints a JSON object: how many there were of each kind, the
seconds it took to open them all, and what went wrong. Those that stall are kept open, and their ends waited for at the end.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import sys
import time
from typing import Callable, Dict, List, Tuple

from tests.support.live_peers import receive_exactly, receive_to_end, reset
from tests.support.tls_end import TlsEnd, client_context

EVERY = 10  # one in so many is broken
OPEN, MUTUAL = "open.test", "mutual.test"  # the second one wants a client certificate
PATIENCE = 60.0  # seconds; a client that waits longer for the engine has failed


class Storm:
    """The clients of one process. `kept` are those that stall."""

    def __init__(self, port: int, seed: int) -> None:
        self._address = ("127.0.0.1", port)
        self._chance = random.Random(seed)
        self._contexts = [client_context(version) for version in ("TLSv1.2", "TLSv1.3")]
        self._with_certificate = client_context(certificate="client")
        self._hello = TlsEnd(client_context(), name=OPEN).take()
        self.kept: List[socket.socket] = []
        self.tally: Dict[str, int] = {}
        self.failures: List[str] = []

    def run(self, count: int) -> None:
        """Open so many connections, one after the other."""
        for number in range(count):
            kind = BROKEN[number // EVERY % len(BROKEN)] if number % EVERY == 0 else Storm.good
            name = kind.__name__
            self.tally[name] = self.tally.get(name, 0) + 1
            try:
                kind(self)
            except (OSError, AssertionError) as error:
                self.failures.append(f"{name} client {number}: {error!r}")

    def see_the_stalled_out(self) -> None:
        """Wait until the engine has closed them all."""
        for peer in self.kept:
            if _answer(peer):
                self.failures.append("a client that stalled was answered")
            peer.close()

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._address, PATIENCE)

    # -- kinds ---------------------------------------------------------------------------------------------------------

    def good(self) -> None:
        """An echo over TLS; ends with a FIN, with close_notify first, or with a reset."""
        mutual = self._chance.random() < 0.1
        context = self._with_certificate if mutual else self._chance.choice(self._contexts)
        question = self._chance.getrandbits(256).to_bytes(32, "big")
        with context.wrap_socket(self._connect(), server_hostname=MUTUAL if mutual else OPEN) as client:
            client.sendall(question)
            answer = receive_exactly(client, len(question))
            assert answer == question, f"{len(answer)} bytes came back"
            ending = self._chance.randrange(10)
            if ending == 0:
                reset(client)
            elif ending < 4:
                client.unwrap()

    def plaintext(self) -> None:
        """HTTP where TLS is expected."""
        self._say_and_see_the_end(b"GET / HTTP/1.1\r\nHost: open.test\r\n\r\n")

    def garbage(self) -> None:
        """Bytes that are no TLS record from the first one on."""
        noise = bytes(self._chance.getrandbits(8) for _ in range(300))
        self._say_and_see_the_end(b"\xff" + noise)

    def _say_and_see_the_end(self, data: bytes) -> None:
        with self._connect() as peer:
            peer.sendall(data)
            answer = _answer(peer)
            assert len(answer) <= 7, answer  # an alert at most

    def truncated(self) -> None:
        """Part of a ClientHello, then FIN."""
        with self._connect() as peer:
            peer.sendall(self._hello[:self._chance.randint(1, len(self._hello) - 1)])
            peer.shutdown(socket.SHUT_WR)
            assert _answer(peer) == b""

    def reset_midway(self) -> None:
        """A ClientHello, and a reset when the server's part begins to come."""
        peer = self._connect()
        peer.sendall(self._hello)
        assert peer.recv(1), "no ServerHello"
        reset(peer)

    def stalled_hello(self) -> None:
        """Part of a ClientHello, then nothing."""
        self.kept.append(self._connect())
        self.kept[-1].sendall(self._hello[:self._chance.randint(1, len(self._hello) - 1)])

    def stalled_handshake(self) -> None:
        """The server's part of the handshake is read, and not answered."""
        peer = self._connect()
        peer.sendall(self._hello)
        assert peer.recv(65536), "no ServerHello"
        peer.settimeout(0.0)
        try:
            while peer.recv(65536):
                pass  # the rest of its flight
        except BlockingIOError:
            peer.settimeout(PATIENCE)
        self.kept.append(peer)

    def nameless(self) -> None:
        """No certificate where one is required."""
        try:
            context = self._chance.choice(self._contexts)
            with context.wrap_socket(self._connect(), server_hostname=MUTUAL) as client:
                client.sendall(b"?")
                assert client.recv(1) == b"", "let in without a certificate"
        except (ssl.SSLError, ConnectionError):
            pass  # refused, which is what it is for


BROKEN: Tuple[Callable[[Storm], None], ...] = (
    Storm.plaintext, Storm.garbage, Storm.truncated, Storm.reset_midway, Storm.stalled_hello, Storm.stalled_handshake,
    Storm.nameless,
)


def _answer(peer: socket.socket) -> bytes:
    """What came until the end, however the end came."""
    try:
        return receive_to_end(peer)
    except ConnectionError:
        return b""


def main(port: int, count: int, seed: int) -> None:
    storm = Storm(port, seed)
    started = time.monotonic()
    storm.run(count)
    seconds = time.monotonic() - started
    storm.see_the_stalled_out()
    json.dump({"tally": storm.tally, "seconds": seconds, "failures": storm.failures}, sys.stdout)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
