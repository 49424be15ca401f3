"""Health checks of real servers: nginx asked over HTTP, Redis by its own protocol, and what clients get meanwhile."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.live.conftest import Server
from tests.support.live import Engine, address, bootstrap, free_port, require, tcp_listener, until

pytestmark = pytest.mark.live

NewEngine = Callable[..., Engine]
OFTEN = {
    "timeout": "2s", "interval": "0.05s", "no_traffic_interval": "0.05s", "healthy_threshold": 1, "unhealthy_threshold": 2,
}


def nginx_in(directory: Path) -> Server:
    """nginx that is well while there is a file `health`."""
    program, port = require("nginx", "/usr/sbin"), free_port()
    directory.mkdir()
    (directory / "health").write_text("all is well\n")
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;\n"
        "events {}\n"
        f"http {{ access_log {directory}/access; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;\n"
        f"fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {directory}; location = /who {{ return 200 '{directory.name}'; }} }} }}\n"
    )
    return Server([program, "-c", str(directory / "nginx.conf"), "-e", str(directory / "errors")], port, directory)


@pytest.fixture
def nginxes(tmp_path: Path) -> Iterator[List[Server]]:
    """Two of them."""
    servers: List[Server] = []
    try:
        for name in ("one", "two"):
            servers.append(nginx_in(tmp_path / name))
        yield servers
    finally:
        for server in servers:
            server.stop()


def proxy_to(ports: List[int], check: Dict[str, Any]) -> Dict[str, Any]:
    members = [{"endpoint": {"address": address(port)}} for port in ports]
    cluster = {
        "name": "c", "health_checks": [{**OFTEN, **check}], "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": members}]},
    }
    return bootstrap([tcp_listener("main", "c")], [cluster])


def flags(engine: Engine) -> List[str]:
    return [line.rpartition("::")[2] for line in engine.admin("/clusters").splitlines() if "::health_flags::" in line]


def served_by(engine: Engine, count: int = 8) -> List[str]:
    """Who answers so many requests, each on a connection of its own; "" for nobody."""
    found = []
    for _ in range(count):
        with engine.connect() as client:
            client.sendall(b"GET /who HTTP/1.0\r\n\r\n")
            answer = b""
            while True:
                data = client.recv(65536)
                if not data:
                    break
                answer += data
        found.append(answer.rpartition(b"\r\n\r\n")[2].decode())
    return found


def test_an_nginx_that_says_it_is_ill_gets_no_clients_until_it_says_it_is_well(engine: NewEngine, nginxes: List[Server]) -> None:
    check = {"http_health_check": {"path": "/health", "receive": [{"text": b"well".hex()}]}}
    proxy = engine(proxy_to([server.port for server in nginxes], check))
    assert flags(proxy) == ["healthy", "healthy"] and set(served_by(proxy)) == {"one", "two"}
    health = nginxes[0].directory / "health"
    health.unlink()
    until(lambda: flags(proxy) == ["/failed_active_hc", "healthy"], "the first nginx is out")
    assert set(served_by(proxy)) == {"two"}
    health.write_text("not so\n")
    failures = proxy.stat("cluster.c.health_check.failure")
    until(lambda: proxy.stat("cluster.c.health_check.failure") > failures + 2, "it is asked again")
    assert flags(proxy)[0] == "/failed_active_hc"
    health.write_text("well again\n")
    until(lambda: flags(proxy) == ["healthy", "healthy"], "the first nginx is back")
    assert set(served_by(proxy)) == {"one", "two"}
    assert proxy.stat("cluster.c.health_check.network_failure") == 0
    log = (nginxes[1].directory / "access").read_text()
    assert '"GET /health HTTP/1.1" 200' in log and '"Envoy/HC"' in log


def test_an_nginx_that_is_killed_is_out_as_soon_as_two_checks_have_failed(engine: NewEngine, nginxes: List[Server]) -> None:
    proxy = engine(proxy_to([server.port for server in nginxes], {"http_health_check": {"path": "/health"}}))
    nginxes[1].stop()
    until(lambda: flags(proxy) == ["healthy", "/failed_active_hc"], "the second nginx is out")
    assert served_by(proxy) == ["one"] * 8
    assert proxy.stat("cluster.c.membership_healthy") == 1


def test_a_redis_can_be_taken_out_by_a_key(engine: NewEngine, redis: Any) -> None:
    kind = "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis"

    def tell(*words: str) -> None:
        subprocess.run([require("redis-cli"), "-p", str(redis.port), *words], check=True, stdout=subprocess.DEVNULL, timeout=20)
    check = {"custom_health_check": {"name": "r", "typed_config": {"@type": kind, "key": "proxy_core:maintenance"}}}
    tell("del", "proxy_core:maintenance")
    proxy = engine(proxy_to([redis.port], check))
    assert flags(proxy) == ["healthy"]
    tell("set", "proxy_core:maintenance", "1")
    try:
        until(lambda: flags(proxy) == ["/failed_active_hc"], "Redis is out")
        assert proxy.stat("cluster.c.health_check.redis.exists_failure") >= 1
    finally:
        tell("del", "proxy_core:maintenance")
    until(lambda: flags(proxy) == ["healthy"], "Redis is back")


def test_a_redis_is_asked_by_ping_on_one_connection(engine: NewEngine, redis: Any) -> None:
    kind = "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis"
    proxy = engine(proxy_to([redis.port], {"custom_health_check": {"name": "r", "typed_config": {"@type": kind}}}))
    descriptors = proxy.settled_descriptors()
    until(lambda: proxy.stat("cluster.c.health_check.success") > 10, "Redis has been asked ten times")
    assert flags(proxy) == ["healthy"] and proxy.stat("cluster.c.health_check.failure") == 0
    assert proxy.settled_descriptors() == descriptors
