"""Bulk through the kernel's pipe, switched on and off in mid-stream: every byte arrives, in order, and is counted once."""

from __future__ import annotations

import random
import socket
from typing import Any, Dict, List

import pytest

from proxy_core.extensions.network.tcp_proxy.coupling import DOWNSTREAM_FULL
from proxy_core.network import sockets, splice
from proxy_core.network.splice import PIPE_SIZE, WAITING_FOR_SINK, PipePool
from tests.support.peers import Peer
from tests.support.proxied import NewProxied, Proxied
from tests.support.spliced import (
    MEGABYTE, Splices, block_sink, carry, deliver, digest, needs_splice, noise, stuck, warm,
)

KIB = 1024


def limits(size: int) -> Dict[str, Any]:
    """The same buffer limit for both sides."""
    return {name: {"per_connection_buffer_limit_bytes": size} for name in ("of_listener", "of_cluster")}


def roomy_pair(proxy: Proxied) -> Any:
    """A client and a server that read fast, with the kernel's usual buffers."""
    client = proxy.engine.client()
    server = proxy.engine.accepted(proxy.server)
    for peer in (client, server):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MEGABYTE)
    return client, server


def end(proxy: Proxied, client: Peer, server: Peer) -> None:
    """Both say goodbye, in good order."""
    client.finish()
    server.finish()
    carry(proxy, proxy.over)


def assert_exact(proxy: Proxied, up: int, down: int) -> None:
    """Every place that counts says the same: `up` bytes from the client, `down` bytes to it."""
    assert f"rx={up} tx={down} " in proxy.line
    assert (proxy.tcp("downstream_cx_rx_bytes_total"), proxy.tcp("downstream_cx_tx_bytes_total")) == (up, down)
    assert (proxy.cluster("upstream_cx_rx_bytes_total"), proxy.cluster("upstream_cx_tx_bytes_total")) == (down, up)


class Script:
    """What one side sends: bursts of bulk, and after each some messages that wait for the one before to arrive."""

    def __init__(self, sender: Peer, receiver: Peer, total: int, seed: int) -> None:
        chance = random.Random(seed)
        self._pieces: List[int] = []
        left = total
        while left:
            sizes = [chance.randint(MEGABYTE, 4 * MEGABYTE), *(chance.randint(1, 5000) for _ in range(8))]
            for size in sizes:
                self._pieces.append(min(size, left))
                left -= self._pieces[-1]
        self.data = noise(total, seed)
        self._sender = sender
        self._receiver = receiver
        self._sent = 0

    @property
    def over(self) -> bool:
        return len(self._receiver.got) >= len(self.data)

    def go_on(self) -> None:
        """Send the next piece once the last one is there."""
        if self._pieces and len(self._receiver.got) >= self._sent:
            size = self._pieces.pop(0)
            self._sender.send(self.data[self._sent:self._sent + size])
            self._sent += size


@needs_splice
def test_fifty_megabytes_both_ways_at_once_in_bursts_and_small_messages(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = roomy_pair(proxy)
    scripts = [Script(client, server, 26 * MEGABYTE, 1), Script(server, client, 24 * MEGABYTE, 2)]

    def go_on() -> None:
        for script in scripts:
            script.go_on()
    carry(proxy, lambda: all(script.over for script in scripts), go_on)
    assert [digest(server.got), digest(client.got)] == [digest(script.data) for script in scripts]
    assert 10 * MEGABYTE < sum(spy.taken) < 50 * MEGABYTE  # the small messages went the other way
    end(proxy, client, server)
    assert_exact(proxy, 26 * MEGABYTE, 24 * MEGABYTE)
    assert "flags=- " in proxy.line


@needs_splice
def test_slow_readers_both_ways_get_every_byte_though_the_sinks_block(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    up, down = noise(20 * MEGABYTE, 3), noise(20 * MEGABYTE, 4)
    client.send(up)
    server.send(down)
    blocked, turns = 0, 0

    def read_in_bursts() -> None:
        nonlocal blocked, turns
        blocked += stuck(proxy)
        turns += 1
        client.reading, server.reading = turns % 7 > 4, turns % 5 > 2
    carry(proxy, lambda: len(server.got) == len(up) and len(client.got) == len(down), read_in_bursts)
    assert [digest(server.got), digest(client.got)] == [digest(up), digest(down)]
    assert blocked > 10
    assert sum(spy.passed) < sum(spy.taken)  # the rest went through the write buffers
    client.reading = server.reading = True
    end(proxy, client, server)
    assert_exact(proxy, len(up), len(down))


@needs_splice
def test_bytes_that_wait_in_the_fallback_buffer_are_counted_as_on_the_ordinary_path(proxied: NewProxied, spy: Splices) -> None:
    """Received: what was read. BYTES_SENT: what was queued. The stats' tx: what the kernel took."""
    proxy = proxied()
    client, server = proxy.pair()
    block_sink(proxy, client, server, spy)
    downstream, upstream = proxy.session()
    waiting = upstream.write_buffer.size
    assert waiting > 0
    assert proxy.tcp("downstream_cx_rx_bytes_total") == downstream.bytes_read == upstream.bytes_queued
    assert proxy.cluster("upstream_cx_tx_bytes_total") == upstream.bytes_sent == upstream.bytes_queued - waiting
    assert downstream.pauses == (WAITING_FOR_SINK,)


# -- limits ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("settings", [
    limits(16 * KIB), limits(100 * KIB),
    {"of_listener": {"per_connection_buffer_limit_bytes": 16 * KIB}},
    {"of_cluster": {"per_connection_buffer_limit_bytes": 16 * KIB}},
], ids=["16KiB", "100KiB", "16KiB downstream", "16KiB upstream"])
def test_a_limit_below_the_smallest_step_never_splices(proxied: NewProxied, spy: Splices, settings: Any) -> None:
    proxy = proxied(**settings)
    client, server = roomy_pair(proxy)
    data = noise(4 * MEGABYTE)
    deliver(proxy, client, server, data)
    deliver(proxy, server, client, data)
    assert digest(server.got) == digest(client.got) == digest(data)
    assert spy.taken == []


@needs_splice
@pytest.mark.parametrize("limit", [128 * KIB, 256 * KIB, 0])
def test_no_step_and_no_buffer_is_larger_than_the_limit(proxied: NewProxied, spy: Splices, limit: int) -> None:
    proxy = proxied(**limits(limit))
    client, server = proxy.pair()
    data = block_sink(proxy, client, server, spy)
    most = 0

    def read_in_bursts() -> None:
        nonlocal most
        most = max([most, *(connection.write_buffer.size for connection in proxy.engine.live)])
        server.reading = not server.reading
    carry(proxy, lambda: len(server.got) == len(data), read_in_bursts)
    assert digest(server.got) == digest(data)
    assert max(spy.taken) <= (limit or PIPE_SIZE)
    assert 0 < most <= (limit or PIPE_SIZE)


# -- back-pressure -----------------------------------------------------------------------------------------------------

@needs_splice
def test_a_sink_that_blocks_stops_the_source_and_goes_on_when_it_is_empty(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    data = block_sink(proxy, server, client, spy)
    steps = len(spy.taken)
    proxy.engine.turn(20)
    assert len(spy.taken) == steps  # nothing is read while the sink is blocked
    assert server.unsent
    client.reading = True
    carry(proxy, lambda: len(client.got) == len(data))
    assert digest(client.got) == digest(data)
    assert len(spy.taken) > steps
    assert not stuck(proxy)


@needs_splice
def test_the_watermarks_of_the_ordinary_path_work_after_a_switch_in_mid_stream(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied(**limits(256 * KIB))
    client, server = proxy.pair()
    sent = warm(proxy, server, client, spy)
    _, upstream = proxy.session()
    upstream.splicer = None
    client.reading = False
    data = noise(8 * MEGABYTE)
    server.send(data)
    carry(proxy, lambda: upstream.pauses)
    assert upstream.pauses == (DOWNSTREAM_FULL,)
    assert proxy.cluster("upstream_flow_control_paused_reading_total") > 0
    client.reading = True
    carry(proxy, lambda: len(client.got) == sent + len(data))
    assert digest(client.got[sent:]) == digest(data)
    counts = [proxy.cluster(f"upstream_flow_control_{what}_reading_total") for what in ("paused", "resumed")]
    assert counts[0] == counts[1] > 0


@needs_splice
def test_a_high_watermark_timeout_is_kept_by_not_splicing_towards_that_side(proxied: NewProxied, spy: Splices) -> None:
    """It starts when the watermark is crossed, which spliced bytes never do."""
    proxy = proxied(of_listener={"per_connection_buffer_high_watermark_timeout": "5s"})
    client, server = proxy.pair()
    downstream, upstream = proxy.session()
    warm(proxy, client, server, spy)
    assert upstream.splicer is None
    client.reading = False
    server.send(noise(24 * MEGABYTE))
    carry(proxy, lambda: downstream.above_high)
    proxy.engine.advance(4.9)
    assert downstream.is_open
    proxy.engine.advance(0.2)
    proxy.engine.until(proxy.over)
    assert "buffer_high_watermark_timeout_reached" in proxy.line


# -- urgent bytes ------------------------------------------------------------------------------------------------------

BEHIND = b"behind the urgent byte"


@needs_splice
@pytest.mark.parametrize("ended", [False, True])
def test_an_urgent_byte_in_the_bulk_neither_stops_the_stream_nor_ends_it_early(
    proxied: NewProxied, spy: Splices, ended: bool
) -> None:
    """`splice` does not get past one. It is dropped, as by every program that does not ask for it."""
    proxy = proxied()
    client, server = proxy.pair()
    data = block_sink(proxy, client, server, spy)
    carry(proxy, lambda: not client.unsent, lambda: setattr(server, "reading", not server.reading))
    server.reading = False
    client.sock.send(b"!", socket.MSG_OOB)
    client.send(BEHIND)
    if ended:
        client.finish()
    server.reading = True
    carry(proxy, lambda: len(server.got) >= len(data) + len(BEHIND))
    assert digest(server.got) == digest(data + BEHIND)
    if ended:
        carry(proxy, lambda: server.ended)
    else:
        warm(proxy, client, server, spy)


# -- without -----------------------------------------------------------------------------------------------------------

class NoDescriptors(PipePool):
    """There is none left for a pipe."""

    def borrow(self) -> None:
        return None


def assert_bulk_arrives(proxy: Proxied) -> None:
    """Both ways at once, counted exactly."""
    client, server = roomy_pair(proxy)
    up, down = noise(6 * MEGABYTE, 5), noise(5 * MEGABYTE, 6)
    client.send(up)
    server.send(down)
    carry(proxy, lambda: len(server.got) == len(up) and len(client.got) == len(down))
    assert [digest(server.got), digest(client.got)] == [digest(up), digest(down)]
    end(proxy, client, server)
    assert_exact(proxy, len(up), len(down))


def test_without_a_descriptor_for_a_pipe_bulk_goes_the_ordinary_way(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    proxy.engine.context.pool.pipes = NoDescriptors()
    assert_bulk_arrives(proxy)
    assert spy.taken == []


def test_on_a_python_without_splice_bulk_goes_the_ordinary_way(
    proxied: NewProxied, spy: Splices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.splice", raising=False)
    assert not splice.available()
    assert_bulk_arrives(proxied())
    assert spy.taken == []


@needs_splice
def test_a_source_that_cannot_be_spliced_is_read_instead(proxied: NewProxied, spy: Splices) -> None:
    spy.fail_taking = sockets.NoSplice("Invalid argument")
    assert_bulk_arrives(proxied())


@needs_splice
def test_a_sink_that_cannot_be_spliced_to_gets_the_bytes_from_memory(proxied: NewProxied, spy: Splices) -> None:
    spy.fail_passing = sockets.NoSplice("Invalid argument")
    proxy = proxied()
    assert_bulk_arrives(proxy)
    assert len(spy.taken) == 2 and spy.passed == []  # one attempt in each direction


@needs_splice
def test_splicing_that_stops_working_in_mid_stream_loses_nothing(proxied: NewProxied, spy: Splices) -> None:
    proxy = proxied()
    client, server = proxy.pair()
    data = block_sink(proxy, client, server, spy)
    spy.fail_passing = sockets.NoSplice("Operation not permitted")
    server.reading = True
    carry(proxy, lambda: len(server.got) == len(data))
    assert digest(server.got) == digest(data)
    assert proxy.session()[0].splicer is None
