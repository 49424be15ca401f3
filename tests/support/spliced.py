"""For the tests of splicing: what went through the kernel's pipe, and sessions that carry bulk until something holds."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import stat
from typing import Any, Callable, List, Optional

import pytest

from proxy_core.network import sockets
from proxy_core.network.splice import WAITING_FOR_SINK, available
from tests.support.peers import Peer
from tests.support.proxied import Proxied

needs_splice = pytest.mark.skipif(not available(), reason="os.splice needs Linux and Python 3.10")

MEGABYTE = 1 << 20
MOST_TURNS_WITHOUT_A_BYTE = 500


@functools.lru_cache(maxsize=16)
def noise(size: int, seed: int = 1) -> bytes:
    """Bytes of which no two stretches are alike."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")


def digest(data: Any) -> str:
    """To compare what is too long to print."""
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Splices:
    """Takes the place of `sockets.splice` and passes every call on, unless told to fail.

    taken: the size of each move from a socket into the pipe; passed: of each from the pipe to a socket. fail_taking and
    fail_passing: raised instead of the next such calls.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: List[int] = []
        self.passed: List[int] = []
        self.fail_taking: Optional[Exception] = None
        self.fail_passing: Optional[Exception] = None
        self._real = sockets.splice
        monkeypatch.setattr(sockets, "splice", self._splice)

    def _splice(self, source: int, target: int, size: int) -> Optional[int]:
        taking = stat.S_ISFIFO(os.fstat(target).st_mode)
        error = self.fail_taking if taking else self.fail_passing
        if error is not None:
            raise error
        moved = self._real(source, target, size)
        if moved:
            (self.taken if taking else self.passed).append(moved)
        return moved


def carry(proxy: Proxied, true: Callable[[], Any], each_turn: Callable[[], Any] = lambda: None) -> None:
    """Turn until something holds, however long that takes, as long as bytes move."""
    quiet, before = 0, -1
    while not true():
        moved = sum(proxy.tcp(f"downstream_cx_{way}_bytes_total") for way in ("rx", "tx"))
        quiet, before = (quiet + 1, before) if moved == before else (0, moved)
        if quiet > MOST_TURNS_WITHOUT_A_BYTE:
            raise AssertionError(f"not so, and nothing moves; after {moved} bytes")
        proxy.engine.reactor.turn(0.002)
        proxy.engine.pump()
        each_turn()


def deliver(proxy: Proxied, sender: Peer, receiver: Peer, data: bytes) -> None:
    """Send, and wait until it has arrived."""
    expected = len(receiver.got) + len(data)
    sender.send(data)
    carry(proxy, lambda: len(receiver.got) >= expected)


def warm(proxy: Proxied, sender: Peer, receiver: Peer, spy: Splices) -> int:
    """Send bulk until some of it has gone through the pipe; the number of bytes."""
    before, sent = len(spy.taken), 0
    while len(spy.taken) == before:
        deliver(proxy, sender, receiver, noise(MEGABYTE, sent))
        sent += MEGABYTE
        assert sent < 64 * MEGABYTE, "nothing was spliced"
    return sent


def stuck(proxy: Proxied) -> bool:
    """Whether spliced bytes wait in a write buffer, and their source for them."""
    return any(WAITING_FOR_SINK in connection.pauses for connection in proxy.engine.live)


def block_sink(proxy: Proxied, sender: Peer, receiver: Peer, spy: Splices) -> bytes:
    """Bulk is on its way, its reader has stopped, and the last step did not fit into the sink's socket. All that was sent."""
    sent = warm(proxy, sender, receiver, spy)
    receiver.reading = False
    data = noise(24 * MEGABYTE, 99)
    sender.send(data)
    carry(proxy, lambda: stuck(proxy))
    return bytes(receiver.got[:sent]) + data
