"""ext_authz and jwt_authn over real connections: the servers that they ask are `http.server`s."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from proxy_core.testing import Proxy
from tests.support.http_live import http_listener, route
from tests.support.live import bootstrap, static_cluster
from tests.unit.extensions.http.jwt_authn.jwt_kit import OCT, TYPE, authn, bearer, jwks, token

ROUTER = {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
AUTHZ = TYPE.replace("jwt_authn", "ext_authz")
Answer = Tuple[int, Dict[str, str], bytes]


class Asked(http.server.ThreadingHTTPServer):
    """A real server. answer: what it says next; questions: the request lines, headers and bodies that came. held: answers wait
    while it is clear."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: Answer = 200, {}, b""
        self.questions: List[Tuple[str, Dict[str, str], bytes]] = []
        self.held = threading.Event()
        self.held.set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Asked

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.questions.append((self.requestline, dict(self.headers.items()), body))
        self.server.held.wait(10)
        status, headers, data = self.server.answer
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def running(filters: Any) -> Iterator[Tuple[Proxy, Asked, Asked]]:
    """The proxy, the server that filters ask (cluster "asked"), and the upstream."""
    with Asked() as asked, Asked() as upstream:
        for server in (asked, upstream):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        clusters = [static_cluster("backend", upstream.server_port), static_cluster("asked", asked.server_port)]
        listener = http_listener("main", [route("backend")], http_filters=[filters, ROUTER])
        try:
            with Proxy(bootstrap([listener], clusters)) as proxy:
                yield proxy, asked, upstream
        finally:
            asked.shutdown()
            upstream.shutdown()


def request(proxy: Proxy, method: str = "GET", path: str = "/", headers: Any = (), body: bytes = b"") -> Tuple[int, Dict[str, str], bytes]:
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    try:
        client.request(method, path, body or None, dict(headers))
        response = client.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        client.close()


def authz(**fields: Any) -> Dict[str, Any]:
    uri = {"uri": "http://authz/", "cluster": "asked", "timeout": "5s"}
    upstream_headers = {"allowed_upstream_headers": {"patterns": [{"prefix": "x-user"}]}}
    service = {"server_uri": uri, "path_prefix": "/auth", "authorization_response": upstream_headers}
    return {"name": "ext_authz", "typed_config": {"@type": f"{AUTHZ}ExtAuthz", "http_service": service, **fields}}


def test_a_server_decides_and_the_upstream_is_told_who_it_is() -> None:
    with running(authz(with_request_body={"max_request_bytes": 100})) as (proxy, asked, upstream):
        asked.answer = 200, {"x-user": "ann"}, b""
        assert request(proxy, "POST", "/p", [("authorization", "t")], b"hello")[0] == 200
        line, headers, body = asked.questions[0]
        assert (line, headers["authorization"], body) == ("POST /auth/p HTTP/1.1", "t", b"hello")
        line, headers, body = upstream.questions[0]
        assert (line, headers["x-user"], body) == ("POST /p HTTP/1.1", "ann", b"hello")
        asked.answer = 401, {"www-authenticate": "Basic"}, b"who are you"
        status, said, data = request(proxy)
        assert (status, said["www-authenticate"], data) == (401, "Basic", b"who are you") and len(upstream.questions) == 1
        stats = proxy.stats()
        assert stats["http.main.ext_authz.ok"] == stats["http.main.ext_authz.denied"] == stats["cluster.backend.ext_authz.denied"] == 1
        assert stats["cluster.backend.upstream_rq_401"] == stats["cluster.asked.internal.upstream_rq_401"] == 1
        assert stats["http.async-client.rq_total"] == 2 and stats["cluster.asked.upstream_cx_total"] == 1


@pytest.mark.parametrize("answer", [(0, {}, b""), (500, {}, b"x")])
def test_a_server_that_fails_lets_nobody_pass(answer: Answer) -> None:
    with running(authz()) as (proxy, asked, upstream):
        asked.answer = answer
        assert request(proxy)[0] == 403 and upstream.questions == []
        assert proxy.stats()["http.main.ext_authz.error"] == 1


def test_a_server_that_is_not_there() -> None:
    with running(authz()) as (proxy, asked, upstream):
        asked.shutdown()
        asked.server_close()
        assert request(proxy)[0] == 403 and upstream.questions == []


def test_a_server_that_does_not_answer_in_time() -> None:
    filters = authz(failure_mode_allow=True)
    filters["typed_config"]["http_service"]["server_uri"]["timeout"] = "0.001s"
    with running(filters) as (proxy, asked, upstream):
        asked.held.clear()
        assert request(proxy)[0] == 200 and proxy.stats()["cluster.asked.upstream_rq_timeout"] == 1
        asked.held.set()


def test_the_keys_of_tokens_come_from_a_server_once_for_many_clients() -> None:
    uri = {"uri": "http://keys.example/jwks", "cluster": "asked", "timeout": "5s"}
    with running(authn(providers={"p": {"issuer": "iss", "remote_jwks": {"http_uri": uri}}})) as (proxy, asked, upstream):
        asked.answer = 200, {}, jwks(OCT).encode()
        answers: List[int] = []
        clients = [threading.Thread(target=lambda: answers.append(request(proxy, headers=bearer(token()))[0])) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert answers == [200] * 8 and [line for line, _, _ in asked.questions] == ["GET /jwks HTTP/1.1"]
        assert asked.questions[0][1]["host"] == "keys.example"
        assert request(proxy, headers=bearer(token(iss="other")))[0] == 401 and len(upstream.questions) == 8
        assert proxy.stats()["http.main.jwt_authn.jwks_fetch_success"] == 1
