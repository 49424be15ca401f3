"""One of three servers, Redis or PostgreSQL, dies by SIGKILL while clients come and go: who notices, and for how long.

A client may lose the connection that was on that server, and no other: a new connection that finds the server
gone is given to another host before its client hears of it. When the host is out of rotation, and when it is
back, is what the health checks say; nothing here looks at the clock.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest

from tests.live.conftest import POSTGRESQL_PLACES, Postgres, Server
from tests.support.live import Engine, accepts, address, bootstrap, free_port, log_records, require, tcp_listener, until

pytestmark = pytest.mark.live

NewEngine = Callable[..., Engine]
REDIS_CHECK = {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis"}}
CHECKS: Dict[str, Dict[str, Any]] = {"tcp": {"tcp_health_check": {}}, "redis": {"custom_health_check": REDIS_CHECK}}
THREADS = 6
TURNS = 3  # questions on one connection
BENCHMARKS = 6
PG_CLIENTS = 6
PG_TRANSACTIONS = 60  # of each client, each on a connection of its own


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


def proxy_to(ports: List[int], check: Dict[str, Any], access_log: Optional[Path] = None) -> Dict[str, Any]:
    """A proxy that asks each host every 50 ms, ejects on refused connections, and tries up to 3 times, each time another
    host."""
    listener = tcp_listener("main", "c", access_log)
    listener["filter_chains"][0]["filters"][0]["typed_config"]["max_connect_attempts"] = 3
    often = {
        "timeout": "2s", "interval": "0.05s", "no_traffic_interval": "0.05s", "healthy_threshold": 2, "unhealthy_threshold": 2,
    }
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
    """One client's connection. begun: its place in the order in which they began; who: the ports that answered; ok:
    every question was answered."""

    begun: int
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
        self._numbers = itertools.count()
        self.begun = 0
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
        begun = next(self._numbers)
        self.begun = begun + 1
        try:
            with socket.create_connection(("127.0.0.1", self._port), 30) as client:
                for _ in range(TURNS):
                    who.append(ask_who(client))
        except OSError:
            return Served(begun, who, False)
        return Served(begun, who, True)

    def goes_on(self, connections: int = 60) -> None:
        """Waits until so many more connections have been served."""
        enough = len(self.served) + connections
        until(lambda: len(self.served) >= enough, "clients are served", 30)

    def since(self, start: int) -> List[int]:
        """Who served the clients that began as number `start` or later."""
        return [one.who[0] for one in list(self.served) if one.who and one.begun >= start]


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
        out_from = traffic.begun + THREADS  # each thread may have begun one that it has not counted yet
        until(lambda: len(traffic.since(out_from)) > 60, "clients are served", 30)
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


class PostgresCopy:
    """A server on a copy of the data of a PostgreSQL that is stopped."""

    def __init__(self, data: Path, directory: Path, user: str) -> None:
        directory.mkdir()
        shutil.copytree(data, directory / "data")
        os.chmod(directory / "data", 0o700)
        account = user if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        if account is not None:
            for path in [directory, *directory.rglob("*")]:
                shutil.chown(path, account)
        self.port = free_port()
        self.user = user
        self._directory = directory
        self._account = account
        self.start()

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": str(self._directory)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = require("postgres", POSTGRESQL_PLACES)
        self._process = subprocess.Popen(
            [program, "-D", str(self._directory / "data"), "-p", str(self.port), *options], cwd="/", user=self._account,
            extra_groups=None if self._account is None else [], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: self._process.poll() is not None or accepts(self.port), "PostgreSQL accepts connections", 30)
        assert self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL for the server and for the processes that it made; all are dead when this returns."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # makes no more of them
        made = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.kill()
        for child in made:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass  # gone by itself
        self._process.wait()
        until(lambda: not any(runs(child) for child in made), "its processes have ended")


def runs(process: str) -> bool:
    """False for one that has ended, even if nobody has waited for it yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def postgreses() -> Iterator[List[PostgresCopy]]:
    """Three; initdb is run for one."""
    require("pgbench", POSTGRESQL_PLACES)
    servers: List[PostgresCopy] = []
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        os.chmod(name, 0o755)
        first = Path(name) / "first"
        first.mkdir()
        original = Postgres(first)
        original.stop()
        try:
            for number in range(3):
                servers.append(PostgresCopy(first / "data", Path(name) / str(number), original.user))
            yield servers
        finally:
            for server in servers:
                server.kill()


def start_pgbench(port: int, user: str, script: Path) -> subprocess.Popen[bytes]:
    """A connection for each transaction."""
    script.write_text("SELECT 1;\n")
    command = [
        require("pgbench", POSTGRESQL_PLACES), "-h", "127.0.0.1", "-p", str(port), "-U", user, "-n", "-C", "-f", str(script),
        "-c", str(PG_CLIENTS), "-t", str(PG_TRANSACTIONS), "postgres",
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def processed(report: str) -> int:
    found = re.search(r"number of transactions actually processed: (\d+)", report)
    assert found is not None, report
    return int(found.group(1))


def test_pgbench_clients_lose_no_more_than_their_connections_to_the_postgresql_that_is_killed(
    engine: NewEngine, postgreses: List[PostgresCopy], tmp_path: Path
) -> None:
    log, user = tmp_path / "access.log", postgreses[0].user
    proxy = engine(proxy_to([one.port for one in postgreses], CHECKS["tcp"], log))
    victim = postgreses[1]
    running = start_pgbench(proxy.port(), user, tmp_path / "script")
    until(lambda: proxy.stat("tcp.main.downstream_cx_total") > 60, "clients are served", 30)
    victim.kill()
    until(lambda: is_out(proxy, victim.port), "the dead host is out of rotation")
    report = running.communicate(timeout=60)[0].decode()
    aborted = len(re.findall(r"client \d+ (?:script \d+ )?aborted", report))
    assert aborted < PG_CLIENTS, report
    assert processed(report) >= (PG_CLIENTS - aborted) * PG_TRANSACTIONS, report

    victim.start()
    until(lambda: all_healthy(proxy), "the host is back")
    until(lambda: answers(victim.port, user), "it has recovered what it had written")
    before = int(of_hosts(proxy, "cx_total")[victim.port])
    running = start_pgbench(proxy.port(), user, tmp_path / "script")
    report = running.communicate(timeout=60)[0].decode()
    assert running.returncode == 0 and processed(report) == PG_CLIENTS * PG_TRANSACTIONS, report
    assert int(of_hosts(proxy, "cx_total")[victim.port]) > before

    proxy.stop()
    assert all(record["up"].isdigit() for record in log_records(log))  # each client had a host: who refused was passed over


def answers(port: int, user: str) -> bool:
    command = [require("psql", POSTGRESQL_PLACES), "-h", "127.0.0.1", "-p", str(port), "-U", user, "-c", "SELECT 1", "postgres"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).returncode == 0
