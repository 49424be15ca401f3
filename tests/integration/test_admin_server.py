"""The admin of a real process, over TCP and over a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

from tests.support.live import ROOT, Engine, engine_command, until

ECHO = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
TCP_PROXY = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    "stat_prefix": "in",
    "cluster": "echo",
}


def local(port: int) -> Dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(name: str, config: Dict[str, Any]) -> Dict[str, Any]:
    chain = {"filters": [{"name": name, "typed_config": config}]}
    return {"name": name, "address": local(0), "filter_chains": [chain]}


@pytest.fixture
def backend() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def engine(tmp_path: Path, backend: int) -> Iterator[Engine]:
    hosts = [{"endpoint": {"address": local(backend)}}]
    assignment = {"cluster_name": "echo", "endpoints": [{"lb_endpoints": hosts}]}
    cluster = {"name": "echo", "load_assignment": assignment}
    resources = {"listeners": [listener("main", TCP_PROXY), listener("echo", ECHO)], "clusters": [cluster]}
    with Engine({"static_resources": resources}, tmp_path / "engine") as running:
        yield running


def request(engine: Engine, path: str, method: str = "GET") -> Tuple[int, str]:
    host, _, port = engine._address_file.read_text().strip().rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_connections_pairs_both_sides_of_a_proxied_connection(engine: Engine) -> None:
    with engine.connect("main") as client:
        client.sendall(b"hello")
        until(lambda: "upstream echo" in engine.admin("/connections"), "the upstream side is listed")
        listed = json.loads(engine.admin("/connections?format=json"))["connections"]
        found = {one["side"]: one for one in listed if one.get("listener") != "admin"}
        assert found["downstream"]["peer_id"] == found["upstream"]["id"]
        assert found["upstream"]["peer_id"] == found["downstream"]["id"]
        assert found["downstream"]["listener"] == "main"
        assert found["upstream"]["cluster"] == "echo"


def test_drained_listeners_refuse_and_the_admin_stays(engine: Engine) -> None:
    port = engine.port("echo")
    with engine.connect("echo") as old:
        assert request(engine, "/drain_listeners", "POST") == (200, "OK\n")

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refused, "new connections are refused")
        old.sendall(b"still")
        assert old.recv(5) == b"still"
        assert engine.admin("/ready") == "LIVE\n"


def test_reset_counters_and_levels_change_what_the_next_request_sees(engine: Engine) -> None:
    with engine.connect("echo") as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert engine.stat("listener_manager.listener_create_success") == 2
    assert request(engine, "/reset_counters", "POST") == (200, "OK\n")
    assert engine.stat("listener_manager.listener_create_success") == 0
    status, levels = request(engine, "/logging?upstream=debug", "POST")
    assert status == 200 and "  upstream: debug\n" in levels
    assert request(engine, "/logging?upstream=loud", "POST")[0] == 400


def test_quitquitquit_answers_and_the_process_leaves_with_status_0(engine: Engine) -> None:
    assert request(engine, "/quitquitquit", "POST") == (200, "OK\n")
    assert engine.process.wait(10) == 0
    engine._stopped = True


def test_a_unix_socket_admin_answers_whatever_host_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    command_line_admin = {"address": {"pipe": {"path": str(path), "mode": 0o600}}}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"admin": command_line_admin}))
    process = subprocess.Popen([*engine_command(), "-c", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(path.exists, "the socket file is there")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            until(lambda: client.connect_ex(str(path)) == 0, "the admin accepts")
            client.sendall(b"GET /ready HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
            answer = b""
            while b"\r\n0\r\n\r\n" not in answer:
                piece = client.recv(4096)
                assert piece, answer
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 OK") and path.stat().st_mode & 0o777 == 0o600
    finally:
        process.terminate()
        assert process.wait(10) == 0
