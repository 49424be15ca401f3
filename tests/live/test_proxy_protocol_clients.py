"""PROXY protocol from real senders: curl's --haproxy-protocol (version 1) and HAProxy in front (versions 1 and 2)."""

from __future__ import annotations

import http.client
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from tests.live.conftest import Server
from tests.support.live import Engine, bootstrap, free_port, require, static_cluster, tcp_listener, until

pytestmark = pytest.mark.live

PROXY_PROTOCOL = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
LOG_FORMAT = "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%\n"
HAPROXY = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen v1
    bind 127.0.0.1:{v1}
    server engine 127.0.0.1:{engine} send-proxy
listen v2
    bind 127.0.0.1:{v2}
    server engine 127.0.0.1:{engine} send-proxy-v2 proxy-v2-options unique-id
    unique-id-format from-%[src]
listen checked
    bind 127.0.0.1:{checked}
    server engine 127.0.0.1:{engine} send-proxy-v2 check check-send-proxy inter 100ms
"""


def config(upstream_port: int, log: Path, **fields: Any) -> Dict[str, Any]:
    """A listener that expects PROXY protocol in front of a tcp_proxy, and an access log of the addresses."""
    listener = tcp_listener("main", "backend", log)
    proxy = listener["filter_chains"][0]["filters"][0]["typed_config"]
    source = {"inline_string": LOG_FORMAT}
    proxy["access_log"][0]["typed_config"]["log_format"] = {"text_format_source": source}
    listener["listener_filters"] = [{"name": "proxy_protocol", "typed_config": {"@type": PROXY_PROTOCOL, **fields}}]
    return bootstrap([listener], [static_cluster("backend", upstream_port)])


def lines(log: Path, count: int) -> Any:
    return until(lambda: len(log.read_text().splitlines()) >= count and log.read_text().splitlines(), f"{count} log lines")


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Callable[[int], Dict[str, int]]]:
    """A function that starts HAProxy in front of a port and returns its own ports by name."""
    program = require("haproxy", "/usr/sbin")
    running = []

    def start(engine_port: int) -> Dict[str, int]:
        ports = {name: free_port() for name in ("v1", "v2", "checked")}
        directory = tmp_path / "haproxy"
        directory.mkdir()
        (directory / "haproxy.cfg").write_text(HAPROXY.format(engine=engine_port, **ports))
        running.append(Server([program, "-db", "-f", "haproxy.cfg"], ports["v2"], directory))
        return ports

    yield start
    for server in running:
        server.stop()


def fetch(port: int) -> "tuple[int, tuple[str, int]]":
    """The status of one request, and the address it was sent from."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/small.txt", headers={"Connection": "close"})
        source = connection.sock.getsockname()
        answer = connection.getresponse()
        assert answer.read() == b"small\n"
        return answer.status, source
    finally:
        connection.close()


def test_curl_sends_version_1_and_the_server_sees_only_the_request(
    engine: Callable[..., Engine], http_server: Any, tmp_path: Path
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    log = tmp_path / "access.log"
    proxy = engine(config(http_server.port, log))
    command = [require("curl"), "--silent", "--show-error", "--max-time", "60", "--haproxy-protocol"]
    url = f"http://127.0.0.1:{proxy.port()}/small.txt"
    done = subprocess.run([*command, url], capture_output=True, timeout=90)
    assert (done.stdout, done.returncode) == (b"small\n", 0), done.stderr.decode()
    assert lines(log, 1)[0].endswith(f" 127.0.0.1:{proxy.port()} 127.0.0.1")
    assert proxy.stat("proxy_proto.versions.v1.found") == 1


def test_curl_without_a_header_is_refused_or_passed_as_configured(
    engine: Callable[..., Engine], http_server: Any, tmp_path: Path
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    command = [require("curl"), "--silent", "--max-time", "60"]
    strict = engine(config(http_server.port, tmp_path / "strict.log"))
    done = subprocess.run([*command, f"http://127.0.0.1:{strict.port()}/small.txt"], capture_output=True, timeout=90)
    assert done.returncode in (52, 56) and done.stdout == b""  # an empty reply, or a reset
    assert strict.stat("proxy_proto.not_found_disallowed") == 1
    lenient = engine(config(http_server.port, tmp_path / "lenient.log", allow_requests_without_proxy_protocol=True))
    done = subprocess.run([*command, f"http://127.0.0.1:{lenient.port()}/small.txt"], capture_output=True, timeout=90)
    assert done.stdout == b"small\n"
    assert lenient.stat("proxy_proto.not_found_allowed") == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_in_front_tells_the_clients_address(
    engine: Callable[..., Engine], http_server: Any, haproxy: Callable[[int], Dict[str, int]], tmp_path: Path, version: str
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    log = tmp_path / "access.log"
    proxy = engine(config(http_server.port, log))
    ports = haproxy(proxy.port())
    status, (ip, port) = fetch(ports[version])
    assert status == 200
    expected = f"{ip}:{port} 127.0.0.1:{ports[version]} 127.0.0.1"
    until(lambda: expected in log.read_text().splitlines(), f"the log line {expected}")
    assert proxy.stat("proxy_proto.versions.v1.error") == proxy.stat("proxy_proto.versions.v2.error") == 0


def test_a_tlv_of_haproxy_can_be_logged(
    engine: Callable[..., Engine], http_server: Any, haproxy: Callable[[int], Dict[str, int]], tmp_path: Path
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    log = tmp_path / "access.log"
    rules = [{"tlv_type": 5, "on_tlv_present": {"key": "unique_id"}}]
    fields = config(http_server.port, log, rules=rules)
    proxy_config = fields["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    source = {"inline_string": "%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:unique_id)%\n"}
    proxy_config["access_log"][0]["typed_config"]["log_format"] = {"text_format_source": source}
    ports = haproxy(engine(fields).port())
    assert fetch(ports["v2"])[0] == 200
    until(lambda: any("from-127.0.0.1" in line for line in log.read_text().splitlines()), "the unique id in the log")


def test_health_checks_of_haproxy_are_local_headers_and_find_the_engine_up(
    engine: Callable[..., Engine], http_server: Any, haproxy: Callable[[int], Dict[str, int]], tmp_path: Path
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    proxy = engine(config(http_server.port, tmp_path / "access.log"))
    ports = haproxy(proxy.port())
    until(lambda: proxy.stat("proxy_proto.versions.v2.found") > 2, "health checks with a header")
    assert fetch(ports["checked"])[0] == 200
    assert proxy.stat("proxy_proto.versions.v2.error") == 0
