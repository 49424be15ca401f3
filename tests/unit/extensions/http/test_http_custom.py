"""HTTP filters of one's own: what they are made with, what a route may say, and what their mistakes cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Type

import pytest

from proxy_core.buffer import Buffer
from proxy_core.config.load import decode_bootstrap
from proxy_core.errors import ConfigError
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.filter_api import CONTINUE, FilterStatus, HttpFilter
from proxy_core.http.headers import Headers
from proxy_core.server.extensions import Extensions
from proxy_core.testing import Proxy
from proxy_core.testing.http import Answer, HttpHarness

OWN = '''
from proxy_core.http.filter_api import CONTINUE, STOP_ITERATION, HttpFilter

class Greeter(HttpFilter):
    def __init__(self, config):
        self.word = config["word"]

    def decode_headers(self, head, end_stream):
        word = (self.decoder.route_config() or {}).get("word", self.word)
        if word == "oops":
            raise RuntimeError("no word")
        self.decoder.send_local_reply(200, word.encode() + b" " + head.path.encode(), "greeted")
        return STOP_ITERATION
'''


class Raises(HttpFilter):
    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        raise RuntimeError("in decode_data")


class RaisesLate(HttpFilter):
    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        raise RuntimeError("in encode_data")


class RaisesInHeadersOfResponse(HttpFilter):
    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        raise RuntimeError("in encode_headers")


class RaisesAtTheEnd(HttpFilter):
    def on_stream_complete(self) -> None:
        raise RuntimeError("in on_stream_complete")

    def on_destroy(self) -> None:
        raise RuntimeError("in on_destroy")


class Seen(HttpFilter):
    """Writes down what it is told."""

    log: List[str] = []

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        head.headers.set("x-seen", "yes")
        return CONTINUE

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        trailers.set("x-seen", "yes")
        return CONTINUE

    def on_destroy(self) -> None:
        self.log.append("destroyed")


def test_each_request_has_a_filter_of_its_own() -> None:
    made: List[Seen] = []

    def make() -> Seen:
        made.append(Seen())
        return made[-1]

    with HttpHarness([make], answer=Answer(200, (), (b"x",), (("x-t", "1"),))) as harness:
        response = harness.request()
        assert response.trailers is not None and response.trailers.get("x-seen") == "yes"
        assert harness.upstream.head is not None and harness.upstream.head.headers.get("x-seen") == "yes"
        harness.request()
        assert len(made) == 2 and made[0] is not made[1]


@pytest.mark.parametrize("kind", [Raises, RaisesInHeadersOfResponse])
def test_an_exception_costs_its_request_and_the_next_one_is_served(kind: Type[HttpFilter]) -> None:
    with HttpHarness([kind], raise_errors=False) as harness:
        assert harness.request("POST", body=b"x").status == 500
        assert harness.details == "filter_exception" and len(harness.errors) == 1
        harness.errors.clear()
        if kind is Raises:
            assert harness.request().status == 200 and not harness.closed


def test_an_exception_after_the_response_has_begun_ends_the_connection() -> None:
    with HttpHarness([RaisesLate], answer=None, raise_errors=False) as harness:
        harness.open()
        harness.act(harness.upstream.respond, 200, (), b"", False)
        harness.act(harness.upstream.send, b"body", True)
        harness.advance(2)
        assert harness.closed and harness.response is not None and not harness.response.complete
        assert [str(error) for error in harness.errors] == ["in encode_data"]
        harness.errors.clear()


def test_an_exception_where_a_filter_is_only_told_something_keeps_nobody_from_hearing_it() -> None:
    Seen.log.clear()
    with HttpHarness([RaisesAtTheEnd, Seen], raise_errors=False) as harness:
        assert harness.request().status == 200 and harness.request().status == 200
        assert Seen.log == ["destroyed", "destroyed"] and len(harness.errors) == 4
        harness.errors.clear()


def config(word: str, target: str = "own_greeter.Greeter") -> Dict[str, Any]:
    prefix = "type.googleapis.com/envoy.extensions.filters."
    routes = [
        {"match": {"prefix": "/route"}, "direct_response": {"status": 204},
         "typed_per_filter_config": {"greet": {"@type": f"python:{target}", "word": "ahoy"}}},
        {"match": {"prefix": "/"}, "direct_response": {"status": 204}},
    ]
    manager = {
        "@type": f"{prefix}network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "greet", "typed_config": {"@type": f"python:{target}", "word": word}},
            {"name": "router", "typed_config": {"@type": f"{prefix}http.router.v3.Router"}},
        ],
    }
    return {"static_resources": {"listeners": [{
        "name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }]}}


def test_a_filter_of_a_file_gets_the_words_of_the_configuration_and_of_the_route(tmp_path: Path) -> None:
    (tmp_path / "own_greeter.py").write_text(OWN)
    with Proxy(config("hello"), filter_path=[str(tmp_path)]) as proxy:
        client = proxy.connect()
        for path, word in (("/a", b"hello /a"), ("/route", b"ahoy /route")):
            client.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(word):
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_filter_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    raw = config("hello", "no_such_module.Greeter")
    with pytest.raises(ConfigError, match="no module 'no_such_module'"):
        decode_bootstrap(raw, Extensions([str(tmp_path)]).types())
