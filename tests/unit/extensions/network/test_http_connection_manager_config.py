"""The configuration of the HTTP connection manager: what is refused with which sentence, and what local_reply_config does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.extensions.http.router.config import Router
from proxy_core.extensions.network.http_connection_manager.filters import ChainBuilder
from proxy_core.extensions.network.http_connection_manager.parts import HttpFilter as HttpFilterConfig
from proxy_core.errors import Problem
from proxy_core.http.filter_api import HttpFilter
from proxy_core.http.registry import HttpExtension, HttpFilterRegistry
from proxy_core.http.routing.formatting import Formats
from proxy_core.http.services import HttpServices
from proxy_core.observe.stats import StatsStore
from proxy_core.server.extensions import Extensions
from tests.unit.http.connection_manager.hcm_kit import ROUTER, Hcm, decoded, get


@pytest.mark.parametrize("config, sentence", [
    ({"codec_type": "HTTP2"}, "HTTP2 is not supported yet"),
    ({"common_http_protocol_options": {"max_response_headers_kb": 8}}, "max_response_headers_kb cannot be set on"),
    ({"strip_matching_host_port": True, "strip_any_host_port": True}, "can't be set together"),
    ({"http_filters": []}, "at least one filter is needed"),
    ({"tracing": {"verbose": True}}, "tracing"),
    ({"http2_protocol_options": {"allow_connect": True}}, "http2_protocol_options"),
    ({"access_log_options": {}, "flush_access_log_on_new_request": True}, "access_log_options, which replaces it"),
    ({"max_request_headers_kb": 0}, "max_request_headers_kb"),
    ({"stat_prefix": ""}, "stat_prefix"),
    ({"server_name": "a\r\nb"}, "server_name"),
    ({"via": "a\nb"}, "via"),
    ({"scoped_routes": {"name": "x"}}, "scoped_routes"),
    ({"bogus": 1}, "bogus"),
])
def test_what_can_not_work_is_refused_with_a_sentence_that_says_so(config: Dict[str, Any], sentence: str) -> None:
    _, problems = decoded(config)
    assert any(sentence in problem for problem in problems), problems


def chain_problems(filters: List[Dict[str, Any]]) -> List[str]:
    """What building these filters says."""
    context = Context(Extensions().types())
    configs = [decode_message(HttpFilterConfig, one, "", context) for one in filters]
    assert not context.problems
    registry = HttpFilterRegistry([HttpExtension(Router, lambda config, context: HttpFilter, terminal=True)])
    given: Any = SimpleNamespace(
        http=HttpServices(registry, lambda: 0.0), stats=StatsStore(lambda: 0.0),
        reactor=None, clusters=None, pool=None, access_logs=None, runtime=None, drain=None, random=None, singletons=None,
    )
    problems: List[Problem] = []
    ChainBuilder(given, Formats(lambda: 0.0), "web", problems).chain(configs, "f")
    return [str(problem) for problem in problems]


def test_the_router_has_to_be_the_last_filter_and_only_the_last() -> None:
    assert chain_problems([ROUTER]) == []
    assert "must be the terminal filter" in chain_problems([ROUTER, ROUTER])[0]
    unknown = {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}
    assert "is not an HTTP filter" in chain_problems([unknown, ROUTER])[0]
    assert chain_problems([{**unknown, "is_optional": True}, ROUTER]) == []
    assert "can't be disabled" in chain_problems([{**ROUTER, "disabled": True}])[0]


REPLIES = {"local_reply_config": {
    "mappers": [
        {
            "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 404, "runtime_key": "u"}}}},
            "status_code": 410, "body": {"inline_string": "gone\n"},
            "headers_to_add": [{"header": {"key": "x-why", "value": "%RESPONSE_CODE_DETAILS%"}}],
        },
        {
            "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "u"}}}},
            "body_format_override": {
                "text_format_source": {"inline_string": "<%LOCAL_REPLY_BODY%\n%RESPONSE_CODE%>"}, "content_type": "text/html",
            },
        },
    ],
    "body_format": {"json_format": {"s": "%RESPONSE_CODE%", "m": "%LOCAL_REPLY_BODY%", "p": "%REQ(:PATH)%"}},
}}


def test_local_replies_are_mapped_by_the_first_filter_that_passes_and_formatted() -> None:
    hcm = Hcm(REPLIES)
    head, body = hcm.send(get("/none")).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 410 Gone\r\nx-why: route_not_found\r\ncontent-length: ")
    assert b"content-type: application/json" in head
    assert json.loads(body) == {"s": 410, "m": "gone\n", "p": "/none"} and body.endswith(b"\n")
    assert hcm.lines[0].startswith("GET /none 410 NR route_not_found") and hcm.stat("downstream_rq_4xx") == 1
    head, body = hcm.send(get("/hi")).split(b"\r\n\r\n")
    assert json.loads(body) == {"s": 200, "m": "hi", "p": "/hi"}
    head, body = hcm.send(b"BAD\r\n\r\n").split(b"\r\n\r\n")
    assert body == b"<Bad Request\n400>" and b"content-type: text/html" in head


def test_a_body_made_of_a_hostile_path_is_still_json() -> None:
    hcm = Hcm(REPLIES)
    body = hcm.send(get('/none"\\x')).split(b"\r\n\r\n")[1]
    assert json.loads(body)["p"] == '/none"\\x'


def test_answers_of_the_upstream_are_left_alone() -> None:
    hcm = Hcm(REPLIES, direct=False)
    hcm.send(get("/up"))
    hcm.last.answer(404, b"its own", content_length="7")
    assert hcm.got().endswith(b"its own")
