"""Which chains may be spliced: those in which nobody has to see the bytes."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, FilterStatus, NetworkFilter
from proxy_core.network.connection import Connection
from tests.support.engine import Engine, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.support.proxied import NewProxied, Proxied
from tests.support.spliced import MEGABYTE, Splices, deliver, digest, needs_splice, noise
from tests.support.tls_end import TlsPeer, client_context, transport_socket

BLOB = noise(6 * MEGABYTE)


class Watcher(NetworkFilter):
    """Counts what it is shown, both ways."""

    def __init__(self) -> None:
        self.seen_reading = self.seen_writing = 0

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.seen_reading += data.size
        return CONTINUE

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.seen_writing += data.size
        return CONTINUE


class Trusting(Watcher):
    """Decides on the first bytes."""

    inspects_data = False


class Foreign:
    """A filter that inherits nothing, and so promises nothing."""

    def initialize_read_filter_callbacks(self, callbacks: Any) -> None:
        """Nothing to keep."""

    def on_new_connection(self) -> FilterStatus:
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE

    def on_event(self, event: Any) -> None:
        """Nothing to do."""


def exchange(proxy: Proxied, *filters: Any, way: str = "read") -> List[Connection]:
    """Bulk up and then down through a session with these filters in front; its connections."""
    for one in reversed(filters):
        proxy.engine.put_in_front(lambda manager, one=one: getattr(manager, f"add_{way}_filter")(one, "f"))
    client, server = proxy.pair()
    deliver(proxy, client, server, BLOB)
    deliver(proxy, server, client, BLOB)
    assert digest(server.got) == digest(client.got) == digest(BLOB)
    return proxy.engine.live


@needs_splice
def test_a_filter_that_reads_every_byte_keeps_its_direction_out_of_the_pipe(proxied: NewProxied, spy: Splices) -> None:
    watcher = Watcher()
    downstream, upstream = exchange(proxied(), watcher)
    assert watcher.seen_reading == len(BLOB)
    assert downstream.splicer is None
    assert upstream.splicer is not None and sum(spy.taken) > MEGABYTE  # nobody looks at the answers


@needs_splice
def test_a_filter_that_sees_every_byte_written_keeps_the_answers_out_of_the_pipe(proxied: NewProxied, spy: Splices) -> None:
    watcher = Watcher()
    downstream, upstream = exchange(proxied(), watcher, way="write")
    assert watcher.seen_writing == len(BLOB)
    assert upstream.splicer is None
    assert downstream.splicer is not None and sum(spy.taken) > MEGABYTE


def test_a_filter_in_both_chains_that_sees_every_byte_keeps_all_out_of_the_pipe(proxied: NewProxied, spy: Splices) -> None:
    watcher = Watcher()
    proxy = proxied()
    proxy.engine.put_in_front(lambda manager: manager.add_filter(watcher, "watcher"))
    exchange(proxy)
    assert (watcher.seen_reading, watcher.seen_writing) == (len(BLOB), len(BLOB))
    assert spy.taken == []


@needs_splice
@pytest.mark.parametrize("count", [1, 4])
def test_filters_that_need_no_data_after_the_first_let_bulk_be_spliced(proxied: NewProxied, spy: Splices, count: int) -> None:
    filters = [Trusting() for _ in range(count)]
    exchange(proxied(), *filters)
    assert all(0 < one.seen_reading < len(BLOB) for one in filters)
    assert sum(spy.taken) > MEGABYTE


def test_one_filter_that_looks_among_those_that_do_not_decides(proxied: NewProxied, spy: Splices) -> None:
    watcher = Watcher()
    downstream, _ = exchange(proxied(), Trusting(), watcher, Trusting())
    assert downstream.splicer is None
    assert watcher.seen_reading == len(BLOB)


def test_a_filter_that_promises_nothing_is_taken_to_look(proxied: NewProxied, spy: Splices) -> None:
    downstream, _ = exchange(proxied(), Foreign())
    assert downstream.splicer is None


def test_tls_is_never_spliced(spy: Splices) -> None:
    server = Server()
    front = listener(network_filter("tcp_proxy", stat_prefix="t", cluster="c"))
    front["filter_chains"][0]["transport_socket"] = transport_socket()
    engine = Engine(bootstrap([front], [cluster(address(server.port))])).start()
    client = TlsPeer(engine.client(), client_context(), "server.test")
    engine.peers[-1] = client
    engine.until(lambda: client.tls.shaken)
    far = engine.accepted(server)
    data = BLOB[:MEGABYTE]
    client.say(data)
    engine.until(lambda: len(far.got) == len(data))
    far.send(data)
    engine.until(lambda: len(client.tls.got) == len(data))
    assert digest(far.got) == digest(client.tls.got) == digest(data)
    assert spy.taken == []
    assert [connection.splicer for connection in engine.live] == [None, None]
    assert engine.errors == []
    engine.close()
    server.close()
