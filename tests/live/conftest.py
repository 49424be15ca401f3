"""Real servers on free ports and in temporary directories, and the engine between them and the clients."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from tests.support.live import Engine, accepts, free_port, require, until
from tests.support.tls_end import CERTS

POSTGRESQL_PLACES = "/usr/lib/postgresql/*/bin"


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """A function that starts an engine with a bootstrap; each is stopped and judged after the test."""
    with contextlib.ExitStack() as running:
        count = iter(range(100))

        def start(config: Dict[str, Any], *arguments: str) -> Engine:
            return running.enter_context(Engine(config, tmp_path / f"engine{next(count)}", arguments))

        yield start


def _unprivileged() -> Optional[str]:
    """PostgreSQL refuses to run as root: the account to use instead, None when this is not root anyway."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Postgres:
    """A PostgreSQL cluster of its own in a temporary directory, trusting everyone on 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        self._account = _unprivileged()
        self.user = self._account or pwd.getpwuid(os.geteuid()).pw_name
        self._data = directory / "data"
        self._log = directory / "log"
        if self._account is not None:
            shutil.chown(directory, self._account)
        self.port = free_port()
        self._run("initdb", "-D", str(self._data), "--auth=trust", "--no-sync", "-U", self.user)
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        settings += f" -c unix_socket_directories={directory}"
        self._run(
            "pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", settings, "-w", "-t", "60", "start"
        )

    def _run(self, program: str, *arguments: str) -> None:
        path = require(program, POSTGRESQL_PLACES)
        # pg_ctl leaves the server with its stdout, so that must not be a pipe that someone waits on
        done = subprocess.run(
            [path, *arguments],
            user=self._account,
            group=None if self._account is None else pwd.getpwnam(self._account).pw_gid,
            extra_groups=None if self._account is None else [],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
        log = self._log.read_text() if self._log.exists() else ""
        assert done.returncode == 0, f"{program} exited with {done.returncode}: {log}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    for program in ("initdb", "pg_ctl", "pgbench"):
        require(program, POSTGRESQL_PLACES)
    with tempfile.TemporaryDirectory(prefix="pg-") as directory:
        os.chmod(directory, 0o755)
        server = Postgres(Path(directory))
        try:
            yield server
        finally:
            server.stop()


class Server:
    """A server program in the foreground; stopped by its process id."""

    def __init__(self, command: List[str], port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self._log = directory / "server.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until(self._is_up, f"{command[0]} accepts connections")
        except BaseException:
            self.stop()
            raise

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.log()
        return accepts(self.port)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    program, port = require("redis-server"), free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Server([program, *options], port, tmp_path)
    yield server
    server.stop()


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[Server]:
    """Python's own HTTP server, serving an empty directory of its own."""
    port = free_port()
    server = Server([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], port, tmp_path)
    yield server
    server.stop()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Server]:
    """`openssl s_server` with a fresh certificate; it sends each line back reversed."""
    openssl, port = require("openssl"), free_port()
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "2", "-subj", "/CN=backend.test", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
        timeout=60,
    )
    server = Server(
        [openssl, "s_server", "-accept", str(port), "-key", key, "-cert", certificate, "-rev"], port, tmp_path
    )
    yield server
    server.stop()


class Nginx(Server):
    """nginx with one directory, `site`: GET serves it, PUT writes into it. It speaks HTTP on `port` and TLS on `tls_port`."""

    def __init__(self, directory: Path) -> None:
        program, port, self.tls_port = require("nginx", "/usr/sbin"), free_port(), free_port()
        self.site = directory / "site"
        self.site.mkdir(parents=True)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        (directory / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; {temporary} keepalive_requests 1000000; client_max_body_size 100m; server {{\n"
            f"  listen 127.0.0.1:{port}; listen 127.0.0.1:{self.tls_port} ssl;\n"
            f"  ssl_certificate {CERTS}/server.crt; ssl_certificate_key {CERTS}/server.key;\n"
            f"  location / {{ root {self.site}; dav_methods PUT; }}\n"
            '  location /seen { default_type text/plain; return 200 "$http_x_forwarded_for|$http_via|$ssl_server_name"; }\n'
            "  location /no { client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }\n"
            "} }\n"
        )
        super().__init__([program, "-c", str(directory / "nginx.conf"), "-e", str(directory / "errors")], port, directory)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    server = Nginx(tmp_path_factory.mktemp("nginx"))
    yield server
    server.stop()
