"""`Proxy`: there when the block begins, gone when it ends, and honest about what happened in between."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.errors import ConfigError
from proxy_core.filters.api import STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.listener.binding import BindError
from proxy_core.network.close import NO_FLUSH
from proxy_core.server.server import Server
from proxy_core.testing import Proxy
from tests.support.running import ROOT, bootstrap, echo_listener, loopback, tcp_listener

ECHO = bootstrap([echo_listener("e")])
BOTH = pytest.mark.parametrize("subprocess", [False, True], ids=["thread", "subprocess"])


class Explodes(NetworkFilter):
    """A filter with a bug."""

    terminal = True

    def __init__(self, config: Dict[str, Any]) -> None:
        pass

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        raise ZeroDivisionError("planted")


class Refuses(NetworkFilter):
    """A filter with a reason."""

    terminal = True

    def __init__(self, config: Dict[str, Any]) -> None:
        pass

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.connection.close(NO_FLUSH, "not_today")
        return STOP_ITERATION


def with_filter(name: str) -> Dict[str, Any]:
    module = "planted_filters"
    chain = {"filters": [{"name": "planted", "typed_config": {"@type": f"python:{module}.{name}"}}]}
    return bootstrap([{"name": "p", "address": loopback(), "filter_chains": [chain]}])


@pytest.fixture(autouse=True)
def planted_filters(tmp_path: Path) -> Iterator[str]:
    """The two filters above, as a module in a directory of a user."""
    lines = Path(__file__).read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("class Explodes"))
    end = next(number for number, line in enumerate(lines) if line.startswith("def with_filter"))
    head = "from __future__ import annotations\nfrom typing import Any, Dict\n" + "".join(
        line for line in lines[:start] if line.startswith(tuple(f"from proxy_core.{part}" for part in ("buffer", "filters", "network")))
    )
    (tmp_path / "planted_filters.py").write_text(head + "".join(lines[start:end]))
    sys.modules.pop("planted_filters", None)
    yield str(tmp_path)
    sys.modules.pop("planted_filters", None)


def exchange(proxy: Proxy, data: bytes = b"hello", listener: str = "") -> None:
    client = proxy.connect(listener)
    client.sendall(data)
    assert client.recv(100) == data
    client.close()


@BOTH
def test_it_is_ready_when_the_block_begins_and_tells_what_happened(subprocess: bool) -> None:
    config = bootstrap([echo_listener("e"), echo_listener("f")])
    with Proxy(config, subprocess=subprocess) as proxy:
        exchange(proxy)
        exchange(proxy, listener="f")
        client = socket.create_connection(("127.0.0.1", proxy.port_of("f")), 10)
        proxy.wait_for(lambda: [row["listener"] for row in proxy.connections()] == ["f"])
        client.close()
        assert proxy.port == proxy.port_of("e") != proxy.port_of("f")
        assert proxy.assert_closed(how="FIN", listener="e")["bytes_in"] == 5
        assert proxy.stats()["server.live"] == 1 and "LIVE" in proxy.get("/ready")
        assert ":" in proxy.admin
        with pytest.raises(AssertionError, match="no listener 'g'; there are: e, f"):
            proxy.port_of("g")


@BOTH
def test_one_after_another_runs_on_one_port(subprocess: bool) -> None:
    with Proxy(ECHO, subprocess=subprocess) as proxy:
        port = proxy.port
        idle = proxy.connect()
        exchange(proxy)
    assert idle.fileno() < 0
    for _ in range(2):
        with Proxy(ECHO, subprocess=subprocess, port=port) as proxy:
            assert proxy.port == port
            exchange(proxy)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 10)


def test_two_run_at_once_and_know_nothing_of_each_other() -> None:
    with Proxy(ECHO) as one, Proxy(ECHO) as other:
        exchange(one)
        one.assert_closed()
        assert other.closed_connections() == [] and one.port != other.port


@BOTH
def test_a_file_with_fixed_ports_gets_free_ones(subprocess: bool) -> None:
    file = ROOT / "proxy_core" / "examples" / "filters" / "upper_lines.json"
    with Proxy(str(file), subprocess=subprocess, free_ports=True) as proxy:
        assert proxy.port != 10000
        client = proxy.connect()
        client.sendall(b"hello\n")
        assert client.recv(100) == b"HELLO\n"


def test_a_listener_and_an_admin_on_unix_sockets_are_reached(tmp_path: Path) -> None:
    config = bootstrap([{**echo_listener("e"), "address": {"pipe": {"path": str(tmp_path / "s")}}}])
    config["admin"] = {"address": {"pipe": {"path": str(tmp_path / "a")}}}
    with Proxy(config) as proxy:
        exchange(proxy)
        assert proxy.admin == str(tmp_path / "a") and proxy.stats()["server.live"] == 1


@BOTH
def test_an_exception_of_a_filter_fails_the_test(subprocess: bool, planted_filters: str) -> None:
    with pytest.raises(AssertionError, match="exception in a handler: planted|ZeroDivisionError") as caught:
        with Proxy(with_filter("Explodes"), subprocess=subprocess, filter_path=[planted_filters]) as proxy:
            client = proxy.connect()
            client.sendall(b"x")
            proxy.assert_closed(how="error")
    assert subprocess or isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_test_that_expects_an_exception_takes_it_out(planted_filters: str) -> None:
    with Proxy(with_filter("Explodes"), filter_path=[planted_filters]) as proxy:
        proxy.connect().sendall(b"x")
        proxy.assert_closed(how="error")
        error = proxy.exceptions.pop()
    assert isinstance(error, ZeroDivisionError)


@BOTH
def test_a_filters_reason_can_be_asserted(subprocess: bool, planted_filters: str) -> None:
    with Proxy(with_filter("Refuses"), subprocess=subprocess, filter_path=[planted_filters], patience=5) as proxy:
        client = proxy.connect()
        client.sendall(b"x")
        assert client.recv(10) == b""
        row = proxy.assert_closed(reason="not_today", by="local", how="policy")
        assert row["listener"] == "p"


def test_a_close_that_did_not_happen_is_told_with_those_that_did(planted_filters: str) -> None:
    with Proxy(with_filter("Refuses"), filter_path=[planted_filters], patience=0.1) as proxy:
        proxy.connect().sendall(b"x")
        with pytest.raises(AssertionError, match="side 'downstream', closed_by 'peer'; closed: .*not_today.*, open: 0"):
            proxy.assert_closed(by="peer")


@BOTH
def test_a_configuration_that_is_wrong_says_so_and_leaves_nothing(subprocess: bool) -> None:
    config = bootstrap([echo_listener("e", listener_filters_timeuot="1s")])
    before = threading.active_count()
    with pytest.raises((ConfigError, AssertionError), match="listener_filters_timeuot"):
        Proxy(config, subprocess=subprocess).__enter__()
    assert threading.active_count() == before


@BOTH
def test_a_port_that_is_taken_is_said(subprocess: bool) -> None:
    with Proxy(ECHO) as first:
        config = bootstrap([echo_listener("e", first.port, enable_reuse_port=False)])
        with pytest.raises((BindError, AssertionError), match="already in use"):
            Proxy(config, subprocess=subprocess).__enter__()


def test_it_waits_for_its_clusters_and_says_when_they_do_not_come() -> None:
    """A check that must have answered once before listeners open, of a host that never does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        host = {"endpoint": {"address": loopback(silent.getsockname()[1])}}
        check = {
            "timeout": "60s", "interval": "60s", "healthy_threshold": 1, "unhealthy_threshold": 1,
            "tcp_health_check": {"send": {"text": "00"}, "receive": [{"text": "01"}]},
        }
        cluster = {
            "name": "c", "type": "STATIC", "health_checks": [check],
            "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [host]}]},
        }
        config = bootstrap([tcp_listener("t", "c")])
        config["static_resources"]["clusters"] = [cluster]
        with pytest.raises(AssertionError, match="not ready after 0.2 s"):
            Proxy(config, patience=0.2).__enter__()


def test_what_runs_inside_can_be_called_in_its_own_thread() -> None:
    with Proxy(ECHO) as proxy:
        assert proxy.call(lambda server: (threading.current_thread().name, len(server.table))) == ("proxy_core", 0)
        with pytest.raises(ZeroDivisionError):
            proxy.call(lambda server: 1 / 0)
    with Proxy(ECHO, subprocess=True) as proxy, pytest.raises(ValueError, match="another process"):
        proxy.call(lambda server: None)


def test_a_proxy_that_was_told_to_quit_ends_well() -> None:
    with Proxy(ECHO) as proxy:
        proxy.call(Server.quit)
    with Proxy(ECHO, subprocess=True) as proxy:
        proxy.wait_for(lambda: proxy.get("/ready"))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells")
def test_what_is_left_behind_fails_the_test_and_is_named() -> None:
    kept: List[int] = []

    def forget(server: Server) -> None:
        """A bug of the engine: somebody keeps a duplicate of a connection's socket."""
        connection = next(one for one in server.table.live() if one.info.listener_name == "e")
        kept.append(os.dup(connection.fd))
    try:
        with pytest.raises(AssertionError, match="still open: 127.0.0.1:[0-9]+, accepted from"):
            with Proxy(ECHO) as proxy:
                client = proxy.connect()
                client.sendall(b"x")
                assert client.recv(10) == b"x"
                proxy.call(forget)
    finally:
        for number in kept:
            os.close(number)


def test_what_the_test_itself_keeps_open_is_its_own_affair() -> None:
    with socket.socket() as backend:
        backend.bind(("127.0.0.1", 0))
        backend.listen(5)
        backend.settimeout(10)
        config = bootstrap([tcp_listener("t", "c")])
        host = {"endpoint": {"address": loopback(backend.getsockname()[1])}}
        config["static_resources"]["clusters"] = [
            {"name": "c", "type": "STATIC", "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [host]}]}}
        ]
        with Proxy(config) as proxy:
            client = socket.create_connection(("127.0.0.1", proxy.port), 10)
            client.sendall(b"x")
            accepted, _ = backend.accept()
        with client, accepted:
            assert accepted.recv(10) == b"x" and accepted.recv(10) == b""


def test_outside_of_its_block_it_says_what_is_wrong() -> None:
    proxy = Proxy(ECHO)
    with pytest.raises(AssertionError, match="within its `with` block"):
        proxy.port


def test_the_pytest_fixture_starts_any_number_and_ends_them(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["proxy_core.testing.pytest_plugin"]\n')
    (tmp_path / "test_it.py").write_text(f"""
import threading

ECHO = {json.dumps(ECHO)}

def test_it(proxy_core_proxy):
    for proxy in (proxy_core_proxy(ECHO), proxy_core_proxy(ECHO, check_leaks=False)):
        client = proxy.connect()
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"

def test_they_are_gone():
    assert threading.active_count() == 1
""")
    flags = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode()
    assert "2 passed" in done.stdout.decode()
