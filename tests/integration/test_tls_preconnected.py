"""TLS connections that are made before a client needs them: what the client's log says, and who must not share them."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List

import pytest

from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.support.tls_end import TlsPeer, data_source, server_context, upstream_socket

LOG = "%UPSTREAM_TLS_VERSION% %UPSTREAM_PEER_SUBJECT% %UPSTREAM_SERVER_NAME%"
TLS = upstream_socket({"trusted_ca": data_source("ca.crt")}, sni="server.test")
NewEngine = Callable[..., Engine]


@pytest.fixture
def new_engine(backend: Server) -> Iterator[NewEngine]:
    with contextlib.ExitStack() as stack:
        def make(*in_front: Json) -> Engine:
            proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c", access_log=[access_log(LOG)])
            group = cluster(
                address(backend.port), transport_socket=TLS, preconnect_policy={"per_upstream_preconnect_ratio": 2}
            )
            engine = Engine(bootstrap([listener(*in_front, proxy)], [group])).start()
            stack.callback(engine.close)
            return engine
        yield make


def secured(engine: Engine, backend: Server, count: int) -> List[TlsPeer]:
    """The next connections of the engine to the server."""
    made = []
    for _ in range(count):
        made.append(TlsPeer(engine.accepted(backend), server_context(), server_side=True))
        engine.peers[-1] = made[-1]
    return made


def established(engine: Engine) -> int:
    return engine.value("cluster.c.ssl.handshake")


def test_a_connection_is_ready_after_its_handshake_and_its_facts_are_the_clients(
    new_engine: NewEngine, backend: Server
) -> None:
    engine = new_engine()
    engine.client()
    ends = secured(engine, backend, 2)
    engine.until(lambda: established(engine) == 2)
    ends[1].say(b"hello")
    client = engine.client()
    engine.until(lambda: client.got == b"hello")
    assert engine.value("cluster.c.upstream_rq_pending_total") == 1
    client.send(b"good day")
    client.finish()
    engine.until(lambda: ends[1].tls.got == b"good day")
    ends[1].goodbye(fin=True)
    engine.until(lambda: engine.lines)
    facts: Any = engine.lines[0].split()[1:]
    assert facts[0] == "TLSv1.2" and "server.test" in facts[1] and facts[-1] == "server.test"


def test_a_client_for_whom_filters_decide_the_server_name_gets_a_connection_of_its_own(
    new_engine: NewEngine, backend: Server
) -> None:
    name = {"inline_string": "other.test"}
    chosen = network_filter("set_filter_state", on_new_connection=[{
        "object_key": "envoy.network.upstream_server_name", "format_string": {"text_format_source": name},
    }])
    engine = new_engine(chosen)
    for count in (1, 2):
        engine.client()
        secured(engine, backend, 1)
        engine.until(lambda: established(engine) == count)
        assert engine.value("cluster.c.upstream_cx_total") == count
