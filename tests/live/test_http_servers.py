"""HTTP through the engine with real servers behind it (nginx, Python's own) and real clients before it: curl, ab, wrk."""

from __future__ import annotations

import hashlib
import random
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest

from tests.live.conftest import Nginx, Server
from tests.support.http_live import Client, http_bootstrap, http_listener, request, route
from tests.support.live import Engine, bootstrap, require, static_cluster, until
from tests.support.live_peers import Upstream
from tests.support.tls_end import CERTS, client_context, data_source, transport_socket, upstream_socket

pytestmark = pytest.mark.live

NewEngine = Callable[..., Engine]
MEGABYTE = 1 << 20
SMALL = b"small\n"


def curl(*arguments: str, **run: Any) -> bytes:
    """What curl prints; it must end well."""
    command = [require("curl"), "--silent", "--show-error", "--max-time", "60", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=90, **run)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def content(size: int) -> bytes:
    """Bytes in which no stretch is like another."""
    return random.Random(7).randbytes(size)


def checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Site(NamedTuple):
    """nginx with a file of 6 bytes and one of 8 MiB, and an engine in front of it whose listener `old` accepts HTTP/1.0."""

    nginx: Nginx
    engine: Engine

    def url(self, listener: str = "main") -> str:
        return f"http://127.0.0.1:{self.engine.port(listener)}"

    def counts(self, *names: str) -> List[int]:
        return [self.engine.stat(name) for name in names]


@pytest.fixture(scope="module")
def site(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    (nginx.site / "small.txt").write_bytes(SMALL)
    (nginx.site / "big").write_bytes(content(8 * MEGABYTE))
    listeners = [
        http_listener("main", [route("backend")]),
        http_listener("old", [route("backend")], http_protocol_options={"accept_http_10": True}),
    ]
    config = bootstrap(listeners, [static_cluster("backend", nginx.port)])
    with Engine(config, tmp_path_factory.mktemp("engine")) as running:
        yield Site(nginx, running)


# -- curl --------------------------------------------------------------------------------------------------------------

def test_curl_gets_heads_and_ranges(site: Site) -> None:
    url = site.url()
    assert curl(f"{url}/small.txt") == SMALL
    head = curl("--head", f"{url}/small.txt").decode().lower()
    assert head.startswith("http/1.1 200 ok\r\n") and "\r\ncontent-length: 6\r\n" in head and "\r\nserver: envoy\r\n" in head
    assert curl("--range", "2-3", "--write-out", " %{http_code}", f"{url}/small.txt") == b"al 206"
    assert curl("--range", "1000000-1000099", f"{url}/big") == content(8 * MEGABYTE)[1_000_000:1_000_100]
    assert curl("--output", "/dev/null", "--write-out", "%{http_code}", f"{url}/absent") == b"404"


def test_curl_reuses_its_connection_and_nginx_is_asked_on_one(site: Site) -> None:
    names = [f"http.main.downstream_{name}" for name in ("cx_total", "rq_total", "rq_2xx")]
    names.append("cluster.backend.upstream_rq_total")
    curl(f"{site.url()}/small.txt")  # from now on there is a connection to nginx
    before, connections = site.counts(*names), site.counts("cluster.backend.upstream_cx_total")
    assert curl(f"{site.url()}/small.txt?[1-50]") == SMALL * 50
    assert [new - old for new, old in zip(site.counts(*names), before)] == [1, 50, 50, 50]
    assert site.counts("cluster.backend.upstream_cx_total") == connections


@pytest.mark.parametrize("how", [["--upload-file"], ["--header", "Transfer-Encoding: chunked", "--upload-file"]])
def test_curl_uploads_with_a_length_and_in_chunks(site: Site, nginx: Nginx, how: List[str]) -> None:
    """A body of more than a megabyte makes curl send Expect: 100-continue."""
    address = f"{site.url()}/copy{len(how)}"
    seen = curl("--verbose", *how, str(nginx.site / "big"), address, "--write-out", "%{http_code}", "--stderr", "-")
    assert b"< HTTP/1.1 100 Continue" in seen and seen.endswith(b"201")
    assert checksum(nginx.site / f"copy{len(how)}") == checksum(nginx.site / "big")


def test_curl_that_reads_slowly_gets_all_of_it(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    """The engine must hold nginx back, and lose nothing."""
    curl("--limit-rate", "16M", "--output", str(tmp_path / "copy"), f"{site.url()}/big")
    assert checksum(tmp_path / "copy") == checksum(nginx.site / "big")


def test_curl_with_http_1_0_is_told_to_upgrade_or_served(site: Site) -> None:
    status = ["--http1.0", "--output", "/dev/null", "--write-out", "%{http_code}"]
    assert curl(*status, f"{site.url()}/small.txt") == b"426"
    url = f"{site.url('old')}/small.txt"
    assert curl("--http1.0", "--include", url).startswith(b"HTTP/1.0 200 OK\r\n")
    assert curl("--http1.0", url, url) == SMALL * 2


def test_an_answer_before_the_end_of_the_upload_arrives(site: Site, nginx: Nginx) -> None:
    """nginx refuses a body of this size at once, and reads no more of it."""
    options = ["--header", "Expect:", "--output", "/dev/null", "--write-out", "%{http_code}"]
    done = subprocess.run(
        [require("curl"), "--silent", "--max-time", "60", *options, "--upload-file", str(nginx.site / "big"), f"{site.url()}/no"],
        capture_output=True, timeout=90,
    )
    assert done.stdout == b"413"


# -- TLS ---------------------------------------------------------------------------------------------------------------

def test_curl_over_tls_to_the_engine_and_from_there_to_nginx(engine: NewEngine, site: Site) -> None:
    nginx = site.nginx
    config = http_bootstrap(nginx.tls_port)
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    chain["transport_socket"] = transport_socket(common={"alpn_protocols": ["http/1.1"]})
    upstream = upstream_socket({"trusted_ca": data_source("ca.crt")}, sni="server.test")
    config["static_resources"]["clusters"][0]["transport_socket"] = upstream
    proxy = engine(config)
    place = ["--cacert", str(CERTS / "ca.crt"), "--resolve", f"server.test:{proxy.port()}:127.0.0.1"]
    url = f"https://server.test:{proxy.port()}"
    assert hashlib.sha256(curl(*place, f"{url}/big")).hexdigest() == checksum(nginx.site / "big")
    assert curl(*place, f"{url}/seen?[1-20]") == b"||server.test" * 20
    assert proxy.stat("cluster.backend.ssl.handshake") == 1


def test_pipelined_requests_over_tls_are_answered_in_order(engine: NewEngine, http_server: Server) -> None:
    for number in range(20):
        (http_server.directory / f"{number}.txt").write_text(f"file {number}")
    config = http_bootstrap(http_server.port)
    config["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = transport_socket()
    proxy = engine(config)
    with Client(proxy.port()) as client:
        client.socket = client_context().wrap_socket(client.socket, server_hostname="server.test")
        client.send(b"".join(request(f"/{number}.txt") for number in range(20)))
        assert [client.answer().body for _ in range(20)] == [f"file {number}".encode() for number in range(20)]
        assert isinstance(client.socket, ssl.SSLSocket)


# -- Python's own server -----------------------------------------------------------------------------------------------

def test_pythons_http_server_which_speaks_http_1_0_behind_a_client_that_keeps_its_connection(
    engine: NewEngine, http_server: Server
) -> None:
    (http_server.directory / "big").write_bytes(content(3 * MEGABYTE))
    proxy = engine(http_bootstrap(http_server.port))
    with Client(proxy.port()) as client:
        for _ in range(5):
            answer = client.ask(request("/big"))
            assert (answer.status, answer.body == content(3 * MEGABYTE)) == (200, True)
        assert client.ask(request("/absent")).status == 404
        assert client.ask(request("/big", method="HEAD"), head_only=True).headers["content-length"] == str(3 * MEGABYTE)
        assert b"Directory listing" in client.ask(request("/")).body
    assert proxy.stat("http.main.downstream_cx_total") == 1
    assert proxy.stat("cluster.backend.upstream_cx_total") == 8  # each is closed after its answer


def test_a_raw_client_pipelines_two_hundred_requests_in_one_send(site: Site) -> None:
    for number in range(10):
        (site.nginx.site / str(number)).write_text(f"file {number}")
    with Client(site.engine.port()) as client:
        client.send(b"".join(request(f"/{number % 10}", *["Connection: close"] * (number == 199)) for number in range(200)))
        assert [client.answer().body for _ in range(200)] == [f"file {number % 10}".encode() for number in range(200)]
        assert client.ends()


# -- load --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kept", [True, False], ids=["kept alive", "closed"])
def test_ab_has_no_failure(site: Site, kept: bool) -> None:
    """ab speaks HTTP/1.0 with `Connection: Keep-Alive`, which few others do any more."""
    count = 2000 if kept else 1000
    done = subprocess.run(
        [require("ab"), "-q", "-n", str(count), "-c", "20", *(["-k"] if kept else []), f"{site.url('old')}/small.txt"],
        capture_output=True, timeout=120, text=True,
    )
    assert done.returncode == 0, done.stderr
    found = {key: value.split()[0] for key, value in re.findall(r"^([\w /-]+?):\s+(\S.*)$", done.stdout, re.MULTILINE)}
    assert found["Complete requests"] == str(count) and found["Failed requests"] == "0", done.stdout
    assert "Non-2xx responses" not in found, done.stdout
    if kept:
        assert found["Keep-Alive requests"] == str(count), done.stdout


def test_wrk_has_no_socket_error_and_no_bad_status(site: Site) -> None:
    before = site.counts("http.main.downstream_rq_2xx")[0]
    command = [require("wrk"), "-t", "2", "-c", "50", "-d", "3s", f"{site.url()}/small.txt"]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    requests = int(re.findall(r"(\d+) requests in", done.stdout)[0])
    assert requests > 1000
    until(lambda: site.counts("http.main.downstream_cx_active", "cluster.backend.upstream_rq_active") == [0, 0], "all are gone")
    counted = site.counts("http.main.downstream_rq_2xx")[0] - before
    assert requests <= counted <= requests + 50  # those that were under way when it ended
    assert site.counts("cluster.backend.upstream_cx_active")[0] <= 50


def test_wrk_that_gives_up_large_answers(site: Site) -> None:
    """It leaves in the midst of 8 MiB on each connection: the upstream's are closed, and the next client is served."""
    command = [require("wrk"), "-t", "1", "-c", "20", "-d", "1s", f"{site.url()}/big"]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    until(lambda: site.counts("http.main.downstream_cx_active", "cluster.backend.upstream_rq_active") == [0, 0], "all are gone")
    with Client(site.engine.port()) as client:
        assert client.ask(request("/big")).body == content(8 * MEGABYTE)


def test_a_server_that_closes_every_second_idle_connection_costs_no_request_that_may_be_retried(engine: NewEngine) -> None:
    """The classic race of a pool: the server's FIN and our next request meet. With retry_on the client sees nothing of it."""
    def serve(peer: Any) -> None:
        for _ in range(2):
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                more = peer.recv(65536)
                if not more:
                    return
                data += more
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with Upstream(serve) as upstream:
        config: Dict[str, Any] = http_bootstrap(upstream.port)
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        retries = {"retry_on": "reset,connect-failure", "num_retries": 5, "retry_back_off": {"base_interval": "0.001s"}}
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["retry_policy"] = retries
        proxy = engine(config)
        with Client(proxy.port()) as client:
            answers = [client.ask(request("/")) for _ in range(300)]
        assert {(answer.status, answer.body) for answer in answers} == {(200, b"ok")}
