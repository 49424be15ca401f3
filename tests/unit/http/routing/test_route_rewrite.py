"""New paths and hosts: measured on Envoy 1.40.0."""

from __future__ import annotations

from typing import Optional

import pytest

from tests.unit.http.routing.routing_kit import Json, Pairs, finalized, forwards, of_routes, request

OLD = "h.test:80"


def regex(pattern: str, substitution: str) -> Json:
    return {"pattern": {"regex": pattern}, "substitution": substitution}


@pytest.mark.parametrize("match, action, path, rewritten", [
    ({"prefix": "/swap/"}, {"prefix_rewrite": "/new/"}, "/swap/a/b?x=1", "/new/a/b?x=1"),
    ({"prefix": "/swap"}, {"prefix_rewrite": "/"}, "/swap/a", "//a"),
    ({"prefix": "/SWAP/", "case_sensitive": False}, {"prefix_rewrite": "/n/"}, "/swAp/a", "/n/a"),
    ({"path_separated_prefix": "/api"}, {"prefix_rewrite": "/v1"}, "/api/x?y", "/v1/x?y"),
    ({"path_separated_prefix": "/api"}, {"prefix_rewrite": "/v1"}, "/api", "/v1"),
    ({"path": "/a/b"}, {"prefix_rewrite": "/x"}, "/a/b?c", "/x?c"),
    ({"safe_regex": {"regex": "/a.*"}}, {"prefix_rewrite": "/x"}, "/abc/d?c", "/x?c"),
    ({"prefix": "/"}, {"regex_rewrite": regex("/re/([^/]+)/", r"/\1-")}, "/re/abc/tail?y", "/abc-tail?y"),
    ({"prefix": "/"}, {"regex_rewrite": regex("a", "A")}, "/aba?a=a", "/AbA?a=a"),
    ({"prefix": "/"}, {"path_rewrite": "/fix/%REQ(x-a)%"}, "/b?c", "/fix/1?c"),
    ({"prefix": "/"}, {"path_rewrite": "/[%REQ(x-none)%]"}, "/b", "/[]"),
    ({"prefix": "/\u00e9/"}, {"prefix_rewrite": "/\u00fc/"}, "/\xc3\xa9/x", "/\xc3\xbc/x"),
])
def test_a_path_is_rewritten_and_the_old_one_kept(match: Json, action: Json, path: str, rewritten: str) -> None:
    head = finalized(of_routes(forwards(action, match)), request(path, headers=[("x-a", "1")]))
    assert (head.path, head.headers.get("x-envoy-original-path")) == (rewritten, path)


def test_the_old_path_is_kept_even_if_nothing_matched_but_not_if_a_format_is_empty() -> None:
    head = finalized(of_routes(forwards({"regex_rewrite": regex("nothing", "x")})), request("/a?b"))
    assert (head.path, head.headers.get("x-envoy-original-path")) == ("/a?b", "/a?b")
    head = finalized(of_routes(forwards({"path_rewrite": "%REQ(x-none)%"})), request("/a?b"))
    assert (head.path, head.headers.get("x-envoy-original-path")) == ("/a?b", None)


@pytest.mark.parametrize("action, headers, host", [
    ({"host_rewrite_literal": "new.test"}, [], "new.test"),
    ({"host_rewrite_header": "X-Host"}, [("x-host", "from.header")], "from.header"),
    ({"host_rewrite_header": "x-host"}, [], None),
    ({"host_rewrite_header": "x-host"}, [("x-host", "")], None),
    ({"host_rewrite_path_regex": regex("^/(.+)/.*$", r"\1")}, [], "a"),
    ({"host_rewrite": "%REQ(x-host)%.inner"}, [("x-host", "b")], "b.inner"),
    ({"host_rewrite": "%REQ(x-host)%.inner"}, [], "-.inner"),
    ({}, [], None),
])
def test_a_host_is_rewritten_and_the_old_one_kept(action: Json, headers: Pairs, host: Optional[str]) -> None:
    head = finalized(of_routes(forwards({**action, "append_x_forwarded_host": True})), request("/a/b?c", OLD, headers=headers))
    assert head.authority == (host or OLD)
    kept = OLD if host else None
    assert [head.headers.get(name) for name in ("x-envoy-original-host", "x-forwarded-host")] == [kept, kept]


@pytest.mark.parametrize("before, after", [
    ("other.test", f"other.test,{OLD}"), (OLD, OLD), (f"a,{OLD}", f"a,{OLD}"), (f"{OLD},a", f"{OLD},a,{OLD}"),
])
def test_the_old_host_is_appended_unless_it_is_the_last_already(before: str, after: str) -> None:
    routes = of_routes(forwards({"host_rewrite_literal": "new.test", "append_x_forwarded_host": True}))
    assert finalized(routes, request("/", OLD, headers=[("x-forwarded-host", before)])).headers.get("x-forwarded-host") == after


def test_a_weighted_cluster_may_have_a_host_of_its_own() -> None:
    clusters = {"clusters": [{"name": "c", "weight": 1, "host_rewrite_literal": "w.test"}]}
    routes = of_routes({"match": {"prefix": "/"}, "route": {"weighted_clusters": clusters, "prefix_rewrite": "/x/"}})
    head = finalized(routes, request("/a"))
    assert (head.authority, head.path, head.headers.get("x-envoy-original-host")) == ("w.test", "/x/a", None)


def test_added_headers_see_the_path_and_host_from_before() -> None:
    adds = [{"header": {"key": "x-was", "value": "%REQ(:authority)%%REQ(:path)%"}}]
    action = {"prefix_rewrite": "/new", "host_rewrite_literal": "new.test"}
    head = finalized(of_routes(forwards(action, {"prefix": "/old"}, request_headers_to_add=adds)), request("/old/x", "old.test"))
    assert head.headers.get("x-was") == "old.test/old/x" and (head.authority, head.path) == ("new.test", "/new/x")


def test_headers_come_in_envoys_order() -> None:
    adds = [{"header": {"key": "x-added", "value": "1"}}]
    action = {"prefix_rewrite": "/n", "host_rewrite_literal": "n", "append_x_forwarded_host": True}
    head = finalized(of_routes(forwards(action, request_headers_to_add=adds)), request("/o", "h"))
    assert [name for name, _ in head.headers.items()] == [
        "x-forwarded-proto", "x-added", "x-envoy-original-host", "x-forwarded-host", "x-envoy-original-path",
    ]
