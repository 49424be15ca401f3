"""A request, and a connection with requests on it, leave nothing for the garbage collector, however they end."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Type, Union

import pytest

from proxy_core.http.codec import ClientCodec, ServerCodec
from proxy_core.http.events import RequestHead
from proxy_core.http.settings import Http1Settings, ProtocolError
from tests.support.engine import TYPE, address, cluster
from tests.support.garbage import found_by_the_garbage_collector
from tests.support.peers import Peer, RefusedPort, Server
from tests.unit.extensions.http.router.router_kit import Routed, answer

Json = Dict[str, Any]
Scenario = Callable[[Routed, Server], Optional[Peer]]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
SWITCH = b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"

OWN = '''
from proxy_core.http.filter_api import CONTINUE, STOP_ITERATION, HttpFilter

class Parks(HttpFilter):
    def __init__(self, config):
        self.waits = None

    def decode_headers(self, head, end_stream):
        self.waits = self.decoder.hold("for ever")
        return STOP_ITERATION

class Raises(HttpFilter):
    def __init__(self, config):
        pass

    def encode_headers(self, head, end_stream):
        raise RuntimeError("oops")
'''


# -- what happens: each gives back the client, if it is still there ----------------------------------------------------

def plain(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.reply(routed.host())
    routed.hear(client, b"ok")
    return client


def pipelined(routed: Routed, other: Server) -> Peer:
    client = routed.client(GET + GET)
    host = routed.host()
    routed.reply(host)
    routed.engine.until(lambda: bytes(host.got).count(b"GET") == 2)
    routed.reply(host)
    routed.engine.until(lambda: bytes(client.got).count(b"ok") == 2)
    return client


def with_bodies(routed: Routed, other: Server) -> Peer:
    client = routed.client(POST + b"abc")
    host = routed.host()
    client.send(b"def")
    routed.hear(host, b"abcdef")
    routed.reply(host, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    routed.hear(client, b"abc\r\n")
    routed.reply(host, b"0\r\n\r\n")
    routed.hear(client, b"0\r\n\r\n")
    return client


def answered_here(routed: Routed, other: Server) -> Peer:
    client = routed.get("/local")
    routed.hear(client)
    return client


def without_host(routed: Routed, other: Server) -> Peer:
    client = routed.client(b"GET / HTTP/1.1\r\n\r\n")
    routed.hear(client)
    return client


def sent_twice(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    host = routed.host()
    host.got.clear()
    routed.reply(host, answer(503))
    routed.engine.advance(0.5)
    routed.engine.until(lambda: host.got)
    routed.reply(host)
    routed.hear(client, b"ok")
    return client


def timed_out(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.host()
    routed.engine.advance(1.1)
    routed.engine.advance(5)
    routed.hear(client, b"timeout")
    return client


def refused_by_the_host(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.hear(client)
    return client


def reset_by_the_client(routed: Routed, other: Server) -> None:
    client = routed.client(POST + b"abc")
    routed.host()
    client.reset()


def reset_by_the_client_in_the_response(routed: Routed, other: Server) -> None:
    client = routed.get()
    routed.reply(routed.host(), HALF)
    routed.hear(client, b"ab")
    client.reset()


def reset_while_connecting(routed: Routed, other: Server) -> None:
    client = routed.get()
    routed.engine.turn()
    client.reset()


def reset_by_the_host(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.host().reset()
    routed.hear(client)
    return client


def reset_by_the_host_in_the_response(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    host = routed.host()
    routed.reply(host, HALF)
    routed.hear(client, b"ab")
    host.reset()
    return client


def no_http_from_the_client(routed: Routed, other: Server) -> Peer:
    client = routed.client(b"GET / HTTP/1.1\r\nX : y\r\n\r\n")
    routed.hear(client)
    return client


def no_http_in_the_body(routed: Routed, other: Server) -> Peer:
    client = routed.client(CHUNKED + b"zz\r\n")
    routed.hear(client)
    return client


def no_http_from_the_host(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.reply(routed.host(), b"NONSENSE\r\n\r\n")
    routed.hear(client)
    return client


def tunnel_ended_by_the_host(routed: Routed, other: Server) -> Peer:
    client = routed.client(UPGRADE)
    host = routed.host()
    routed.reply(host, SWITCH)
    routed.hear(client, b"hello")
    client.send(b"there")
    routed.hear(host, b"there")
    host.finish()
    return client


def tunnel_reset_by_the_client(routed: Routed, other: Server) -> None:
    client = routed.client(UPGRADE)
    routed.reply(routed.host(), SWITCH)
    routed.hear(client, b"hello")
    client.reset()


def tunnel_over_tcp(routed: Routed, other: Server) -> Peer:
    client = routed.client(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n")
    host = routed.engine.accepted(routed.servers[0])
    routed.hear(client, b"\r\n\r\n")
    client.send(b"there")
    routed.hear(host, b"there")
    host.send(b"back")
    routed.hear(client, b"back")
    host.finish()
    return client


def mirrored(routed: Routed, other: Server) -> Peer:
    client = routed.client(POST + b"abcdef")
    copy = routed.engine.accepted(other)
    routed.hear(copy, b"abcdef")
    routed.reply(routed.host())
    routed.hear(client, b"ok")
    copy.send(answer(200, body=b"x"))
    return client


def mirrored_in_vain(routed: Routed, other: Server) -> Peer:
    client = routed.client(POST + b"abcdef")
    copy = routed.engine.accepted(other)
    routed.reply(routed.host())
    routed.hear(client, b"ok")
    routed.engine.advance(1.1)
    routed.engine.advance(5)
    routed.engine.until(lambda: copy.over)
    return client


def redirected(routed: Routed, other: Server) -> Peer:
    client = routed.get("/old")
    host = routed.host()
    host.got.clear()
    routed.reply(host, answer(302, "location: http://b/new"))
    routed.engine.until(lambda: host.got)
    routed.reply(host)
    routed.hear(client, b"ok")
    return client


def parked(routed: Routed, other: Server) -> None:
    client = routed.get()
    routed.engine.turn(3)
    client.reset()


def parked_for_a_while(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.engine.advance(1.1)
    routed.engine.advance(5)
    routed.reply(routed.host())
    routed.hear(client, b"ok")
    return client


def asked_about(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    service = routed.engine.accepted(other)
    routed.hear(service, b"\r\n\r\n")
    service.send(answer(200))
    routed.reply(routed.host())
    routed.hear(client, b"ok")
    return client


def asked_about_in_vain(routed: Routed, other: Server) -> None:
    client = routed.get()
    routed.engine.accepted(other)
    client.reset()


def broken_by_a_filter(routed: Routed, other: Server) -> Peer:
    client = routed.get()
    routed.reply(routed.host())
    routed.hear(client)
    assert [str(error) for error in routed.engine.errors] == ["oops"]
    routed.engine.errors.clear()
    return client


# -- with what configuration -------------------------------------------------------------------------------------------

def extension(name: str, message: str, **config: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{TYPE}filters.http.{name}.v3.{message}", **config}}


def behind(first: Json) -> Json:
    """Fields of `Routed`, for this filter and the router."""
    return {"manager": {"http_filters": [first, extension("router", "Router")]}}


RETRIES = {"retry_policy": {"retry_on": "5xx", "num_retries": 2}}
TUNNELS = {"manager": {"upgrade_configs": [{"upgrade_type": "websocket"}]}}
TO_TCP = {"cluster": "c", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}
MIRROR = {"request_mirror_policies": [{"cluster": "other"}], "timeout": "3s"}
LOCAL = {"match": {"prefix": "/local"}, "direct_response": {"status": 200, "body": {"inline_string": "hi"}}}
DELAY = behind(extension("fault", "HTTPFault", delay={"fixed_delay": "5s", "percentage": {"numerator": 100}}))
PARKS = behind({"name": "parks", "typed_config": {"@type": "python:garbage_filters.Parks"}})
RAISES = behind({"name": "raises", "typed_config": {"@type": "python:garbage_filters.Raises"}})
AUTHZ = behind(extension(
    "ext_authz", "ExtAuthz", http_service={"server_uri": {"uri": "http://other", "cluster": "other", "timeout": "0.25s"}}
))

SCENARIOS = [
    (plain, {}), (pipelined, {}), (with_bodies, {}), (with_bodies, RETRIES), (answered_here, {"more": [LOCAL]}),
    (answered_here, {"more": [{"match": {"prefix": "/local"}, "route": {"cluster_header": "x-cluster"}}]}),
    (without_host, {}), (sent_twice, RETRIES), (timed_out, {"timeout": "3s"}),
    (timed_out, {"retry_policy": {"per_try_timeout": "0.5s"}}), (timed_out, {"manager": {"stream_idle_timeout": "3s"}}),
    (reset_by_the_client, {}), (reset_by_the_client, RETRIES), (reset_by_the_client_in_the_response, {}),
    (reset_while_connecting, {}), (reset_by_the_host, {}), (reset_by_the_host_in_the_response, {}),
    (no_http_from_the_client, {}), (no_http_in_the_body, {}), (no_http_from_the_host, {}),
    (tunnel_ended_by_the_host, TUNNELS), (tunnel_reset_by_the_client, TUNNELS),
    (tunnel_over_tcp, {"more": [{"match": {"connect_matcher": {}}, "route": TO_TCP}]}),
    (mirrored, MIRROR), (mirrored_in_vain, MIRROR), (redirected, {"internal_redirect_policy": {}}),
    (parked, DELAY), (parked, PARKS), (parked_for_a_while, DELAY), (asked_about, AUTHZ), (asked_about_in_vain, AUTHZ),
    (broken_by_a_filter, RAISES),
]


# -- the tests ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The host of cluster "other"; `OWN` can be imported."""
    (tmp_path / "garbage_filters.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    with contextlib.closing(Server()) as server:
        yield server


@pytest.mark.parametrize("scenario, fields", SCENARIOS, ids=lambda given: getattr(given, "__name__", None) or ",".join(given))
def test_nothing_is_left_for_the_garbage_collector(scenario: Scenario, fields: Json, other: Server) -> None:
    with contextlib.closing(Routed(others=[cluster(address(other.port), name="other")], **fields)) as routed:
        run(routed, scenario, other)  # what is made once is made now
        with found_by_the_garbage_collector() as found:
            run(routed, scenario, other)
        assert found == {}


def test_nothing_is_left_of_a_host_that_refuses(other: Server) -> None:
    with contextlib.closing(RefusedPort()) as port, contextlib.closing(Routed(hosts=0, refused=[port.port])) as routed:
        run(routed, refused_by_the_host, other)
        with found_by_the_garbage_collector() as found:
            run(routed, refused_by_the_host, other)
        assert found == {}


def run(routed: Routed, scenario: Scenario, other: Server) -> None:
    """Until every connection is over."""
    engine = routed.engine
    client = scenario(routed, other)
    engine.turn(5)
    if client is not None:
        client.finish()
    engine.turn(5)
    engine.advance(1.1)  # the client had time to close first
    for peer in engine.peers:
        if peer is not client:
            peer.close()
    engine.until(lambda: not engine.live)
    engine.advance(1.1)  # timers that were put off are not set any more
    for peer in engine.peers:
        peer.close()
    engine.peers.clear()


@pytest.mark.parametrize("kind", [ServerCodec, ClientCodec])
def test_a_codec_that_has_raised_refers_to_no_frame_and_raises_the_same_again(
    kind: Union[Type[ServerCodec], Type[ClientCodec]]
) -> None:
    with found_by_the_garbage_collector() as found:
        codec = kind(Http1Settings())
        if isinstance(codec, ClientCodec):
            codec.send_request(RequestHead("GET", "/", authority="a"), True)
        codec.receive(b"\x16\x03\x01")
        said = []
        for _ in range(2):
            try:
                codec.next_event()
            except ProtocolError as error:
                said.append((str(error), error.status, error.details))
        del codec
    assert found == {} and len(said) == 2 and said[0] == said[1]
