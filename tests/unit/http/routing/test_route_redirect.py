"""Redirects and direct responses: measured on Envoy 1.40.0."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from tests.unit.http.routing.routing_kit import Json, answer, of_routes, request, route_of, says, stream


def location(
    redirect: Json, path: str = "/old/x?q=1", host: str = "m.test", proto: str = "http", match: Optional[Json] = None
) -> str:
    """Where a redirect sends a request."""
    routes = of_routes({"match": match or {"prefix": "/"}, "redirect": redirect})
    head = request(path, host, headers=[("x-forwarded-proto", proto), ("x-a", "1")])
    head.scheme = proto
    route = route_of(routes, head)
    assert route is not None and route.direct_response is not None
    assert route.direct_response.body(head, stream(head)) == b""
    return route.direct_response.location(head, stream(head))


@pytest.mark.parametrize("redirect, expected", [
    ({}, "http://m.test/old/x?q=1"),
    ({"host_redirect": "new.test"}, "http://new.test/old/x?q=1"),
    ({"host_redirect": "new.test:9", "port_redirect": 8443}, "http://new.test:9:8443/old/x?q=1"),
    ({"https_redirect": True}, "https://m.test/old/x?q=1"),
    ({"https_redirect": False}, "http://m.test/old/x?q=1"),
    ({"scheme_redirect": "ftp"}, "ftp://m.test/old/x?q=1"),
    ({"port_redirect": 8443}, "http://m.test:8443/old/x?q=1"),
    ({"strip_query": True}, "http://m.test/old/x"),
    ({"path_redirect": "/landing"}, "http://m.test/landing?q=1"),
    ({"path_redirect": "/landing?from=old"}, "http://m.test/landing?from=old"),
    ({"path_redirect": "/landing?from=old", "strip_query": True}, "http://m.test/landing?from=old"),
    ({"path_redirect": "/landing", "strip_query": True}, "http://m.test/landing"),
    ({"path_redirect": "landing"}, "http://m.test/landing?q=1"),
    ({"prefix_rewrite": "/new"}, "http://m.test/newold/x?q=1"),
    ({"regex_rewrite": {"pattern": {"regex": "^/old/(.*)$"}, "substitution": r"/\1/new"}}, "http://m.test/x/new?q=1"),
    ({"path_rewrite": "/p%REQ(x-a)%%REQ(x-none)%"}, "http://m.test/p1?q=1"),
    ({"path_rewrite": "%REQ(x-none)%"}, "http://m.test/old/x?q=1"),
])
def test_what_is_not_given_stays_as_it_was(redirect: Json, expected: str) -> None:
    assert location(redirect) == expected


def test_the_prefix_that_the_route_matched_is_replaced() -> None:
    assert location({"prefix_rewrite": "/new"}, match={"prefix": "/old"}) == "http://m.test/new/x?q=1"


@pytest.mark.parametrize("host, proto, redirect, expected", [
    ("m:80", "http", {"https_redirect": True}, "https://m/"), ("m:8080", "http", {"https_redirect": True}, "https://m:8080/"),
    ("m:443", "https", {"scheme_redirect": "http"}, "http://m/"), ("m:80", "http", {}, "http://m:80/"),
    ("m:443", "http", {"https_redirect": True}, "https://m:443/"),
    ("[::1]:80", "http", {"https_redirect": True}, "https://[::1]/"),
    ("[::1]", "http", {"https_redirect": True}, "https://[::1]/"), ("m:8080", "http", {"port_redirect": 9}, "http://m:9/"),
    ("[::1]:8080", "http", {"port_redirect": 9}, "http://[::1]:9/"),
])
def test_the_port_goes_if_it_was_the_old_schemes_or_there_is_a_new_one(
    host: str, proto: str, redirect: Json, expected: str
) -> None:
    assert location(redirect, "/", host, proto) == expected


@pytest.mark.parametrize("name, code", [
    (None, 301), ("FOUND", 302), ("SEE_OTHER", 303), ("TEMPORARY_REDIRECT", 307), ("PERMANENT_REDIRECT", 308),
])
def test_redirects_have_five_codes(name: Optional[str], code: int) -> None:
    routes = of_routes({"match": {"prefix": "/"}, "redirect": {"response_code": name} if name else {}})
    route = route_of(routes, request())
    assert route is not None and route.direct_response is not None and route.direct_response.status == code
    assert route.action is None


def test_a_rewritten_path_is_seen_in_the_log_but_not_that_of_a_format() -> None:
    for redirect, path in (({"prefix_rewrite": "/n/"}, "/n/x"), ({"path_rewrite": "/n/x"}, "/x")):
        head = request("/x")
        route = route_of(of_routes({"match": {"prefix": "/"}, "redirect": redirect}), head)
        assert route is not None and route.direct_response is not None
        assert route.direct_response.location(head, stream(head)) == "http://h.test/n/x"
        assert head.path == path


@pytest.mark.parametrize("status, expected", [(200, ""), (201, "http://h.test/a?b"), (302, "http://h.test/a?b"), (404, "")])
def test_a_direct_response_says_where_it_is_if_its_status_asks_for_it(status: int, expected: str) -> None:
    routes = of_routes({"match": {"prefix": "/"}, "direct_response": {"status": status}})
    head = request("/a?b")
    route = route_of(routes, head)
    assert route is not None and route.direct_response is not None
    assert route.direct_response.location(head, stream(head)) == expected
    assert (route.direct_response.status, route.direct_response.body(head, stream(head))) == (status, b"")


def test_a_body_may_come_from_a_file_which_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "page"
    file.write_bytes(b"\xff page")
    routes = of_routes({"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"filename": str(file)}}})
    file.unlink()
    head = request()
    route = route_of(routes, head)
    assert route is not None and route.direct_response is not None
    assert route.direct_response.body(head, stream(head)) == b"\xff page"


@pytest.mark.parametrize("body_format, content_type, body", [
    ({"text_format_source": {"inline_string": "[%LOCAL_REPLY_BODY%|%REQ(:path)%|%REQ(x)%]\n"}}, "", "[hi|/p|-]\n"),
    ({"text_format": "%REQ(x)%", "omit_empty_values": True}, "", ""),
    ({"json_format": {"b": "%LOCAL_REPLY_BODY%", "a": 1, "n": "%REQ(x)%"}}, "application/json", '{"a":1,"b":"hi","n":null}\n'),
    ({"text_format": "x", "content_type": "text/html"}, "text/html", "x"),
])
def test_a_body_may_be_a_format(body_format: Json, content_type: str, body: str) -> None:
    action = {"status": 503, "body": {"inline_string": "hi"}, "body_format": body_format}
    routes = of_routes({"match": {"prefix": "/"}, "direct_response": action})
    assert answer(routes, "/p") == body
    route = route_of(routes, request())
    assert route is not None and route.direct_response is not None and route.direct_response.content_type == content_type


def test_a_route_that_forwards_nothing_names_no_cluster() -> None:
    route = route_of(of_routes({"match": {"prefix": "/"}, "non_forwarding_action": {}}, says({"prefix": "/"}, "x")), request())
    assert route is not None and route.direct_response is None and route.action is not None
    assert (route.action.cluster_name(request()), route.action.cluster_not_found_code) == ("", 503)
