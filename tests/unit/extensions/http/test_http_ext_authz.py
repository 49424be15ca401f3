"""ext_authz: what the server is asked, and what follows from its answer. Answers and stats as measured on Envoy 1.40.

The server is a test's hand behind the client's interface; the way over real connections is tested in `tests/integration`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.http.ext_authz import settings
from proxy_core.http.headers import Headers
from proxy_core.observe.stats import Counter, StatsStore
from proxy_core.testing.http import HttpHarness, Response
from tests.unit.extensions.http.asked_server import AskedServer, Question

TYPE = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3."


class Cluster:
    """As much of a cluster as verdicts are counted below."""

    def __init__(self) -> None:
        self.stats = StatsStore(lambda: 0.0)
        self.scope = self.stats.scope("cluster.c")

    def count(self, name: str) -> int:
        found = self.stats.find(f"cluster.c.{name}")
        assert isinstance(found, Counter)
        return found.value


class Harness(HttpHarness):
    """With the cluster that all requests go to."""

    def __init__(self, filters: List[Dict[str, Any]], **settings: Any) -> None:
        self.cluster = Cluster()
        super().__init__(filters, clusters={"upstream": self.cluster, "c": self.cluster}, **settings)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AsyncClient", AskedServer)


def authz(service: Any = None, **fields: Any) -> Dict[str, Any]:
    uri = {"uri": "http://authz:99/x", "cluster": "authz", "timeout": "0.5s"}
    config = {"@type": f"{TYPE}ExtAuthz", "http_service": {"server_uri": uri, **(service or {})}, **fields}
    return {"name": "ext_authz", "typed_config": config}


def names(*exact: str) -> Dict[str, Any]:
    return {"patterns": [{"exact": name} for name in exact]}


def asked() -> Question:
    return AskedServer.last.questions[-1]


def upstream_headers(harness: HttpHarness) -> List[Tuple[str, str]]:
    assert harness.upstream.head is not None
    return [pair for pair in harness.upstream.head.headers.items() if not pair[0].startswith("x-forwarded") and pair[0] != "x-request-id"]


def settled(harness: HttpHarness, what: Any, *arguments: Any) -> Response:
    harness.act(what, *arguments)
    assert harness.response is not None
    return harness.response


def test_a_request_waits_for_the_verdict_and_says_so() -> None:
    with Harness([authz()]) as harness:
        harness.open("POST", "/p?q=1", [("authorization", "token"), ("x-other", "1")], length=5, host="a.com")
        harness.data(b"hello")
        question = asked()
        assert (question.cluster, question.timeout, question.body) == ("authz", 0.5, b"")
        assert (question.head.method, question.head.path, question.head.authority) == ("POST", "/p?q=1", "a.com")
        assert list(question.head.headers.items()) == [("content-length", "0"), ("authorization", "token")]
        assert not harness.reached_upstream and harness.waits == ["ext_authz: the verdict of cluster authz"]
        assert settled(harness, question.answer).status == 200
        assert harness.upstream.body == b"hello" and harness.stat("ext_authz.ok") == 1 and harness.waits == []


def test_a_refusal_goes_to_the_client_as_the_server_said_it() -> None:
    with Harness([authz()]) as harness:
        harness.open()
        lines = [("x-why", "no"), ("set-cookie", "a"), ("set-cookie", "b"), ("content-type", "text/x")]
        got = settled(harness, asked().answer, 401, lines, b"go away")
        assert (got.status, got.body, got.headers.get("x-why"), got.headers.get("content-type")) == (401, b"go away", "no", "text/x")
        assert got.headers.get_all("set-cookie") == ["a", "b"] and not harness.reached_upstream
        assert harness.stat("ext_authz.denied") == harness.cluster.count("ext_authz.denied") == 1
        assert harness.cluster.count("upstream_rq_401") == harness.cluster.count("upstream_rq_4xx") == 1
    assert harness.details == "ext_authz_denied" and harness.finished[-1].response_flags == ("UAEX",)


@pytest.mark.parametrize("failure", ["reset", "5xx", "no cluster"])
@pytest.mark.parametrize(
    ("fields", "status"), [({}, 403), ({"status_on_error": {"code": "ServiceUnavailable"}}, 503),
    ({"failure_mode_allow": True}, 200)]
)
def test_a_server_that_fails(failure: str, fields: Dict[str, Any], status: int) -> None:
    with Harness([authz(failure_mode_allow_header_add=True, **fields)]) as harness:
        if failure == "no cluster":
            AskedServer.last.fails = True
            got = harness.request()
        else:
            harness.open()
            got = settled(harness, asked().fail) if failure == "reset" else settled(harness, asked().answer, 503)
        assert got.status == status and got.body == b"" and harness.stat("ext_authz.error") == 1
        if status == 200:
            assert upstream_headers(harness) == [("x-envoy-auth-failure-mode-allowed", "true")]
            assert harness.stat("ext_authz.failure_mode_allowed") == 1
    assert harness.details == ("via_upstream" if status == 200 else "ext_authz_error")


def test_which_headers_the_server_gets() -> None:
    request = {"headers_to_add": [{"key": "x-add", "value": "%PROTOCOL%"}, {"key": "x-a", "value": "over"}]}
    allowed = {"patterns": [{"prefix": "x-"}, {"exact": "content-length"}, {"exact": "transfer-encoding"}]}
    filters = [authz({"path_prefix": "/auth", "authorization_request": request}, allowed_headers=allowed, disallowed_headers=names("x-no"))]
    with Harness(filters) as harness:
        harness.open("POST", "/p", [("x-a", "1"), ("x-no", "1"), ("x-b", "2"), ("cookie", "c")], length=3)
        question = asked()
        lines = [pair for pair in question.head.headers.items() if not pair[0].startswith(("x-forwarded", "x-request"))]
        assert question.head.path == "/auth/p"
        assert sorted(lines) == [("content-length", "0"), ("x-a", "over"), ("x-add", "HTTP/1.1"), ("x-b", "2")]
        settled(harness, question.answer, 403)
    with Harness([authz({"path_override": "/fixed"})]) as harness:
        harness.open("GET", "/p?q=1")
        assert asked().head.path == "/fixed"
        settled(harness, asked().answer)


def test_which_headers_of_the_answer_go_where() -> None:
    answer = {
        "allowed_upstream_headers": names("x-set"), "allowed_upstream_headers_to_append": names("x-app", "x-new"),
        "allowed_client_headers": names("x-why"), "allowed_client_headers_on_success": names("x-ok"), "dynamic_metadata_from_headers": names("x-set"),
    }
    lines = [("x-set", "1"), ("x-set", "2"), ("x-app", "b"), ("x-new", "c"), ("x-ok", "o"), ("x-why", "w"), ("location", "/l"), ("x", "y"),
             ("x-envoy-auth-headers-to-remove", "x-gone, :path,host")]
    sent = [("x-set", "client"), ("x-app", "a"), ("x-gone", "1")]
    with Harness([authz({"authorization_response": answer})]) as harness:
        harness.open(headers=sent)
        got = settled(harness, asked().answer, 200, lines)
        assert upstream_headers(harness) == [("x-app", "a"), ("x-set", "2"), ("x-app", "b")]
        assert got.headers.get("x-ok") == "o" and "x-why" not in got.headers
        assert harness.finished[-1].dynamic_metadata == {"ext_authz": {"x-set": "2", "ext_authz_duration": 0}}
        harness.open(headers=sent)
        refused = settled(harness, asked().answer, 302, lines)
        assert [name for name in ("x-why", "location", "x-ok", "x") if name in refused.headers] == ["x-why", "location"]


@pytest.mark.parametrize(
    ("partial", "pieces", "body", "flag"),
    [
        (False, [b"12345"], b"12345", "false"), (False, [b"12345", b"67890"], b"1234567890", "false"),
        (True, [b"12345"], b"12345", "false"),
        (True, [b"1234567890"], b"1234567890", "false"), (True, [b"123456789", b"012"], b"1234567890", "true"),
        (False, [], b"", "false"),
    ],
)
def test_the_server_gets_the_body(partial: bool, pieces: List[bytes], body: bytes, flag: str) -> None:
    fields = {"max_request_bytes": 10, "allow_partial_message": partial}
    with Harness([authz(with_request_body=fields)]) as harness:
        harness.open("POST", length=None)
        for piece in pieces:
            harness.data(piece)
        harness.end()
        assert asked().body == body and asked().head.headers.get("content-length") == str(len(body))
        assert asked().head.headers.get("x-envoy-auth-partial-body") == flag
        settled(harness, asked().answer)
        assert harness.upstream.body == b"".join(pieces) and harness.upstream.ends == 1


def test_a_body_that_is_too_long_for_the_server_is_refused_unasked() -> None:
    for pieces in ([b"12345678901"], [b"123456", b"789012"]):
        with Harness([authz(with_request_body={"max_request_bytes": 10})]) as harness:
            harness.open("POST", length=None)
            for piece in pieces:
                harness.data(piece)
            assert harness.response is not None and harness.response.status == 413 and not AskedServer.last.questions


def test_trailers_end_the_body_and_a_get_has_none() -> None:
    with Harness([authz(with_request_body={"max_request_bytes": 10})]) as harness:
        harness.open("POST", length=None)
        harness.data(b"abc")
        harness.end([("x-sum", "1")])
        assert asked().body == b"abc"
        settled(harness, asked().answer)
        assert harness.upstream.body == b"abc" and harness.upstream.trailers == Headers([("x-sum", "1")])
        harness.open()
        assert "x-envoy-auth-partial-body" not in asked().head.headers
        settled(harness, asked().answer)


def test_a_long_body_waits_without_filling_the_memory() -> None:
    with Harness([authz()], buffer_limit=1000) as harness:
        harness.open("POST", length=5000)
        for _ in range(5):
            harness.data(b"x" * 1000)
        assert not harness.reached_upstream and harness.response is None
        settled(harness, asked().answer)
        assert harness.upstream.body == b"x" * 5000


def routes(**own: Any) -> List[Dict[str, Any]]:
    config = {"ext_authz": {"@type": f"{TYPE}ExtAuthzPerRoute", **own}}
    return [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": config}]


def test_routes_switch_it_off_or_ask_another_server_or_send_it_the_body() -> None:
    with Harness([authz()], routes=routes(disabled=True)) as harness:
        assert harness.request().status == 200 and not AskedServer.last.questions
    other = {"server_uri": {"uri": "http://o", "cluster": "other", "timeout": "1s"}}
    with Harness([authz()], routes=routes(check_settings={"http_service": other})) as harness:
        harness.open()
        assert (asked().cluster, asked().timeout) == ("other", 1.0)
        settled(harness, asked().answer)
    body = {"with_request_body": {"max_request_bytes": 3, "allow_partial_message": True}}
    for filters, own, sent in ((authz(), body, b"abc"), (authz(with_request_body={"max_request_bytes": 9}), {"disable_request_body_buffering": True}, b"")):
        with Harness([filters], routes=routes(check_settings=own)) as harness:
            harness.open("POST", length=5)
            harness.data(b"abcde")
            assert asked().body == sent
            settled(harness, asked().answer)


def test_a_share_of_requests_and_the_others() -> None:
    none = {"default_value": {"numerator": 0}}
    with Harness([authz(filter_enabled=none)]) as harness:
        assert harness.request().status == 200 and harness.stat("ext_authz.disabled") == 1
    with Harness([authz(filter_enabled=none, deny_at_disable={"default_value": True, "runtime_key": "k"})]) as harness:
        assert harness.request().status == 403 and not AskedServer.last.questions


def test_without_a_route_nobody_is_asked() -> None:
    with Harness([authz()], routes=[{"match": {"prefix": "/other"}, "route": {"cluster": "c"}}]) as harness:
        harness.request()
        assert not AskedServer.last.questions


def test_a_client_that_leaves_cancels_the_question() -> None:
    harness = Harness([authz()])
    harness.open()
    harness.hang_up()
    assert asked().cancelled and not harness.reached_upstream


def test_a_long_refusal_is_cut_and_the_stats_can_have_a_name() -> None:
    with Harness([authz(max_denied_response_body_bytes=3, stat_prefix="w")]) as harness:
        harness.open()
        assert settled(harness, asked().answer, 403, (), b"12345").body == b"123" and harness.stat("ext_authz.w.denied") == 1


@pytest.mark.parametrize(
    ("service", "fields", "text"),
    [
        ({"path_prefix": "auth"}, {}, 'path_prefix should start with "/".'),
        ({"path_prefix": "/a", "path_override": "/b"}, {}, "Only one of"),
        ({"authorization_request": {"allowed_headers": {"patterns": [{"exact": "a"}]}}},
        {"allowed_headers": names("b")}, "duplicate configuration"),
        ({"retry_policy": {"num_retries": 1}}, {}, "does not support yet"), ({},
        {"with_request_body": {"max_request_bytes": 0}}, "max_request_bytes"),
        ({"server_uri": {"uri": "http://a", "cluster": "c"}}, {}, "timeout"), ({},
        {"shadow_mode": True}, "does not support yet"),
    ],
)
def test_bad_configurations_are_refused(service: Dict[str, Any], fields: Dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Harness([authz(service, **fields)])
