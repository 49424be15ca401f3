"""TLS with programs that are not ours: openssl's client and server, nginx, curl, and PostgreSQL through a proxy that looks away."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.live.conftest import Server
from tests.support.live import Engine, bootstrap, free_port, require, static_cluster, tcp_bootstrap, tcp_listener, until
from tests.support.live_peers import Upstream, echo, receive_exactly, receive_to_end, reset
from tests.support.tls_end import CERTS, TlsEnd, client_context, data_source, transport_socket, upstream_socket

pytestmark = pytest.mark.live

CA = {"trusted_ca": data_source("ca.crt")}
UP_TO_13 = {"tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}}
NewEngine = Callable[..., Engine]


def terminating(upstream_port: int, **tls: Any) -> Dict[str, Any]:
    """A bootstrap that ends TLS towards clients."""
    one = tcp_listener("main", "backend")
    one["filter_chains"][0]["transport_socket"] = transport_socket(**tls)
    return bootstrap([one], [static_cluster("backend", upstream_port)])


def originating(upstream_port: int, *arguments: Any, **tls: Any) -> Dict[str, Any]:
    """A bootstrap that begins TLS towards its upstream."""
    socket_config = upstream_socket(*arguments, **tls)
    return bootstrap([tcp_listener("main", "backend")], [static_cluster("backend", upstream_port, transport_socket=socket_config)])


def s_client(port: int, *options: str, says: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """openssl's client, verifying the server; its output once it has ended."""
    command = [
        require("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "server.test",
        "-CAfile", str(CERTS / "ca.crt"), "-verify_return_error", *options,
    ]
    return subprocess.run(command, input=says, capture_output=True, timeout=60)


# -- clients -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_with_a_certificate(engine: NewEngine, version: str) -> None:
    mine = ["-cert", str(CERTS / "client.crt"), "-key", str(CERTS / "client.key")]
    with Upstream(echo) as upstream:
        proxy = engine(terminating(upstream.port, validation=CA, require_client_certificate=True))
        command = [
            require("openssl"), "s_client", "-connect", f"127.0.0.1:{proxy.port()}", "-servername", "server.test",
            "-CAfile", str(CERTS / "ca.crt"), "-verify_return_error", "-quiet", version, *mine,
        ]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(b"there and back\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"there and back\n"
        client.stdin.close()
        client.kill()
        client.wait()
        without = s_client(proxy.port(), "-quiet", version, says=b"nobody\n")
        assert b"nobody" not in without.stdout
        until(lambda: _ssl_stat(proxy, "fail_verify_no_cert") == 1, "the client without a certificate is counted")
        assert _ssl_stat(proxy, "handshake") == 1


def _ssl_stat(proxy: Engine, name: str) -> int:
    return proxy.stat(f"listener.127.0.0.1_0.ssl.{name}") or proxy.stat(f"listener.127.0.0.1_{proxy.port()}.ssl.{name}")


def test_openssl_s_client_resumes_its_session(engine: NewEngine) -> None:
    with Upstream(echo) as upstream:
        proxy = engine(terminating(upstream.port))
        said = s_client(proxy.port(), "-tls1_2", "-reconnect").stdout
        assert len(re.findall(rb"^New, ", said, re.MULTILINE)) == 1
        assert len(re.findall(rb"^Reused, ", said, re.MULTILINE)) == 5
        assert _ssl_stat(proxy, "session_reused") == 5


def test_renegotiation_is_refused_and_costs_that_connection_only(engine: NewEngine) -> None:
    with Upstream(echo) as upstream:
        proxy = engine(terminating(upstream.port))
        done = s_client(proxy.port(), "-tls1_2", says=b"R\n")
        assert b"RENEGOTIATING" in done.stdout + done.stderr
        assert b"no renegotiation" in done.stderr.lower()
        again = s_client(proxy.port(), "-tls1_2")
        assert b"Verify return code: 0 (ok)" in again.stdout


def broken_handshake(port: int, number: int) -> None:
    """One of the ways in which a handshake does not come to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        hello = TlsEnd(client_context()).take()
        says = (b"GET / HTTP/1.1\r\n\r\n", hello[:len(hello) // 2], b"\x16\x03\x01" + bytes(200), hello + b"garbage" * 9, b"")
        peer.sendall(says[number % len(says)])
        if number % 2:
            reset(peer)


def test_a_thousand_handshakes_with_a_tenth_broken_leave_nothing_behind(engine: NewEngine) -> None:
    context = client_context()
    with Upstream(echo) as upstream:
        proxy = engine(terminating(upstream.port))

        def batch(count: int) -> None:
            for number in range(count):
                if number % 10 == 0:
                    broken_handshake(proxy.port(), number // 10)
                    continue
                with context.wrap_socket(proxy.connect(), server_hostname="server.test") as client:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
        batch(1000)  # caches and the garbage collector's generations fill up
        until(lambda: proxy.stat("tcp.main.downstream_cx_active") == 0, "all are gone")
        files, memory = proxy.settled_descriptors(), proxy.resident_kib()
        batch(1000)
        until(lambda: proxy.stat("tcp.main.downstream_cx_active") == 0, "all are gone")
        assert proxy.settled_descriptors() <= files
        assert proxy.resident_kib() - memory < 2048
        assert _ssl_stat(proxy, "handshake") == 2 * 900


# -- servers -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def s_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts openssl's server: it sends each line back reversed."""
    running: List[Server] = []

    def start(*options: str) -> Server:
        port = free_port()
        own = ["-cert", str(CERTS / "server.crt"), "-key", str(CERTS / "server.key")]
        directory = tmp_path / f"s_server{len(running)}"
        directory.mkdir()
        running.append(Server([require("openssl"), "s_server", "-accept", str(port), *own, "-rev", *options], port, directory))
        return running[-1]
    yield start
    for server in running:
        server.stop()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_server_as_upstream(engine: NewEngine, s_server: Callable[..., Server], version: str) -> None:
    server = s_server(version, "-Verify", "2", "-CAfile", str(CERTS / "ca.crt"), "-verify_return_error")
    proxy = engine(originating(server.port, CA, certificate="client", common=UP_TO_13, sni="server.test"))
    for _ in range(3):
        with proxy.connect() as client:
            client.sendall(b"stressed\n")
            assert receive_exactly(client, 9) == b"desserts\n"
            client.shutdown(socket.SHUT_WR)
            assert receive_to_end(client) == b""
    assert proxy.stat("cluster.backend.ssl.handshake") == 3
    assert proxy.stat("cluster.backend.ssl.session_reused") == 2


def test_an_upstream_with_a_certificate_of_somebody_else_is_not_talked_to(
    engine: NewEngine, s_server: Callable[..., Server]
) -> None:
    server = s_server()
    proxy = engine(originating(server.port, {"trusted_ca": data_source("other_ca.crt")}))
    with proxy.connect() as client:
        client.sendall(b"secret\n")
        with pytest.raises(ConnectionResetError):
            assert receive_to_end(client) == b""
            raise ConnectionResetError  # an end is as good
    assert proxy.stat("cluster.backend.ssl.fail_verify_error") == 1
    assert "secret" not in server.log()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    """nginx with TLS; it answers with the server name that it was asked for and the client's subject."""
    program, port = require("nginx", "/usr/sbin"), free_port()
    certificates = f"ssl_certificate {CERTS}/server.crt; ssl_certificate_key {CERTS}/server.key;"
    temporary = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/errors;\n"
        "events {}\n"
        f"http {{ access_log off; {temporary} server {{\n"
        f"  listen 127.0.0.1:{port} ssl; {certificates}\n"
        f"  ssl_client_certificate {CERTS}/ca.crt; ssl_verify_client on; ssl_protocols TLSv1.2 TLSv1.3;\n"
        '  location / { return 200 "$ssl_server_name $ssl_client_s_dn $ssl_protocol\\n"; }\n'
        "} }\n"
    )
    server = Server([program, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors")], port, tmp_path)
    yield server
    server.stop()


def test_nginx_as_upstream_sees_our_name_for_it_and_our_certificate(engine: NewEngine, nginx: Server) -> None:
    for common, version in (({}, b"TLSv1.2"), (UP_TO_13, b"TLSv1.3")):
        proxy = engine(originating(nginx.port, CA, certificate="client", common=common, sni="server.test"))
        with proxy.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n")
            head, _, body = receive_to_end(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        name, subject, protocol = body.strip().rpartition(b" ")[0].partition(b" ")[0], body, body.split()[-1]
        assert (name, protocol) == (b"server.test", version)
        assert b"CN=client.test" in subject


def test_curl_over_tls_on_both_sides(engine: NewEngine, nginx: Server) -> None:
    config = originating(nginx.port, CA, certificate="client", sni="server.test")
    config["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = transport_socket("server_rsa", "alpha")
    proxy = engine(config)
    for host in ("server.test", "alpha.test"):
        command = [require("curl"), "-sS", "--cacert", str(CERTS / "ca.crt"), "--resolve", f"{host}:{proxy.port()}:127.0.0.1"]
        done = subprocess.run([*command, f"https://{host}:{proxy.port()}/"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"server.test ")


# -- TLS that is none of our business ----------------------------------------------------------------------------------

def test_postgresql_with_ssl_passed_through(engine: NewEngine, postgres: Any) -> None:
    psql = require("psql")
    data = Path(postgres._data)
    for kind in ("crt", "key"):
        file = data / f"server.{kind}"
        shutil.copy(CERTS / f"server.{kind}", file)
        file.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(file, postgres.user)

    def ask(port: int, mode: str, sql: str) -> str:
        target = f"host=127.0.0.1 port={port} user={postgres.user} dbname=postgres sslmode={mode} sslrootcert={CERTS}/ca.crt"
        done = subprocess.run([psql, "-XAt", "-c", sql, target], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()
    ask(postgres.port, "disable", "ALTER SYSTEM SET ssl = on")
    ask(postgres.port, "disable", "SELECT pg_reload_conf()")
    until(lambda: ask(postgres.port, "disable", "SHOW ssl") == "on", "PostgreSQL has switched TLS on")
    proxy = engine(tcp_bootstrap(postgres.port))
    own = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert ask(proxy.port(), "verify-ca", own) == "t"
    ask(postgres.port, "disable", "ALTER SYSTEM RESET ssl")
    ask(postgres.port, "disable", "SELECT pg_reload_conf()")
