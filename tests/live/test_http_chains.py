"""More than one proxy in a row: HAProxy before the engine, two engines, and Envoy (ENVOY names its program) on either side."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.live.conftest import Server
from tests.support.http_live import Client, fetch, http_bootstrap, json_log, request, upstream_http1
from tests.support.http_upstream import RecordingUpstream
from tests.support.live import FLUSH_LOGS, Engine, free_port, require, until

pytestmark = pytest.mark.live

NewEngine = Callable[..., Engine]
LISTENER_FILTERS = "type.googleapis.com/envoy.extensions.filters.listener."
HAPROXY = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    option http-keep-alive
listen plain
    bind 127.0.0.1:{plain}
    option forwardfor
    http-reuse always
    server engine 127.0.0.1:{engine}
listen v2
    bind 127.0.0.1:{v2}
    server engine 127.0.0.1:{proxied} send-proxy-v2
"""


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as found:
        yield found
        assert found.violations == []


def before_and_behind_proxy_protocol(upstream_port: int, log: Path) -> Dict[str, Any]:
    """Two listeners that do the same; `proxied` expects the header of PROXY protocol."""
    members = {"client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}
    fields = {"use_remote_address": True, "access_log": [json_log(log, **members)]}
    config = http_bootstrap(upstream_port, **fields)
    listeners = config["static_resources"]["listeners"]
    listeners.append({**listeners[0], "name": "proxied"})
    proxy_protocol = {"@type": f"{LISTENER_FILTERS}proxy_protocol.v3.ProxyProtocol"}
    listeners[1]["listener_filters"] = [{"name": "proxy_protocol", "typed_config": proxy_protocol}]
    return config


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Callable[..., Dict[str, int]]]:
    """A function that starts HAProxy before the listeners of an engine, and returns its own ports by name."""
    program = require("haproxy", "/usr/sbin")
    with contextlib.ExitStack() as running:
        def start(**behind: int) -> Dict[str, int]:
            ports = {name: free_port() for name in ("plain", "v2")}
            directory = tmp_path / "haproxy"
            directory.mkdir()
            (directory / "haproxy.cfg").write_text(HAPROXY.format(**behind, **ports))
            server = Server([program, "-db", "-f", "haproxy.cfg"], ports["plain"], directory)
            running.callback(server.stop)
            return ports
        yield start


def test_haproxy_in_front_keeps_the_client_known(
    engine: NewEngine, haproxy: Callable[..., Dict[str, int]], upstream: RecordingUpstream, tmp_path: Path
) -> None:
    """By X-Forwarded-For the address is added to; by PROXY protocol the client is the remote address itself."""
    log = tmp_path / "log"
    proxy = engine(before_and_behind_proxy_protocol(upstream.port, log), *FLUSH_LOGS)
    ports = haproxy(engine=proxy.port(), proxied=proxy.port("proxied"))
    for name in ("plain", "v2"):
        with Client(ports[name], source="127.0.0.77") as client:
            for number in range(3):
                assert client.ask(request(f"/{name}{number}")).body == f"GET /{name}{number}".encode()
            body = b"x" * 300_000
            assert client.ask(request("/", method="POST", body=body)).body.endswith(body)
    records = until(lambda: len(lines(log)) == 8 and lines(log), "eight requests are logged")
    assert records[:4] == [{"client": "127.0.0.1", "peer": "127.0.0.1"}] * 4
    assert records[4:] == [{"client": "127.0.0.77", "peer": "127.0.0.1"}] * 4
    by_header, by_protocol = upstream.requests[0], upstream.requests[4]
    assert (by_header.header("x-forwarded-for") or "").startswith("127.0.0.77,")
    assert by_protocol.header("x-envoy-external-address") == "127.0.0.77"
    assert by_header.header("x-envoy-external-address") == "127.0.0.1"  # no hop is trusted
    assert proxy.stat("proxy_proto.versions.v2.error") == 0


def lines(log: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def try_chain(port: int, upstream: RecordingUpstream) -> None:
    """Requests of each kind through however many proxies, and what arrives."""
    with Client(port) as client:
        for number in range(20):
            assert client.ask(request(f"/{number}")).body == f"GET /{number}".encode()
        body = bytes(range(256)) * 4096
        sent = b"".join(b"%x\r\n%b\r\n" % (len(body[at:at + 9999]), body[at:at + 9999]) for at in range(0, len(body), 9999))
        head = b"POST /chunks HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
        assert client.ask(head + sent + b"0\r\nx-sum: 1\r\n\r\n").body == b"POST /chunks " + body
        assert client.ask(request("/length", "Expect: 100-continue", method="PUT", body=body)).status == 100
        assert client.answer().body == b"PUT /length " + body
        assert client.ask(request("/head", method="HEAD"), head_only=True).status == 200
        client.send(b"".join(request(f"/pipe{number}") for number in range(20)))
        assert [client.answer().body for _ in range(20)] == [f"GET /pipe{number}".encode() for number in range(20)]
    assert len(upstream.lines()) == 43
    with Client(port) as client:
        assert client.ask(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").status == 400
    assert upstream.lines() == []


def through(port: int) -> Dict[str, Any]:
    """One of a chain: it says so in Via, and passes trailers on."""
    config = http_bootstrap(port, via=f"to {port}", http_protocol_options={"enable_trailers": True})
    config["static_resources"]["clusters"][0]["typed_extension_protocol_options"] = upstream_http1(enable_trailers=True)
    return config


def test_two_engines_in_a_row(engine: NewEngine, upstream: RecordingUpstream) -> None:
    second = engine(through(upstream.port))
    first = engine(through(second.port()))
    try_chain(first.port(), upstream)
    answer = fetch(first, "/via")
    assert upstream.requests[-1].header("via") == f"to {second.port()}, to {upstream.port}"
    assert answer.headers["via"] == f"to {upstream.port}, to {second.port()}"
    assert second.stat("http.main.downstream_cx_protocol_error") == 0  # the bad one ended at the first


@pytest.mark.parametrize("order", ["Envoy in front", "Envoy behind"])
def test_envoy_in_front_and_behind(engine: NewEngine, upstream: RecordingUpstream, tmp_path: Path, order: str) -> None:
    program = os.environ.get("ENVOY", "")
    if not program:
        pytest.skip("ENVOY does not name Envoy's program")  # a peer that no package brings: never mandatory
    command = [program, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]

    def envoy(config: Dict[str, Any]) -> Engine:
        return Engine(config, tmp_path / "envoy", command=command)

    make = [engine, envoy] if order == "Envoy in front" else [envoy, engine]
    second = make[0](through(upstream.port))
    first = make[1](through(second.port()))
    try:
        try_chain(first.port(), upstream)
    finally:
        (first if order == "Envoy in front" else second).stop()
