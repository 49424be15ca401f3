"""Conditions on headers, query, cookies and the connection: the measured tables of Envoy 1.40.0."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.config.model.matcher import HeaderMatcher
from proxy_core.config.model.route_match import RouteMatch
from proxy_core.http.events import ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.routing.conditions import all_of, conditions_of, response_matcher
from proxy_core.observe.stream_info import StreamInfo
from tests.unit.http.routing.routing_kit import Json, Pairs, read, request, stream

HEADER = "x-a"


def holds(match: Json, path: str = "/", headers: Pairs = (), method: str = "GET", info: "StreamInfo | None" = None) -> bool:
    condition = all_of(conditions_of(read(RouteMatch, {"prefix": "/", **match}), None))
    assert condition is not None
    head = request(path, method=method, headers=headers)
    return condition(head, info if info is not None else stream(head), 0)


@pytest.mark.parametrize("matcher, matching, other", [
    ({"string_match": {"exact": "v"}}, [["v"], ["x", "v"]], [[], ["V"], ["v,w"], [""]]),
    ({"string_match": {"exact": "v", "ignore_case": True}}, [["V"]], [["w"]]),
    ({"string_match": {"prefix": "v"}}, [["vw"]], [["wv"], []]),
    ({"string_match": {"suffix": "v"}}, [["wv"]], [["vw"]]),
    ({"string_match": {"contains": "v"}}, [["avb"]], [["w"]]),
    ({"string_match": {"safe_regex": {"regex": "v+"}}}, [["vv"]], [["vx"], []]),
    ({"string_match": {"exact": "\u00e9"}}, [["\xc3\xa9"]], [["\xe9"]]),
    ({"exact_match": "v"}, [["v"]], [["w"]]),
    ({"safe_regex_match": {"regex": "v|w"}}, [["w"]], [["vw"]]),
    ({"range_match": {"start": "-5", "end": "10"}}, [["-5"], ["9"], ["0"]], [["10"], ["9x"], [""], ["+1"], []]),
    ({"present_match": True}, [[""], ["v"]], [[]]),
    ({"present_match": False}, [[]], [["v"], [""]]),
    ({}, [["v"], [""]], [[]]),
    ({"invert_match": True}, [[]], [["v"]]),
    ({"string_match": {"exact": "v"}, "invert_match": True}, [["w"], ["w", "x"]], [["v"], ["w", "v"], []]),
    ({"string_match": {"exact": "v"}, "invert_match": True, "treat_missing_header_as_empty": True}, [[], ["w"]], [["v"]]),
    ({"string_match": {"exact": ""}, "treat_missing_header_as_empty": True}, [[], [""]], [["v"]]),
    ({"present_match": True, "treat_missing_header_as_empty": True}, [[], ["v"]], []),
    ({"present_match": False, "treat_missing_header_as_empty": True}, [], [[], ["v"]]),
])
def test_a_header_matches_if_one_of_its_values_does(matcher: Json, matching: List[List[str]], other: List[List[str]]) -> None:
    match = {"headers": [{"name": "X-A", **matcher}]}
    assert [values for values in matching if not holds(match, headers=[(HEADER, value) for value in values])] == []
    assert [values for values in other if holds(match, headers=[(HEADER, value) for value in values])] == []


def test_all_conditions_must_hold() -> None:
    match = {"headers": [{"name": "x-a"}, {"name": "x-b", "string_match": {"exact": "1"}}], "query_parameters": [{"name": "q"}]}
    assert holds(match, "/?q", [("x-a", ""), ("x-b", "1")])
    assert not holds(match, "/?q", [("x-b", "1")])
    assert not holds(match, "/", [("x-a", ""), ("x-b", "1")])


@pytest.mark.parametrize("name, value", [
    (":path", "/p?q"), (":method", "PUT"), (":authority", "h.test"), ("Host", "h.test"), (":scheme", "http"),
])
def test_the_request_line_is_matched_under_its_pseudo_names(name: str, value: str) -> None:
    match = {"headers": [{"name": name, "string_match": {"exact": value}}]}
    assert holds(match, "/p?q", method="PUT")
    assert not holds({"headers": [{"name": name, "string_match": {"exact": f"{value}x"}}]}, "/p?q", method="PUT")


@pytest.mark.parametrize("matcher, matching, other", [
    ({"string_match": {"exact": "2"}}, ["/q?v=2", "/q?a=1&v=2", "/q?v=2&v=3", "/q?v=2#f"],
     ["/q?v=22", "/q?v=3&v=2", "/q", "/q?V=2"]),
    ({"string_match": {"exact": "1"}}, ["/q?v=1"], ["/q?v=%31", "/q?v"]),
    ({"present_match": True}, ["/q?v", "/q?v=", "/q?v=1"], ["/q?w", "/q", "/v=1"]),
    ({"present_match": False}, ["/q?w", "/q"], ["/q?v"]),
    ({}, ["/q?v"], ["/q?w=v"]),
])
def test_the_first_parameter_of_a_name_counts_as_it_is_written(matcher: Json, matching: List[str], other: List[str]) -> None:
    match = {"query_parameters": [{"name": "v", **matcher}]}
    assert [path for path in matching if not holds(match, path)] == []
    assert [path for path in other if holds(match, path)] == []


@pytest.mark.parametrize("cookies, value", [
    (["c=v"], True), (["a=1; c=v"], True), (["a=1;c=v"], True), (["a=1", "c=v"], True), (['c="v"'], True), (["c=w; c=v"], False),
    (["c"], False), (["c="], False), (["C=v"], False), ([], False), (["cc=v"], False),
])
def test_a_cookie_is_found_in_any_line(cookies: List[str], value: bool) -> None:
    headers = [("cookie", line) for line in cookies]
    match = {"name": "c", "string_match": {"exact": "v"}}
    assert holds({"cookies": [match]}, headers=headers) is value
    assert holds({"cookies": [{**match, "invert_match": True}]}, headers=headers) is not value


@pytest.mark.parametrize("tls, presented", [(None, False), ({"version": "TLSv1.3"}, False), ({"peer_cert": "x"}, True)])
def test_a_client_certificate_may_be_asked_for(tls: Any, presented: bool) -> None:
    info = StreamInfo(1, 0.0, 0.0)
    info.tls = tls
    for name in ("presented", "validated"):
        assert holds({"tls_context": {name: True}}, info=info) is presented
        assert holds({"tls_context": {name: False}}, info=info) is not presented
    assert holds({"tls_context": {}}, info=info)


def test_what_filters_left_may_be_asked_for() -> None:
    info = StreamInfo(1, 0.0, 0.0)
    info.set_dynamic_metadata("ns", {"k": {"j": "v"}})
    info.set_filter_state("s", "text")
    info.set_filter_state("ip", "10.1.2.3")
    metadata = {"filter": "ns", "path": [{"key": "k"}, {"key": "j"}], "value": {"string_match": {"exact": "v"}}}
    missing = {**metadata, "path": [{"key": "z"}]}
    ranges = {"ranges": [{"address_prefix": "10.1.0.0", "prefix_len": 16}]}
    cases: List[Tuple[Dict[str, Any], bool]] = [
        ({"dynamic_metadata": [metadata]}, True), ({"dynamic_metadata": [{**metadata, "invert": True}]}, False),
        ({"dynamic_metadata": [missing]}, False), ({"dynamic_metadata": [{**missing, "invert": True}]}, True),
        ({"filter_state": [{"key": "s", "string_match": {"prefix": "te"}}]}, True),
        ({"filter_state": [{"key": "z", "string_match": {"prefix": "te"}}]}, False),
        ({"filter_state": [{"key": "ip", "address_match": ranges}]}, True),
        ({"filter_state": [{"key": "ip", "address_match": {**ranges, "invert_match": True}}]}, False),
        ({"filter_state": [{"key": "s", "address_match": ranges}]}, False),
    ]
    assert [(match, wanted) for match, wanted in cases if holds(match, info=info) is not wanted] == []


def test_responses_are_matched_by_their_headers_and_status() -> None:
    head = ResponseHead(503, headers=Headers([("x-a", "1")]))
    for matcher, wanted in (({"name": "X-A"}, True), ({"name": ":status", "string_match": {"exact": "503"}}, True),
                            ({"name": "x-b"}, False)):
        assert response_matcher(read(HeaderMatcher, matcher))(head) is wanted
