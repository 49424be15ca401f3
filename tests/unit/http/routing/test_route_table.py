"""Which route has a request: the measured tables of Envoy 1.40.0."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from tests.unit.http.routing.routing_kit import (
    Around, Json, answer, forwards, of_routes, request, route_of, says, stream, table,
)

PATHS = of_routes(
    says({"path": "/exact"}, "exact"), says({"prefix": "/pre/deep"}, "deep"), says({"prefix": "/pre"}, "pre"),
    says({"safe_regex": {"regex": "/item/[0-9]+"}}, "regex"), says({"path_separated_prefix": "/psp"}, "separated"),
    says({"path": "/CaseLess", "case_sensitive": False}, "caseless"),
    says({"prefix": "/NoCase/", "case_sensitive": False}, "nocase"),
    says({"prefix": "/p?x"}, "never"), says({"prefix": "/\u00e9"}, "utf-8"),
)


@pytest.mark.parametrize("path, route", [
    ("/exact", "exact"), ("/exact/", None), ("/exact?x=1", "exact"), ("/exact#f", "exact"), ("/pre", "pre"), ("/prefix", "pre"),
    ("/pre/deep/x", "deep"), ("/item/42", "regex"), ("/item/42?q", "regex"), ("/item/42x", None), ("/item/", None),
    ("/psp", "separated"), ("/psp/a", "separated"), ("/psp?x", "separated"), ("/pspx", None), ("/caseless", "caseless"),
    ("/CASELESS", "caseless"), ("/nocase/X", "nocase"), ("/p?x", None), ("/", None), ("/\xc3\xa9/x", "utf-8"), ("/EXACT", None),
])
def test_a_path_has_the_first_route_that_takes_it(path: str, route: Optional[str]) -> None:
    assert answer(PATHS, path) == route


def test_the_order_of_the_list_decides_not_the_length() -> None:
    routes = of_routes(says({"prefix": "/a"}, "short"), says({"prefix": "/a/b"}, "long"), says({"path": "/a/b/c"}, "exact"))
    assert answer(routes, "/a/b/c") == "short"


def test_what_is_behind_a_semicolon_may_be_ignored() -> None:
    given = [says({"path": "/a/b"}, "exact"), says({"safe_regex": {"regex": "/x/[^/;]+"}}, "regex")]
    ignoring = of_routes(*given, table_fields={"ignore_path_parameters_in_path_matching": True})
    assert answer(ignoring, "/a;v=1/b;w?q;") == "exact" and answer(ignoring, "/x/y;z") == "regex"
    assert answer(of_routes(*given), "/a;v=1/b") is None


def test_connect_needs_a_route_of_its_own() -> None:
    routes = of_routes(
        says({"prefix": "/"}, "prefix"), says({"prefix": ""}, "all"), says({"connect_matcher": {}}, "connect")
    )
    assert answer(routes, "", method="CONNECT") == "connect"
    assert answer(of_routes(says({"prefix": ""}, "all")), "", method="CONNECT") is None
    assert answer(routes, "", method="GET") is None


def test_a_share_of_the_requests_goes_on_to_the_next_route() -> None:
    def share(numerator: int, denominator: str = "HUNDRED", **fields: str) -> Json:
        value = {"numerator": numerator, "denominator": denominator}
        return {"prefix": "/", "runtime_fraction": {"default_value": value, **fields}}
    routes = of_routes(says(share(30), "some"), says({"prefix": "/"}, "rest"))
    assert [answer(routes, random_value=number) for number in (0, 29, 30, 99, 129)] == ["some", "some", "rest", "rest", "some"]
    fine = of_routes(says(share(1, "TEN_THOUSAND"), "some"), says({"prefix": "/"}, "rest"))
    assert [answer(fine, random_value=number) for number in (0, 1, 10_000)] == ["some", "rest", "some"]
    context = Around()
    keyed = of_routes(says(share(0, runtime_key="k"), "some"), says({"prefix": "/"}, "rest"), context=context)
    assert answer(keyed, random_value=20) == "rest"
    for value, found in ((50, "some"), ("10", "rest"), ({"numerator": 1, "denominator": "TEN_THOUSAND"}, "rest"), ("x", "rest")):
        context.runtime._merged["k"] = value
        assert answer(keyed, random_value=20) == found


def tls_table(kind: str) -> "Dict[str, object]":
    routes: List[Json] = [says({"prefix": "/"}, "in")]
    return {"virtual_hosts": [{"name": "v", "domains": ["*"], "require_tls": kind, "routes": routes}]}


@pytest.mark.parametrize("kind, headers, location", [
    ("ALL", [], "https://h.test:80/x?y"), ("EXTERNAL_ONLY", [], "https://h.test:80/x?y"),
    ("EXTERNAL_ONLY", [("x-envoy-internal", "true")], ""), ("ALL", [("x-envoy-internal", "true")], "https://h.test:80/x?y"),
    ("ALL", [("x-forwarded-proto", "https")], ""), ("NONE", [], ""),
])
def test_a_virtual_host_may_ask_for_tls(kind: str, headers: "list[tuple[str, str]]", location: str) -> None:
    head = request("/x?y", "h.test:80", headers=headers)
    route = route_of(table(tls_table(kind)), head)
    assert route is not None and route.direct_response is not None
    assert route.direct_response.location(head, stream(head)) == location
    assert route.direct_response.status == (301 if location else 200)


def test_a_route_says_what_the_levels_above_it_say() -> None:
    routes = table({
        "request_mirror_policies": [{"cluster": "table"}],
        "internal_only_headers": ["X-Inner"],
        "virtual_hosts": [{
            "name": "v", "domains": ["*"], "include_request_attempt_count": True, "request_body_buffer_limit": "7",
            "retry_policy": {"retry_on": "5xx"},
            "metadata": {"filter_metadata": {"a": {"b": 1}}}, "cors": {"max_age": "1"},
            "routes": [
                forwards({"retry_policy": {"retry_on": "reset"}, "cors": {"max_age": "2"}}, {"prefix": "/own"},
                         name="own", request_body_buffer_limit="9", metadata={"filter_metadata": {"c": {"d": 2}}}),
                forwards(),
            ],
        }],
    })
    own, other = route_of(routes, request("/own")), route_of(routes, request("/"))
    assert own is not None and other is not None and own.action is not None and other.action is not None
    assert routes.internal_only_headers == {"x-inner"}
    assert (own.name, own.request_body_buffer_limit, own.metadata) == ("own", 9, {"c": {"d": 2}})
    assert (other.name, other.request_body_buffer_limit, dict(other.metadata)) == ("", 7, {})
    assert [one.max_age for one in own.cors] == ["1", "2"] and [one.max_age for one in other.cors] == ["1"]
    assert own.action.retry_policy is not None and other.action.retry_policy is not None
    assert (own.action.retry_policy.retry_on, other.action.retry_policy.retry_on) == ({"reset"}, {"5xx"})
    assert [mirror.cluster(request()) for mirror in own.action.mirror_policies] == ["table"]
    host = own.virtual_host
    assert (host.name, host.include_request_attempt_count, host.include_attempt_count_in_response) == ("v", True, False)
    assert host.metadata == {"a": {"b": 1}}


def test_times_and_flags_of_an_action_have_envoys_defaults() -> None:
    def action(**fields: object) -> object:
        route = route_of(of_routes(forwards(dict(fields))), request())
        assert route is not None
        return route.action
    plain = action()
    names = ("timeout", "idle_timeout", "max_stream_duration", "flush_timeout", "high_priority", "auto_host_rewrite",
             "append_x_forwarded_host", "cluster_not_found_code", "metadata_match", "connect_config", "retry_policy")
    assert [getattr(plain, name) for name in names] == [
        15.0, None, None, None, False, False, False, 503, None, False, None,
    ]
    full = action(
        timeout="0s", idle_timeout="0s", max_stream_duration={"max_stream_duration": "3s"}, flush_timeout="1s", priority="HIGH",
        auto_host_rewrite=True, append_x_forwarded_host=True, cluster_not_found_response_code="NOT_FOUND",
        metadata_match={"filter_metadata": {"envoy.lb": {"v": "1"}, "other": {"x": 1}}},
        upgrade_configs=[{"upgrade_type": "CONNECT", "connect_config": {}}, {"upgrade_type": "WebSocket", "enabled": False}],
    )
    assert [getattr(full, name) for name in names[:-1]] == [0.0, 0.0, 3.0, 1.0, True, True, True, 404, {"v": "1"}, True]
    assert [getattr(full, "upgrade")(kind) for kind in ("connect", "websocket", "h2c")] == [True, False, None]


def test_internal_redirects_are_for_redirects_only() -> None:
    def policy(**fields: object) -> object:
        route = route_of(of_routes(forwards({"internal_redirect_policy": fields})), request())
        assert route is not None and route.action is not None
        return route.action.internal_redirect_policy
    plain, full = policy(), policy(
        max_internal_redirects=3, redirect_response_codes=[301, 200, 307], response_headers_to_copy=["X-A"],
        allow_cross_scheme_redirect=True,
    )
    names = ("max_internal_redirects", "codes", "allow_cross_scheme_redirect", "response_headers_to_copy")
    assert [getattr(plain, name) for name in names] == [1, {302}, False, []]
    assert [getattr(full, name) for name in names] == [3, {301, 307}, True, ["x-a"]]


def test_the_cluster_may_be_in_a_header() -> None:
    routes = of_routes({"match": {"prefix": "/"}, "route": {"cluster_header": "X-Cluster"}})
    for headers, cluster in (([("x-cluster", "c1")], "c1"), ([], "")):
        head = request(headers=headers)
        route = route_of(routes, head)
        assert route is not None and route.action is not None
        assert route.action.cluster_name(head) == cluster


def test_requests_are_counted_in_the_first_virtual_cluster_that_matches() -> None:
    context = Around()
    path = {"name": ":path", "string_match": {"prefix": "/a"}}
    clusters = [{"name": "posts", "headers": [path, {"name": ":method", "string_match": {"exact": "POST"}}]},
                {"name": "all", "headers": [path]}]
    routes = of_routes(forwards(stat_prefix="sp"), context=context, virtual_clusters=clusters)
    route = route_of(routes, request())
    assert route is not None and route.stat_prefix == "sp"
    found = [route.virtual_host.virtual_cluster(request(path, method=method)) for path, method in
             (("/a", "POST"), ("/a", "GET"), ("/b", "POST"))]
    assert found == ["posts", "all", "other"]
    for scope in ("vcluster.posts", "vcluster.all", "vcluster.other", "route.sp"):
        assert context.store.find(f"vhost.v.{scope}.upstream_rq_total") is not None
    plain = route_of(of_routes(forwards()), request())
    assert plain is not None and plain.virtual_host.virtual_cluster(request()) == ""
