"""Hashes of requests: the rules measured on Envoy 1.40.0, whose placements were compared with ours."""

from __future__ import annotations

from typing import List, Optional

import pytest

from proxy_core.config.model.route_hash import HashPolicy
from proxy_core.hashing import xxhash64
from proxy_core.http.events import RequestHead
from proxy_core.http.routing.request_hash import RequestHash
from proxy_core.observe.filter_state import FilterStateObject
from tests.unit.http.routing.routing_kit import Json, Pairs, forwards, of_routes, read, request, route_of, stream

MASK = (1 << 64) - 1


def hashed(head: RequestHead, *policies: Json, cookies: Optional[List[str]] = None) -> Optional[int]:
    return RequestHash([read(HashPolicy, tree) for tree in policies]).of(head, stream(head), cookies)


def mixed(first: int, second: int) -> int:
    return ((first << 1 & MASK) | first >> 63) ^ second


def header(name: str, **fields: object) -> Json:
    return {"header": {"header_name": name, **fields}}


@pytest.mark.parametrize("values, expected", [
    ([], None), (["a"], xxhash64(b"a")), ([""], xxhash64(b"")), (["b", "a"], xxhash64(b"b", xxhash64(b"a"))),
    (["\xc3\xa9"], xxhash64("\u00e9".encode())),
])
def test_the_values_of_a_header_are_sorted_and_chained(values: List[str], expected: Optional[int]) -> None:
    assert hashed(request(headers=[("x-a", value) for value in values]), header("X-A")) == expected


def test_a_header_may_be_rewritten_first() -> None:
    rewrite = {"pattern": {"regex": "^/([^/]+)/.*$"}, "substitution": r"\1"}
    assert hashed(request("/user/1"), header(":path", regex_rewrite=rewrite)) == xxhash64(b"user")


def test_the_other_parts_of_a_request() -> None:
    head = request("/?a=1&q=%31&q=2", headers=[("cookie", 'c="v"; d=')])
    assert hashed(head, {"query_parameter": {"name": "q"}}) == xxhash64(b"%31")
    assert hashed(head, {"query_parameter": {"name": "z"}}) is None
    assert hashed(head, {"connection_properties": {"source_ip": True}}) == xxhash64(b"10.0.0.1")
    assert hashed(head, {"connection_properties": {"source_ip": False}}) is None
    assert hashed(head, {"cookie": {"name": "c"}}) == xxhash64(b"v")
    assert [hashed(head, {"cookie": {"name": name}}) for name in ("d", "e")] == [None, None]


def test_objects_that_filters_left_are_hashed_if_they_can_be() -> None:
    info = stream(request())
    info.set_filter_state("yes", FilterStateObject("value", hashable=True))
    info.set_filter_state("no", FilterStateObject("value"))
    found = [RequestHash([read(HashPolicy, {"filter_state": {"key": key}})]).of(request(), info) for key in ("yes", "no", "none")]
    assert found == [xxhash64(b"value"), None, None]


@pytest.mark.parametrize("cookie, attributes", [
    ({"ttl": "0s"}, "; HttpOnly"), ({"ttl": "10s"}, "; Max-Age=10; HttpOnly"), ({"ttl": "1.5s"}, "; Max-Age=1; HttpOnly"),
    ({"ttl": "0s", "path": "/p"}, "; Path=/p; HttpOnly"),
    ({"ttl": "60s", "path": "/", "attributes": [{"name": "Secure"}, {"name": "SameSite", "value": "Lax"}]},
     "; Max-Age=60; Path=/; Secure; SameSite=Lax; HttpOnly"),
])
def test_a_missing_cookie_is_made_from_the_addresses(cookie: Json, attributes: str) -> None:
    value = f"{xxhash64(b'10.0.0.1:400010.0.0.2:80'):016x}"
    for headers in ((), (("cookie", "other=1"),), (("cookie", "c="),)):
        cookies: List[str] = []
        assert hashed(request(headers=headers), {"cookie": {"name": "c", **cookie}}, cookies=cookies) == xxhash64(value.encode())
        assert cookies == [f'c="{value}"{attributes}']


def test_a_cookie_that_is_there_is_not_set_again() -> None:
    cookies: List[str] = []
    assert hashed(request(headers=[("cookie", "c=1")]), {"cookie": {"name": "c", "ttl": "9s"}}, cookies=cookies) == xxhash64(b"1")
    assert cookies == []


def test_what_yields_something_is_mixed_in_order_up_to_a_terminal_one() -> None:
    head = request(headers=[("x-a", "1"), ("x-b", "2")])
    a, b = xxhash64(b"1"), xxhash64(b"2")
    assert hashed(head, header("x-a"), header("x-none"), header("x-b")) == mixed(a, b)
    assert hashed(head, header("x-b"), header("x-a")) == mixed(b, a)
    assert hashed(head, {**header("x-a"), "terminal": True}, header("x-b")) == a
    assert hashed(head, {**header("x-none"), "terminal": True}, header("x-b")) == b
    assert hashed(head, header("x-a"), {**header("x-none"), "terminal": True}, header("x-b")) == a


@pytest.mark.parametrize("policies, headers, expected", [([], [], None), ([header("x-a")], [("x-a", "1")], xxhash64(b"1"))])
def test_a_route_hashes_if_it_has_policies(policies: List[Json], headers: Pairs, expected: Optional[int]) -> None:
    head = request(headers=headers)
    route = route_of(of_routes(forwards({"hash_policy": policies})), head)
    assert route is not None and route.action is not None and route.action.hash_key(head, stream(head)) == expected
