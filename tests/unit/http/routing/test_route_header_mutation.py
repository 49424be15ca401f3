"""Headers that a route adds and removes: measured on Envoy 1.40.0."""

from __future__ import annotations

from typing import List, Tuple

import pytest

from proxy_core.config.model.header_mutation import HeaderMutation
from proxy_core.errors import Problem
from proxy_core.http.headers import Headers
from proxy_core.http.routing.header_mutation import in_order, prepare_mutations
from tests.unit.http.routing.routing_kit import (
    Around, Json, Pairs, finalized, forwards, of_routes, read, request, response_headers, says, stream,
)

ADD, ABSENT, OVER, PRESENT = (
    "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS",
)


def add(key: str, value: str, action: str = ADD, **fields: object) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": action, **fields}


def sent(headers: Pairs, *adds: Json, remove: "tuple[str, ...]" = ()) -> List[Tuple[str, str]]:
    """The headers of a request after these changes, without x-forwarded-proto."""
    routes = of_routes(forwards(request_headers_to_add=list(adds), request_headers_to_remove=list(remove)))
    head = finalized(routes, request(headers=headers))
    return [pair for pair in head.headers.items() if pair[0] != "x-forwarded-proto"]


@pytest.mark.parametrize("action, before, after", [
    (ADD, [], [("x-a", "n")]), (ADD, [("x-a", "o")], [("x-a", "o"), ("x-a", "n")]),
    (ABSENT, [], [("x-a", "n")]), (ABSENT, [("x-a", "o")], [("x-a", "o")]),
    (OVER, [], [("x-a", "n")]), (OVER, [("x-a", "o"), ("x-b", "1"), ("x-a", "p")], [("x-b", "1"), ("x-a", "n")]),
    (PRESENT, [], []), (PRESENT, [("x-a", "o")], [("x-a", "n")]),
])
def test_an_action_says_what_becomes_of_a_header_of_that_name(action: str, before: Pairs, after: Pairs) -> None:
    assert sent(before, add("X-A", "n", action)) == after


def test_removals_come_first_then_overwrites_then_additions_and_all_see_what_was_there() -> None:
    found = sent([("x-a", "1"), ("x-b", "2")], add("x-c", "%REQ(x-b)%"), add("x-b", "%REQ(x-b)%+", OVER), remove=("X-A",))
    assert found == [("x-b", "2+"), ("x-c", "2")]
    assert sent([("x-a", "1")], add("x-c", "[%REQ(x-a)%]"), remove=("x-a",)) == [("x-c", "[]")]


def test_headers_that_envoy_keeps_as_one_line_are_joined() -> None:
    assert sent([("user-agent", "ua")], add("user-agent", "added")) == [("user-agent", "ua,added")]
    assert sent([("via", "1.1 a")], add("via", "", keep_empty_value=True)) == [("via", "1.1 a")]
    assert sent([], add("via", "", keep_empty_value=True)) == [("via", "")]
    routes = of_routes(says({"prefix": "/"}, "x", response_headers_to_add=[add("vary", "b"), add("user-agent", "b")]))
    found = response_headers(routes, request(), [("vary", "a"), ("user-agent", "a")])
    assert found == [("vary", "a,b"), ("user-agent", "a"), ("user-agent", "b")]


@pytest.mark.parametrize("value, result", [
    ("v", "v"), ("100%%", "100%"), ("%REQ(x-in)%", "in"), ("a-%REQ(x-none)%-b", "a--b"), ("%REQ(x-none?x-in):1%", "i"),
    ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"), ("%PROTOCOL%", None), ("", None), ("\u00e9", "\xc3\xa9"),
    ("\u00e9%DYNAMIC_METADATA(ns:k)%", "\xc3\xa9a\xc5\x82b"), ("%FILTER_STATE(s:PLAIN)%", "xy"),
    ("%REQ(x-bytes)%", "\xff\xc3\xa9"),
])
def test_values_are_formats_and_empty_ones_are_left_out(value: str, result: "str | None") -> None:
    routes = of_routes(forwards(request_headers_to_add=[add("x-out", value)]))
    head = request(headers=[("x-in", "in"), ("x-bytes", "\xff\xc3\xa9")])
    info = stream(head)
    info.set_dynamic_metadata("ns", {"k": "a\u0142b"})
    info.set_filter_state("s", "x\r\n\0y")
    route = routes.route(head, info, 0)
    assert route is not None
    route.finalize_request(head, info)
    assert head.headers.get("x-out") == result


def test_an_empty_value_may_be_kept() -> None:
    assert sent([], add("x-a", "%REQ(x-none)%", keep_empty_value=True)) == [("x-a", "")]


@pytest.mark.parametrize("specific_wins, order, value", [(False, "rvt", "t"), (True, "tvr", "r")])
def test_levels_add_from_the_most_specific_one_or_the_other_way_round(specific_wins: bool, order: str, value: str) -> None:
    def level(name: str) -> Json:
        return {"request_headers_to_add": [add("x-lvl", name), add("x-over", name, OVER)],
                "response_headers_to_add": [add("x-lvl", name)]}
    routes = of_routes(
        forwards(**level("r")), table_fields={**level("t"), "most_specific_header_mutations_wins": specific_wins}, **level("v")
    )
    head = finalized(routes, request())
    assert "".join(head.headers.get_all("x-lvl")) == order and head.headers.get_all("x-over") == [value]
    assert "".join(text for _, text in response_headers(routes, request())) == order


def test_a_weighted_cluster_changes_headers_before_all_other_levels() -> None:
    cluster = {"name": "c", "weight": 1, "request_headers_to_add": [add("x-lvl", "w")], "request_headers_to_remove": ["x-gone"],
               "response_headers_to_add": [add("x-lvl", "w")]}
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [cluster]}},
             "request_headers_to_add": [add("x-lvl", "r")], "response_headers_to_add": [add("x-lvl", "r")]}
    for wins, order in ((False, "wrv"), (True, "wvr")):
        table_fields = {"most_specific_header_mutations_wins": wins}
        routes = of_routes(route, table_fields=table_fields, request_headers_to_add=[add("x-lvl", "v")])
        head = finalized(routes, request(headers=[("x-gone", "1")]))
        assert "".join(head.headers.get_all("x-lvl")) == order and "x-gone" not in head.headers
        assert "".join(text for _, text in response_headers(routes, request())) == "wr"


def test_a_route_without_changes_says_so() -> None:
    route = of_routes(forwards()).route(request(), stream(request()), 0)
    assert route is not None and not route.changes_request and not route.changes_response
    for fields in ({"request_headers_to_remove": ["x"]}, {"route": {"cluster": "c", "prefix_rewrite": "/x"}}):
        changed = of_routes({**forwards(), **fields}).route(request(), stream(request()), 0)
        assert changed is not None and changed.changes_request and not changed.changes_response


def test_mutations_are_made_one_after_the_other() -> None:
    mutations = [read(HeaderMutation, tree) for tree in (
        {"append": add("x-a", "1")}, {"remove": "X-A"}, {"append": add("x-b", "2")}, {"append": add("x-bb", "3")},
        {"remove_on_match": {"key_matcher": {"prefix": "x-b"}}}, {"append": add("x-c", "4")},
    )]
    change = prepare_mutations(mutations, Around().formats, "m", [])
    assert change is not None
    headers = Headers([("x-b", "0")])
    change(headers, stream(request()))
    assert list(headers.items()) == [("x-c", "4")]


def test_mutations_of_the_request_line_are_refused() -> None:
    problems: List[Problem] = []
    trees: List[Json] = [{"append": add(":path", "1")}, {"remove": ":path"}, {"append": add("a", "%X%")}]
    mutations = [read(HeaderMutation, tree) for tree in trees]
    assert prepare_mutations(mutations, Around().formats, "m", problems) is None
    assert [str(problem) for problem in problems] == [
        "m[0]: :-prefixed or host headers may not be modified", "m[1]: :-prefixed or host headers may not be removed",
        "m[2]: Not supported field in StreamInfo: X",
    ]
    assert in_order([]) is None and in_order([None]) is None
