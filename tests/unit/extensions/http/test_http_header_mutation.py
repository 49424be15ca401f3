"""header_mutation: headers, trailers, the query, and the order of the levels of a route. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import Answer, HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3."
Json = Dict[str, Any]


def filter_(more: Json = {}, **mutations: Any) -> Json:
    return {"name": "hm", "typed_config": {"@type": f"{TYPE}HeaderMutation", "mutations": mutations, **more}}


def append(key: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD", **more: Any) -> Json:
    return {"append": {"header": {"key": key, "value": value}, "append_action": action, **more}}


def parameter(key: str, value: Any, action: str = "APPEND_IF_EXISTS_OR_ADD") -> Json:
    return {"append": {"record": {"key": key, "value": value}, "action": action}}


def sent(harness: HttpHarness, *headers: Tuple[str, str]) -> List[Tuple[str, str]]:
    """The headers that a request with these ones had behind the filter."""
    harness.request(headers=headers)
    assert harness.upstream.head is not None
    return [pair for pair in harness.upstream.head.headers.items() if pair[0] != "x-forwarded-proto"]


def path_of(harness: HttpHarness, path: str) -> str:
    harness.request(path=path, headers=[("x-in", "I")])
    assert harness.upstream.head is not None
    return harness.upstream.head.path


def test_mutations_are_made_one_after_the_other() -> None:
    one = filter_(request_mutations=[
        append("X-A", "1"), append("x-a", "%REQ(x-in)%"), {"remove": "X-Gone"},
        append("x-over", "o", "OVERWRITE_IF_EXISTS_OR_ADD"), {"remove_on_match": {"key_matcher": {"prefix": "x-rm"}}},
        append("x-if", "new", "OVERWRITE_IF_EXISTS"), append("x-absent", "new", "ADD_IF_ABSENT"), append("via", "2"),
    ])
    with HttpHarness([one]) as harness:
        given = [
            ("x-in", "I"), ("x-gone", "g"), ("x-over", "1"), ("x-over", "2"), ("x-rm1", "a"), ("x-rm2", "b"), ("x-if", "old"),
            ("x-absent", "old"), ("via", "1"),
        ]
        assert sent(harness, *given) == [
            ("x-in", "I"), ("x-absent", "old"), ("via", "1,2"), ("x-a", "1"), ("x-a", "I"), ("x-over", "o"), ("x-if", "new"),
        ]
        assert sent(harness) == [("x-a", "1"), ("x-over", "o"), ("x-absent", "new"), ("via", "2")]


def test_an_empty_value_adds_nothing_unless_it_is_to_be_kept() -> None:
    one = filter_(request_mutations=[append("x-e", "%REQ(nope)%"), append("x-kept", "", keep_empty_value=True)])
    with HttpHarness([one]) as harness:
        assert sent(harness) == [("x-kept", "")]


def test_responses_and_their_trailers_whoever_made_them() -> None:
    one = filter_(
        response_mutations=[append("x-r", "%RESPONSE_CODE% %RESP(x-up)%"), {"remove": "x-up"}],
        response_trailers_mutations=[append("x-t", "new")], request_trailers_mutations=[append("x-q", "new")],
    )
    answer = Answer(201, (("x-up", "u"),), (b"body",), (("x-t", "old"),))
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]
    with HttpHarness([one], routes=routes, answer=answer) as harness:
        response = harness.request("POST", body=b"b", trailers=[("x-q", "old")])
        assert response.headers.get("x-r") == "201 u" and "x-up" not in response.headers
        assert response.trailers is not None and response.trailers.get_all("x-t") == ["old", "new"]
        assert harness.upstream.trailers is not None and harness.upstream.trailers.get_all("x-q") == ["old", "new"]


@pytest.mark.parametrize("path, expected", [
    ("/p?q=1&z=2&k=3", "/p?k=3&n=I&q=a%20b"),
    ("/p", "/p?n=I&q=a%20b"),
    ("/p?", "/p?n=I&q=a%20b"),
    ("/p?q=1&q=2&n=0", "/p?n=0&n=I&q=a%20b"),
    ("/p?b&a=x=y", "/p?a=x=y&b=&n=I&q=a%20b"),
    ("/p?%7A=1&%71=2", "/p?n=I&q=a%20b"),
])
def test_the_query_comes_out_by_name(path: str, expected: str) -> None:
    one = filter_(query_parameter_mutations=[
        parameter("q", "a b", "OVERWRITE_IF_EXISTS_OR_ADD"), {"remove": "z"}, parameter("n", "%REQ(x-in)%"),
    ])
    with HttpHarness([one]) as harness:
        assert path_of(harness, path) == expected


def test_parameters_that_are_not_changed_stay_as_they_were_written() -> None:
    with HttpHarness([filter_(query_parameter_mutations=[{"remove": "z"}])]) as harness:
        for query in ("x=%0d%0aevil:1", "x=%26y%3D1", "x=%23", "x=a+b", "%zz=%E9"):
            assert path_of(harness, f"/p?z=1&{query}") == f"/p?{query}"
        assert path_of(harness, "/p?z=1") == "/p"


def test_what_is_added_to_the_query_is_encoded() -> None:
    one = filter_(query_parameter_mutations=[parameter("a&b", "a b/c:d~e*f!'()&=é%%+")])
    with HttpHarness([one]) as harness:
        assert path_of(harness, "/p") == "/p?a%26b=a%20b%2Fc%3Ad%7Ee*f%21%27%28%29%26%3D%C3%A9%25%2B"


@pytest.mark.parametrize("action, with_q, without", [
    ("ADD_IF_ABSENT", "/p?q=1", "/p?q=v"), ("OVERWRITE_IF_EXISTS", "/p?q=v", "/p"), ("APPEND_IF_EXISTS_OR_ADD", "/p?q=1&q=v", "/p?q=v"),
])
def test_actions_on_parameters(action: str, with_q: str, without: str) -> None:
    with HttpHarness([filter_(query_parameter_mutations=[parameter("q", "v", action)])]) as harness:
        assert (path_of(harness, "/p?q=1"), path_of(harness, "/p")) == (with_q, without)


@pytest.mark.parametrize("innermost_last, expected", [(False, ["own", "route", "table"]), (True, ["own", "table", "route"])])
def test_all_levels_of_a_route_have_their_turn(innermost_last: bool, expected: List[str]) -> None:
    def level(name: str) -> Json:
        mutations = {"request_mutations": [append("x-lvl", name)], "response_mutations": [append("x-lvl", name)]}
        return {"hm": {"@type": f"{TYPE}HeaderMutationPerRoute", "mutations": mutations}}

    table = {"route_config": {"typed_per_filter_config": level("table"), "virtual_hosts": [{
        "name": "v", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": level("route")}],
    }]}}
    one = filter_(
        {"most_specific_header_mutations_wins": innermost_last}, request_mutations=[append("x-lvl", "own")],
        response_mutations=[append("x-lvl", "own")],
    )
    with HttpHarness([one], manager=table) as harness:
        response = harness.request()
        assert harness.upstream.head is not None and harness.upstream.head.headers.get_all("x-lvl") == expected
        assert response.headers.get_all("x-lvl") == expected


@pytest.mark.parametrize("mutations, words", [
    ({"request_mutations": [append(":path", "/x")]}, ":-prefixed or host headers may not be modified"),
    ({"request_mutations": [{"remove": ":path"}]}, ":-prefixed or host headers may not be removed"),
    ({"response_mutations": [append("x", "%NOPE%")]}, "NOPE"),
    ({"query_parameter_mutations": [{}]}, "One of 'append'/'remove' must be specified."),
    ({"query_parameter_mutations": [{"remove": "a", **parameter("a", "b")}]}, "Only one of 'append'/'remove can be specified."),
    ({"query_parameter_mutations": [parameter("a", 5)]}, "Only string value is allowed for record value."),
    ({"query_parameter_mutations": [{"append": {}}]}, "No record specified for append mutation."),
    ({"query_parameter_mutations": [parameter("a", "%REQ")]}, "query_parameter_mutations"),
    ({"formatters": [{"name": "x"}]}, "formatters"),
])
def test_what_cannot_be_done_is_refused(mutations: Json, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpHarness([filter_(**mutations)])
    assert words in str(caught.value)
