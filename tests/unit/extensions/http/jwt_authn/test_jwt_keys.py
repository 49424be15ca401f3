"""Keys from a server: when they are fetched, who waits for them, what follows when there are none. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from proxy_core.config.model.http_uri import HttpUri
from proxy_core.extensions.http.jwt_authn import settings
from proxy_core.extensions.http.jwt_authn.config import JwksAsyncFetch, RemoteJwks
from proxy_core.extensions.http.jwt_authn.keys import RemoteKeys
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.http import HttpHarness, Response
from tests.unit.extensions.http.asked_server import AskedServer, Question
from tests.unit.extensions.http.jwt_authn.jwt_kit import OCT, authn, bearer, jwks, provider, spoilt, token

GOOD = token()
KEYS = jwks(OCT).encode()


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AsyncClient", AskedServer)


def remote(uri: str = "https://keys.example:8443/jwks?v=1", **fields: Any) -> Dict[str, Any]:
    return {"issuer": "iss", "remote_jwks": {"http_uri": {"uri": uri, "cluster": "keys", "timeout": "2s"}, **fields}}


def asked() -> List[Question]:
    return AskedServer.last.questions


def settled(harness: HttpHarness, what: Any, *arguments: Any) -> Response:
    harness.act(what, *arguments)
    assert harness.response is not None
    return harness.response


def test_the_first_request_waits_for_the_keys_and_the_next_ones_do_not() -> None:
    with HttpHarness([authn(providers={"p": remote()})]) as harness:
        harness.open("POST", headers=bearer(GOOD), length=5)
        harness.data(b"hello")
        harness.end()
        question, = asked()
        assert (question.cluster, question.timeout, question.head.method) == ("keys", 2.0, "GET")
        assert (question.head.authority, question.head.path) == ("keys.example:8443", "/jwks?v=1")
        assert harness.waits == ["jwt_authn: the keys of a JWT provider"] and not harness.reached_upstream
        assert settled(harness, question.answer, 200, (), KEYS).status == 200
        assert harness.upstream.body == b"hello" and harness.stat("jwt_authn.jwks_fetch_success") == 1
        assert harness.request(headers=bearer(GOOD)).status == 200
        assert harness.request(headers=bearer(spoilt(GOOD))).status == 401
        assert len(asked()) == 1 and harness.stat("jwt_authn.jwt_cache_miss") == 3


def test_a_request_without_a_token_or_of_another_issuer_asks_nobody() -> None:
    with HttpHarness([authn(providers={"p": remote()})]) as harness:
        assert harness.request().status == 401 and harness.request(headers=bearer(token(iss="x"))).status == 401
        assert asked() == []


@pytest.mark.parametrize("answer", [(404, (), b"x"), (200, (), b""), (200, (), b"{"), (200, (), b'{"keys":[]}'), None, "no cluster"])
def test_without_keys_a_request_is_refused_and_the_next_one_asks_again(answer: Any) -> None:
    with HttpHarness([authn(providers={"p": remote()})]) as harness:
        for number in (1, 2):
            if answer == "no cluster":
                AskedServer.last.fails = True
                got = harness.request(headers=bearer(GOOD))
            else:
                harness.open(headers=bearer(GOOD))
                got = settled(harness, asked()[-1].fail) if answer is None else settled(harness, asked()[-1].answer, *answer)
            assert (got.status, got.body) == (401, b"Jwks remote fetch is failed") and harness.stat("jwt_authn.jwks_fetch_failed") == number


def test_keys_expire() -> None:
    with HttpHarness([authn(providers={"p": remote(cache_duration="5s")})]) as harness:
        harness.open(headers=bearer(GOOD))
        settled(harness, asked()[0].answer, 200, (), KEYS)
        harness.advance(4.9)
        assert harness.request(headers=bearer(GOOD)).status == 200 and len(asked()) == 1
        harness.advance(0.2)
        harness.open(headers=bearer(GOOD))
        assert settled(harness, asked()[1].fail).status == 401


def test_one_provider_without_keys_does_not_stand_in_the_way_of_another() -> None:
    requires = {"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}, {"provider_name": "c"}]}}
    providers = {"a": remote(), "b": remote(), "c": provider()}
    with HttpHarness([authn(requires, providers)]) as harness:
        harness.open(headers=bearer(GOOD))
        harness.act(asked()[0].fail)
        assert len(asked()) == 2 and harness.response is None
        assert settled(harness, asked()[1].answer, 500).status == 200
        assert harness.stat("jwt_authn.allowed") == 1


def test_a_client_that_leaves_waits_no_more() -> None:
    harness = HttpHarness([authn(providers={"p": remote()})])
    harness.open(headers=bearer(GOOD))
    harness.hang_up()
    harness.act(asked()[0].answer, 200, (), KEYS)
    assert not harness.reached_upstream and harness.stat("jwt_authn.allowed") == 0
    assert harness.stat("jwt_authn.jwks_fetch_success") == 1


def test_keys_that_are_fetched_ahead_of_need_and_again_before_they_expire() -> None:
    with HttpHarness([authn(providers={"p": remote(cache_duration="60s", async_fetch={})})]) as harness:
        harness.advance(0.0)
        harness.act(asked()[0].answer, 200, (), KEYS)
        assert harness.request(headers=bearer(GOOD)).status == 200
        harness.advance(54.9)
        assert len(asked()) == 1
        harness.advance(0.2)
        harness.act(asked()[1].fail)
        assert harness.request(headers=bearer(GOOD)).status == 200, "the old keys are used until there are new ones"
        harness.advance(1.1)
        harness.act(asked()[2].answer, 200, (), jwks({**OCT, "k": "AAAA"}).encode())
        assert harness.request(headers=bearer(GOOD)).body == b"Jwt verification fails"


def test_a_request_that_comes_before_the_fetch_ahead_is_over_waits_for_it() -> None:
    with HttpHarness([authn(providers={"p": remote(async_fetch={"failed_refetch_duration": "3s"})})]) as harness:
        harness.open(headers=bearer(GOOD))
        assert len(asked()) == 1
        assert settled(harness, asked()[0].fail).status == 401
        harness.advance(2.9)
        assert len(asked()) == 1
        harness.advance(0.2)
        harness.act(asked()[1].answer, 200, (), KEYS)
        assert harness.request(headers=bearer(GOOD)).status == 200


class Clock:
    """As much of a reactor as timers need."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: List[Callable[[], None]] = []

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        self.timers.append(callback)


def test_keys_of_a_configuration_that_is_gone_are_fetched_no_more() -> None:
    context: Any = type("Context", (), {"reactor": Clock()})()
    clock, client = context.reactor, AskedServer(None)
    config = RemoteJwks(http_uri=HttpUri(uri="http://h/", cluster="keys", timeout=1.0), async_fetch=JwksAsyncFetch())
    keys: Any = RemoteKeys(config, client, context, StatsStore(lambda: 0.0).scope("http.test"))  # type: ignore[arg-type]
    clock.timers.pop()()
    client.questions.pop().fail()
    assert len(clock.timers) == 1
    del keys
    clock.timers.pop()()
    assert client.questions == [] and clock.timers == []


@pytest.mark.parametrize(("uri", "host", "path"), [("http://h/a/b?c", "h", "/a/b?c"), ("https://h:1", "h:1", "/"), ("h/x", "h", "/x")])
def test_the_parts_of_an_uri(uri: str, host: str, path: str) -> None:
    with HttpHarness([authn(providers={"p": remote(uri)})]) as harness:
        harness.open(headers=bearer(GOOD))
        assert (asked()[0].head.authority, asked()[0].head.path) == (host, path)
        settled(harness, asked()[0].fail)
