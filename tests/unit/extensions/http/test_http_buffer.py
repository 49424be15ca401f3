"""buffer: the upstream sees a request when all of it is there. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness, assert_body_split_invariant

TYPE = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3."
BUFFER = {"name": "buffer", "typed_config": {"@type": f"{TYPE}Buffer", "max_request_bytes": 10}}


def routed(prefix: str, **fields: Any) -> Dict[str, Any]:
    own = {"buffer": {"@type": f"{TYPE}BufferPerRoute", **fields}} if fields else {}
    return {"match": {"prefix": prefix}, "route": {"cluster": "upstream"}, "typed_per_filter_config": own}


def test_nothing_reaches_the_upstream_before_the_end_and_then_with_its_length() -> None:
    with HttpHarness([BUFFER]) as harness:
        harness.open("POST", length=None)
        harness.data(b"abc")
        harness.data(b"def")
        assert not harness.reached_upstream
        harness.end()
        assert harness.upstream.body == b"abcdef" and harness.upstream.ends == 1
        assert harness.upstream.head is not None and harness.upstream.head.headers.get("content-length") == "6"


def test_however_the_body_is_cut_with_trailers_or_without() -> None:
    for trailers in ((), (("x-sum", "1"),)):
        outcome = assert_body_split_invariant(lambda: [BUFFER], b"0123456789", trailers=trailers)
        assert outcome.upstream[3] == b"0123456789"


@pytest.mark.parametrize("limit", [5, 100])
def test_a_longer_body_is_answered_whatever_the_connections_own_limit_is(limit: int) -> None:
    with HttpHarness([BUFFER], buffer_limit=limit) as harness:
        assert harness.request("POST", body=b"0123456789").status == 200
    for pieces in ([b"0123456789a"], [b"01234", b"56789a"], [b"0123456789", b"a"]):
        with HttpHarness([BUFFER], buffer_limit=limit) as harness:
            harness.open("POST", length=None)
            for piece in pieces:
                harness.data(piece)
            assert harness.response is not None and harness.response.status == 413
            assert harness.response.body == b"Payload Too Large" and not harness.reached_upstream
            assert harness.details in ("", "request_payload_too_large") and harness.stat("downstream_rq_too_large") == 1


def test_one_piece_that_is_too_long_and_the_end_at_once() -> None:
    with HttpHarness([BUFFER]) as harness:
        assert harness.request("POST", body=b"0123456789a").status == 413
        assert not harness.reached_upstream


def test_a_request_without_a_body_is_not_held_up() -> None:
    with HttpHarness([BUFFER]) as harness:
        assert harness.request().status == 200 and "content-length" not in (harness.upstream.head or harness.request()).headers


def test_a_route_has_a_limit_of_its_own_or_none() -> None:
    routes = [routed("/off", disabled=True), routed("/own", buffer={"max_request_bytes": 3}), routed("/")]
    with HttpHarness([BUFFER], routes=routes) as harness:
        assert harness.request("POST", "/off", body=b"0123456789abc").status == 200
        assert harness.request("POST", "/own", body=b"012").status == 200
        assert harness.request("POST", "/own", body=b"0123").status == 413


@pytest.mark.parametrize("fields", [{}, {"max_request_bytes": 0}])
def test_the_limit_is_required(fields: Dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="max_request_bytes"):
        HttpHarness([{"name": "buffer", "typed_config": {"@type": f"{TYPE}Buffer", **fields}}])


def test_a_route_says_something_and_disabled_is_true() -> None:
    for fields in ({"disabled": False}, {"buffer": {"max_request_bytes": 0}}):
        with pytest.raises(ConfigError):
            HttpHarness([BUFFER], routes=[routed("/", **fields)])
