"""Peers that die, hang, stammer or never listen: the engine loses nothing, leaks nothing and goes on serving.

Each test surrounds its bad peer with `unharmed`: afterwards every connection is gone from the statistics, the
process has as many files open as before (but for one pipe), a neighbour listener still echoes, and (the `engine` fixture) the
exit is clean.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
from typing import Any, Callable, Iterator, List

import pytest

from tests.support.live import Engine, bootstrap, free_port, static_cluster, tcp_listener, until
from tests.support.live_peers import FullBacklog, Upstream, echo, ending, receive_exactly, receive_to_end
from tests.support.live_peers import reset, silent

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files through /proc"),
]

OTHER_ENGINE = "PROXY_CORE_TEST_ENGINE" in os.environ
Start = Callable[..., Engine]
MEGABYTE = 1 << 20
MEMORY_LIMIT_KIB = 16 * 1024  # two watermarks a direction, one read and the allocator's slack, with room
KEPT_PIPE = 2  # descriptors of the pipe that is kept once bulk went through it
KERNEL_LIMIT = 64 * MEGABYTE  # what the socket buffers of both connections can swallow, with room


def asks(proxy: Engine, listener: str) -> bool:
    """True when an echo behind that listener answers."""
    with proxy.connect(listener) as client:
        client.sendall(b"still there?")
        return receive_exactly(client, 12) == b"still there?"


def wait_for_zero(proxy: Engine, gauge: str) -> None:
    until(lambda: proxy.stat(gauge) == 0, f"{gauge} is back to 0")


@contextlib.contextmanager
def unharmed(start: Start, upstream_port: int, **cluster: Any) -> Iterator[Engine]:
    """An engine in front of a bad peer (listener `main`) and of a good one (`good`), judged afterwards."""
    with Upstream(echo) as good:
        proxy = start(
            bootstrap(
                [tcp_listener("main", "backend"), tcp_listener("good", "good")],
                [static_cluster("backend", upstream_port, **cluster), static_cluster("good", good.port)],
            )
        )
        assert asks(proxy, "good")
        until(lambda: proxy.stat("tcp.good.downstream_cx_active") == 0, "the first connection is closed")
        descriptors = proxy.settled_descriptors() + KEPT_PIPE
        yield proxy
        for gauge in ("tcp.main.downstream_cx_active", "cluster.backend.upstream_cx_active"):
            wait_for_zero(proxy, gauge)
        until(lambda: proxy.descriptors() <= descriptors, f"no more than {descriptors} files are open")
        assert asks(proxy, "good")


def flood(peer: socket.socket) -> None:
    """Sends for ever."""
    block = bytes(65536)
    while True:
        peer.sendall(block)


def send_until_stuck(peer: socket.socket, limit: int) -> int:
    """Sends until nothing is taken for half a second; returns the bytes taken, `limit` at most."""
    peer.settimeout(0.5)
    block, taken = bytes(65536), 0
    with contextlib.suppress(socket.timeout):
        while taken < limit:
            taken += peer.send(block)
    return taken


def test_two_thousand_connections_that_open_and_die_leave_nothing_behind(engine: Start) -> None:
    with Upstream(echo) as upstream, unharmed(engine, upstream.port) as proxy:
        for batch in range(20):
            clients = [proxy.connect() for _ in range(100)]
            for index, client in enumerate(clients):
                if index % 2:
                    client.sendall(b"x")
                if (index + batch) % 3:
                    client.close()
                else:
                    reset(client)
        until(lambda: proxy.stat("tcp.main.downstream_cx_total") == 2000, "all 2000 were accepted")


def test_a_client_that_sends_one_byte_at_a_time_gets_each_back(engine: Start) -> None:
    message = bytes(range(256)) * 4
    with Upstream(echo) as upstream, unharmed(engine, upstream.port) as proxy:
        with proxy.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in message:
                client.sendall(bytes((byte,)))
            assert receive_exactly(client, len(message)) == message


def test_a_client_that_resets_in_a_download_ends_the_upstream_connection_too(engine: Start) -> None:
    with Upstream(flood) as upstream, unharmed(engine, upstream.port) as proxy:
        client = proxy.connect()
        assert len(receive_exactly(client, MEGABYTE)) == MEGABYTE
        reset(client)


def test_a_client_that_resets_in_an_upload_is_seen_as_a_reset_by_the_server(engine: Start) -> None:
    endings: List[str] = []
    with Upstream(lambda peer: endings.append(ending(peer))) as upstream, unharmed(
        engine, upstream.port
    ) as proxy:
        client = proxy.connect()
        client.sendall(bytes(MEGABYTE))
        until(lambda: proxy.stat("cluster.backend.upstream_cx_total") == 1, "the upstream is connected")
        reset(client)
        assert until(lambda: endings, "the server saw an end") == ["rst"]


def test_a_client_that_never_reads_stops_the_server_and_memory_stays_bounded(engine: Start) -> None:
    taken: List[int] = []
    with Upstream(lambda peer: taken.append(send_until_stuck(peer, 4 * KERNEL_LIMIT))) as upstream:
        with unharmed(engine, upstream.port) as proxy:
            before = proxy.resident_kib()
            with proxy.connect():
                (sent,) = until(lambda: taken, "the server is stuck", seconds=60)
            assert sent < KERNEL_LIMIT
            assert proxy.resident_kib() - before < MEMORY_LIMIT_KIB


def test_an_upstream_that_never_reads_stops_the_client_and_memory_stays_bounded(engine: Start) -> None:
    gone = threading.Event()

    def never_read(peer: socket.socket) -> None:
        gone.wait(60)

    with Upstream(never_read) as upstream, unharmed(engine, upstream.port) as proxy:
        before = proxy.resident_kib()
        client = proxy.connect()
        assert send_until_stuck(client, 4 * KERNEL_LIMIT) < KERNEL_LIMIT
        assert proxy.resident_kib() - before < MEMORY_LIMIT_KIB
        reset(client)
        gone.set()


def test_an_upstream_that_refuses_closes_the_client_at_once(engine: Start) -> None:
    with unharmed(engine, free_port()) as proxy:
        with proxy.connect() as client:
            assert receive_to_end(client) == b""
        assert proxy.stat("cluster.backend.upstream_cx_connect_fail") == 1


def test_an_upstream_that_never_completes_the_connect_is_given_up_after_the_timeout(engine: Start) -> None:
    with FullBacklog() as upstream, unharmed(engine, upstream.port, connect_timeout="0.2s") as proxy:
        with proxy.connect() as client:
            assert receive_to_end(client) == b""
        assert proxy.stat("cluster.backend.upstream_cx_connect_timeout") == 1


def test_an_upstream_that_never_answers_is_left_when_the_client_leaves(engine: Start) -> None:
    with Upstream(silent) as upstream, unharmed(engine, upstream.port) as proxy:
        with proxy.connect() as client:
            client.sendall(b"anyone?")
            until(lambda: proxy.stat("cluster.backend.upstream_cx_tx_bytes_total") == 7, "the bytes went on")


def test_an_upstream_that_resets_is_seen_as_a_reset_by_the_client(engine: Start) -> None:
    def answer_then_reset(peer: socket.socket) -> None:
        peer.recv(1)
        reset(peer)

    with Upstream(answer_then_reset) as upstream, unharmed(engine, upstream.port) as proxy:
        with proxy.connect() as client:
            client.sendall(b"?")
            assert ending(client) == "rst"


def test_an_upstream_that_half_closes_first_still_gets_everything_from_the_client(engine: Start) -> None:
    received: List[bytes] = []

    def bye(peer: socket.socket) -> None:
        peer.sendall(b"bye")
        peer.shutdown(socket.SHUT_WR)
        received.append(receive_to_end(peer))

    with Upstream(bye) as upstream, unharmed(engine, upstream.port) as proxy:
        with proxy.connect() as client:
            assert receive_to_end(client) == b"bye"
            client.sendall(b"z" * MEGABYTE)
            client.shutdown(socket.SHUT_WR)
            (arrived,) = until(lambda: received, "the server has read to the end")
        assert arrived == b"z" * MEGABYTE


def test_a_client_that_half_closes_still_gets_the_whole_answer(engine: Start) -> None:
    def count(peer: socket.socket) -> None:
        peer.sendall(b"%d bytes" % len(receive_to_end(peer)))

    with Upstream(count) as upstream, unharmed(engine, upstream.port) as proxy:
        with proxy.connect() as client:
            client.sendall(bytes(3 * MEGABYTE))
            client.shutdown(socket.SHUT_WR)
            assert receive_to_end(client) == b"%d bytes" % (3 * MEGABYTE)


@pytest.mark.skipif(OTHER_ENGINE, reason="Envoy spins at 100% CPU here")
def test_when_files_run_out_the_engine_waits_without_spinning_and_serves_again_when_some_are_free(
    engine: Start,
) -> None:
    with Upstream(echo) as upstream, unharmed(engine, upstream.port) as proxy:
        _, hard = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (proxy.settled_descriptors() + 8, hard))
        with contextlib.ExitStack() as waiting:
            for _ in range(40):  # the kernel's queue takes those that the engine cannot
                client = waiting.enter_context(proxy.connect())
                client.sendall(b"x")
            before = proxy.cpu_seconds()
            assert proxy.runs_on_for(1.0)
            assert proxy.cpu_seconds() - before < 0.25


@pytest.mark.skipif(OTHER_ENGINE, reason="Envoy's own timers wake it 160 times in 5 s")
def test_a_hundred_idle_connections_wake_the_engine_at_most_twice_in_five_seconds(engine: Start) -> None:
    with Upstream(echo) as upstream, unharmed(engine, upstream.port) as proxy:
        with contextlib.ExitStack() as idle:
            for _ in range(100):
                client = idle.enter_context(proxy.connect())
                client.sendall(b"once")
                assert receive_exactly(client, 4) == b"once"
            proxy.settled_descriptors()  # the bustle of connecting is over
            before = proxy.wake_ups()
            assert proxy.runs_on_for(5.0)
            assert proxy.wake_ups() - before <= 2
