"""Everyday clients through the engine: curl to a real HTTP server, openssl to a real TLS server."""

from __future__ import annotations

import hashlib
import random
import subprocess
from typing import Any, Callable

import pytest

from tests.support.live import Engine, require, tcp_bootstrap

pytestmark = pytest.mark.live


def curl(*arguments: str) -> bytes:
    command = [require("curl"), "--silent", "--show-error", "--max-time", "60", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_curl_downloads_a_large_file_whole(engine: Callable[..., Engine], http_server: Any) -> None:
    content = random.Random(8).randbytes(32 << 20)
    (http_server.directory / "large.bin").write_bytes(content)
    proxy = engine(tcp_bootstrap(http_server.port))
    got = curl(f"http://127.0.0.1:{proxy.port()}/large.bin")
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(content).hexdigest()


def test_curl_sees_the_servers_own_status_and_many_requests_in_parallel_succeed(
    engine: Callable[..., Engine], http_server: Any
) -> None:
    (http_server.directory / "small.txt").write_text("small\n")
    proxy = engine(tcp_bootstrap(http_server.port))
    url = f"http://127.0.0.1:{proxy.port()}"
    assert curl("--output", "/dev/null", "--write-out", "%{http_code}", f"{url}/absent") == b"404"
    assert curl("--parallel", "--parallel-max", "20", f"{url}/small.txt?[1-100]") == b"small\n" * 100


def test_openssl_speaks_tls_through_the_engine_to_its_server(
    engine: Callable[..., Engine], tls_server: Any
) -> None:
    proxy = engine(tcp_bootstrap(tls_server.port))
    done = subprocess.run(
        [require("openssl"), "s_client", "-connect", f"127.0.0.1:{proxy.port()}", "-quiet"]
        + ["-CAfile", str(tls_server.directory / "certificate.pem"), "-verify_return_error"],
        input=b"through the proxy\nCLOSE\n",
        capture_output=True,
        timeout=60,
    )
    assert b"yxorp eht hguorht" in done.stdout, done.stderr.decode()
    assert b"CN = backend.test" in done.stderr or b"CN=backend.test" in done.stderr
