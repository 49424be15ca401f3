"""One of three Redis servers dies by SIGKILL while clients come and go: who notices, and for how long.

A client may lose the connection that was on that server, and no other: a new connection that finds the server
gone is given to another host before its client hears of it. When the host is out of rotation, and when it is
back, is what the health checks say; nothing here looks at the clock.
"""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest

from tests.live.conftest import Server
from tests.support.live import Engine, address, bootstrap, free_port, require, tcp_listener, until

pytestmark = pytest.mark.live

NewEngine = Callable[..., Engine]
REDIS_CHECK = {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis"}}
CHECKS: Dict[str, Dict[str, Any]] = {"tcp": {"tcp_health_check": {}}, "redis": {"custom_health_check": REDIS_CHECK}}
THREADS = 6
TURNS = 3  # questions on one connection
BENCHMARKS = 6


class Redis:
    """A Redis on a port of its own that can die and come back; its key `who` is its port."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.port = free_port()
        self._directory = directory
        self._command = [
            require("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        ]
        self.start()

    def start(self) -> None:
        self._server = Server(self._command, self.port, self._directory)
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            who = str(self.port)
            client.sendall(f"SET who {who}\r\n".encode())
            assert client.recv(100) == b"+OK\r\n"

    def kill(self) -> None:
        """SIGKILL; it is dead when this returns."""
        self._server.stop()


@pytest.fixture
def redises(tmp_path: Path) -> Iterator[List[Redis]]:
    servers: List[Redis] = []
    try:
        for number in range(3):
            servers.append(Redis(tmp_path / f"redis{number}"))
        yield servers
    finally:
        for server in servers:
            server.kill()


def proxy_to(ports: List[int], check: Dict[str, Any]) -> Dict[str, Any]:
    """A proxy that asks each host every 50 ms, ejects on refused connections, and tries three hosts."""
    listener = tcp_listener("main", "c")
    listener["filter_chains"][0]["filters"][0]["typed_config"]["max_connect_attempts"] = 3
    often = {"timeout": "2s", "interval": "0.05s", "no_traffic_interval": "0.05s", "healthy_threshold": 2, "unhealthy_threshold": 2}
    members = [{"endpoint": {"address": address(port)}} for port in ports]
    cluster = {
        "name": "c", "type": "STATIC", "connect_timeout": "5s", "health_checks": [{**often, **check}],
        "outlier_detection": {
            "interval": "0.1s", "base_ejection_time": "0.1s", "max_ejection_percent": 50,
            "split_external_local_origin_errors": True, "consecutive_local_origin_failure": 3,
            "enforcing_consecutive_local_origin_failure": 100,
        },
        "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": members}]},
    }
    return bootstrap([listener], [cluster])


def of_hosts(engine: Engine, field: str) -> Dict[int, str]:
    """What /clusters says of each host, by its port."""
    pattern = re.compile(r"^c::127\.0\.0\.1:(\d+)::" + field + "::(.*)$", re.MULTILINE)
    return {int(port): value for port, value in pattern.findall(engine.admin("/clusters"))}


def is_out(engine: Engine, port: int) -> bool:
    return "/failed_active_hc" in of_hosts(engine, "health_flags")[port]


def all_healthy(engine: Engine) -> bool:
    return set(of_hosts(engine, "health_flags").values()) == {"healthy"}


class Served(NamedTuple):
    """One client's connection. who: the ports that answered; ok: every question was answered."""

    who: List[int]
    ok: bool


def ask_who(client: socket.socket) -> int:
    """The port of the Redis at the other end, which is asked; OSError if it does not answer."""
    client.sendall(b"GET who\r\n")
    answer = b""
    while answer.count(b"\r\n") < 2:
        data = client.recv(100)
        if not data:
            raise ConnectionError("the connection ended")
        answer += data
    return int(answer.split(b"\r\n")[1])


class Traffic:
    """Clients that connect, ask, leave and connect again, each in a thread, until they are stopped."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopped = threading.Event()
        self.served: List[Served] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.served.append(self._one())

    def _one(self) -> Served:
        who: List[int] = []
        try:
            with socket.create_connection(("127.0.0.1", self._port), 30) as client:
                for _ in range(TURNS):
                    who.append(ask_who(client))
        except OSError:
            return Served(who, False)
        return Served(who, True)

    def goes_on(self, connections: int = 60) -> None:
        """Waits until so many more connections have been served."""
        enough = len(self.served) + connections
        until(lambda: len(self.served) >= enough, "clients are served", 30)

    def since(self, start: int) -> List[int]:
        """Who served the clients from number `start` on."""
        return [one.who[0] for one in self.served[start:] if one.who]


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_clients_lose_no_more_than_the_connections_that_were_on_the_redis_that_is_killed(
    engine: NewEngine, redises: List[Redis], kind: str
) -> None:
    ports = [one.port for one in redises]
    victim, others = redises[1], {redises[0].port, redises[2].port}
    proxy = engine(proxy_to(ports, CHECKS[kind]))
    assert all_healthy(proxy)
    stays = [proxy.connect() for _ in range(6)]  # two on each
    on_victim = [client for client in stays if ask_who(client) == victim.port]
    assert len(on_victim) == 2

    with Traffic(proxy.port()) as traffic:
        traffic.goes_on()
        assert set(traffic.since(0)) == set(ports)
        victim.kill()
        until(lambda: is_out(proxy, victim.port), "the dead host is out of rotation")
        traffic.goes_on(THREADS)  # those that had been given a host before
        out_from = len(traffic.served)
        traffic.goes_on()
        assert set(traffic.since(out_from)) == others
        assert proxy.stat("cluster.c.membership_healthy") == 2

        victim.start()
        until(lambda: all_healthy(proxy), "the host is back")
        until(lambda: victim.port in traffic.since(out_from), "it serves again")

    lost = [one for one in traffic.served if not one.ok]
    assert len(lost) <= THREADS, lost  # at most what each client had open
    assert all(set(one.who) <= {victim.port} for one in lost), lost
    assert all(len(set(one.who)) == 1 for one in traffic.served if one.ok)
    assert proxy.stat("cluster.c.upstream_cx_connect_attempts_exceeded") == 0
    assert proxy.stat("cluster.c.upstream_cx_none_healthy") == 0
    for client in stays:
        with client:
            if client in on_victim:
                with pytest.raises(OSError):
                    ask_who(client)
            else:
                assert ask_who(client) in others


def benchmark(port: int, *arguments: str) -> List[str]:
    return [require("redis-benchmark"), "-h", "127.0.0.1", "-p", str(port), "-q", "-t", "get", *arguments]


def test_redis_benchmarks_on_the_killed_host_end_and_all_others_go_on(engine: NewEngine, redises: List[Redis]) -> None:
    proxy = engine(proxy_to([one.port for one in redises], CHECKS["tcp"]))
    command = benchmark(proxy.port(), "-c", "1", "-n", "100000000")
    running = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(BENCHMARKS)
    ]
    try:
        def served() -> Dict[int, int]:
            return {port: int(count) for port, count in of_hosts(proxy, "cx_active").items()}

        # each asks for the server's settings on a connection of its own, before the one that it measures
        until(
            lambda: proxy.stat("tcp.main.downstream_cx_total") == 2 * BENCHMARKS and sum(served().values()) == BENCHMARKS,
            "each benchmark has its connection",
        )
        before = served()
        victim = max(redises, key=lambda one: before[one.port])
        victim.kill()
        until(lambda: is_out(proxy, victim.port), "the dead host is out of rotation")
        until(lambda: served()[victim.port] == 0, "its connections are closed")
        until(
            lambda: sum(one.poll() is not None for one in running) == before[victim.port], "benchmarks without server end"
        )
        answered = proxy.stat("cluster.c.upstream_cx_rx_bytes_total")
        until(lambda: proxy.stat("cluster.c.upstream_cx_rx_bytes_total") > answered + 10_000, "the others are served")
        assert sum(one.poll() is None for one in running) == BENCHMARKS - before[victim.port]
    finally:
        for one in running:
            one.kill()
            one.wait()


def test_a_benchmark_that_connects_for_each_request_does_not_notice_a_host_that_is_gone_or_comes_back(
    engine: NewEngine, redises: List[Redis]
) -> None:
    proxy = engine(proxy_to([one.port for one in redises], CHECKS["redis"]))
    victim = redises[2]
    victim.kill()  # and nobody has told the proxy
    command = benchmark(proxy.port(), "-c", "8", "-n", "1000", "-k", "0")
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until(lambda: is_out(proxy, victim.port), "the dead host is out of rotation")
    victim.start()
    report = running.communicate(timeout=60)[0].decode()
    assert running.returncode == 0 and "requests per second" in report, report
    until(lambda: all_healthy(proxy), "the host is back")
