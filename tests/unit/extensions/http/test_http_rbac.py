"""rbac of HTTP: what rules ask of a request, rules of routes, what verdicts leave behind. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3."
NAMESPACE = "envoy.filters.http.rbac"
ANY = {"any": True}
Json = Dict[str, Any]


def rbac(name: str = "rbac", **fields: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{TYPE}RBAC", **fields}}


def rules(action: str = "ALLOW", **policies: Json) -> Json:
    return {"action": action, "policies": policies}


def policy(permission: Json = ANY, principal: Json = ANY) -> Json:
    return {"permissions": [permission], "principals": [principal]}


def path(**matcher: str) -> Json:
    return {"url_path": {"path": matcher}}


def routed(prefix: str, **fields: Any) -> Json:
    return {"match": {"prefix": prefix}, "route": {"cluster": "upstream"}, **fields}


def of_route(**fields: Any) -> Json:
    return {"typed_per_filter_config": {"rbac": {"@type": f"{TYPE}RBACPerRoute", **fields}}}


def statuses(harness: HttpHarness, *paths: str) -> List[int]:
    return [harness.request(path=one).status for one in paths]


def test_whom_no_policy_allows_is_answered_and_the_upstream_does_not_hear_of_it() -> None:
    with HttpHarness([rbac(rules=rules(open=policy(path(prefix="/open"))))]) as harness:
        response = harness.request(path="/closed")
        assert (response.status, response.body) == (403, b"RBAC: access denied")
        assert harness.details == "rbac_access_denied_matched_policy[none]" and not harness.reached_upstream
        assert harness.request(path="/open?door").status == 200
        assert (harness.stat("rbac.allowed"), harness.stat("rbac.denied")) == (1, 1)


def test_a_denying_policy_is_named_in_one_word() -> None:
    bad = policy({"header": {"name": "x-bad", "present_match": True}})
    with HttpHarness([rbac(rules=rules("DENY", **{"my bad": bad}))]) as harness:
        assert harness.request().status == 200
        assert harness.request(headers=[("x-bad", "1")]).status == 403
        assert harness.details == "rbac_access_denied_matched_policy[my_bad]"


def test_without_rules_everybody_is_let_in_and_with_empty_ones_nobody() -> None:
    with HttpHarness([rbac()]) as harness:
        assert harness.request().status == 200 and harness.stat("rbac.allowed") == 0
    with HttpHarness([rbac(rules={})]) as harness:
        assert harness.request().status == 403


@pytest.mark.parametrize("rule, good, bad", [
    (path(exact="/a"), "/a", "/ab"),
    (path(prefix="/a"), "/ab?/x", "/x?/a"),
    (path(suffix="a"), "/ba?b", "/ab"),
    (path(safe_regex={"regex": "/[0-9]+"}), "/12?x", "/12x"),
    ({"header": {"name": ":path", "string_match": {"exact": "/a?x"}}}, "/a?x", "/a"),
    ({"not_rule": path(exact="/a")}, "/b", "/a"),
    ({"and_rules": {"rules": [path(prefix="/a"), path(suffix="b")]}}, "/a/b", "/a"),
    ({"or_rules": {"rules": [path(exact="/a"), path(exact="/b")]}}, "/b", "/c"),
])
def test_what_a_permission_asks_of_the_request(rule: Json, good: str, bad: str) -> None:
    with HttpHarness([rbac(rules=rules(one=policy(rule)))]) as harness:
        assert statuses(harness, good, bad) == [200, 403]


def test_method_and_host_are_headers_and_principals_may_ask_for_headers() -> None:
    permission = {"and_rules": {"rules": [
        {"header": {"name": ":method", "string_match": {"exact": "POST"}}},
        {"header": {"name": ":authority", "string_match": {"exact": "a.example"}}},
    ]}}
    user = {"header": {"name": "x-user", "string_match": {"prefix": "adm"}}}
    with HttpHarness([rbac(rules=rules(one=policy(permission, user)))]) as harness:
        assert harness.request("POST", headers=[("x-user", "admin")], host="a.example").status == 200
        assert harness.request("GET", headers=[("x-user", "admin")], host="a.example").status == 403
        assert harness.request("POST", headers=[("x-user", "admin")], host="b.example").status == 403
        assert harness.request("POST", headers=[("x-user", "guest")], host="a.example").status == 403


@pytest.mark.parametrize("kind, allowed", [("remote_ip", "10.1.1.1"), ("direct_remote_ip", "192.0.2.7"), ("source_ip", "192.0.2.7")])
def test_only_remote_ip_believes_x_forwarded_for(kind: str, allowed: str) -> None:
    principal = {kind: {"address_prefix": allowed, "prefix_len": 32}}
    with HttpHarness([rbac(rules=rules(one=policy(principal=principal)))], remote="192.0.2.7:4000") as harness:
        assert harness.request(headers=[("x-forwarded-for", "10.1.1.1")]).status == 200
    other = {kind: {"address_prefix": "10.1.1.1" if kind != "remote_ip" else "192.0.2.7", "prefix_len": 32}}
    with HttpHarness([rbac(rules=rules(one=policy(principal=other)))], remote="192.0.2.7:4000") as harness:
        assert harness.request(headers=[("x-forwarded-for", "10.1.1.1")]).status == 403


def test_metadata_of_the_route_and_its_absence() -> None:
    matcher = {"filter": "my", "path": [{"key": "tier"}], "value": {"string_match": {"exact": "gold"}}}
    one = {"sourced_metadata": {"metadata_source": "ROUTE", "metadata_matcher": matcher}}
    gold = routed("/gold", metadata={"filter_metadata": {"my": {"tier": "gold"}}})
    with HttpHarness([rbac(rules=rules(one=policy(one)))], routes=[gold, routed("/plain")]) as harness:
        assert statuses(harness, "/gold", "/plain", "/no-route") == [200, 403, 403]
    inverted = {"sourced_metadata": {"metadata_source": "ROUTE", "metadata_matcher": {**matcher, "invert": True}}}
    with HttpHarness([rbac(rules=rules(one=policy(inverted)))], routes=[gold, routed("/plain")]) as harness:
        assert statuses(harness, "/gold", "/plain", "/no-route") == [403, 200, 403]


def test_shadow_rules_count_and_speak_to_later_filters_but_deny_nobody() -> None:
    said = {"metadata": {
        "filter": NAMESPACE, "path": [{"key": "shadow_engine_result"}], "value": {"string_match": {"exact": "allowed"}},
    }}
    first = rbac("first", shadow_rules=rules(one=policy(path(prefix="/a"))))
    with HttpHarness([first]) as harness:
        assert statuses(harness, "/a", "/b") == [200, 200]
        assert (harness.stat("rbac.shadow_allowed"), harness.stat("rbac.shadow_denied")) == (1, 1)
        assert [dict(info.dynamic_metadata[NAMESPACE]) for info in harness.finished] == [
            {"shadow_effective_policy_id": "one", "shadow_engine_result": "allowed"}, {"shadow_engine_result": "denied"},
        ]
    with HttpHarness([first, rbac("second", rules=rules(one=policy(said)))]) as harness:
        assert statuses(harness, "/a", "/b") == [200, 403]


def test_prefixes_go_before_the_names_of_stats_and_metadata() -> None:
    one = rbac(
        rules=rules(a=policy(path(prefix="/a"))), shadow_rules=rules(s=policy(path(exact="/a"))), rules_stat_prefix="rp.",
        shadow_rules_stat_prefix="sp.", track_per_rule_stats=True,
    )
    with HttpHarness([one]) as harness:
        assert statuses(harness, "/a", "/ab", "/b") == [200, 200, 403]
        assert dict(harness.finished[0].dynamic_metadata[NAMESPACE]) == {
            "rp.enforced_effective_policy_id": "a", "rp.enforced_engine_result": "allowed",
            "sp.shadow_effective_policy_id": "s", "sp.shadow_engine_result": "allowed",
        }
        names = ("rp.allowed", "rp.denied", "rp.policy.a.allowed", "sp.shadow_allowed", "sp.shadow_denied", "sp.policy.s.shadow_allowed")
        assert [harness.stat(f"rbac.{name}") for name in names] == [2, 1, 2, 1, 2, 1]


def test_log_lets_everybody_in_and_says_who_matched() -> None:
    with HttpHarness([rbac(rules=rules("LOG", one=policy(path(exact="/a"))))]) as harness:
        assert statuses(harness, "/a", "/b") == [200, 200]
        assert [dict(info.dynamic_metadata["envoy.common"]) for info in harness.finished] == [
            {"access_log_hint": True}, {"access_log_hint": False},
        ]


def test_a_route_has_other_rules_or_none_and_counts_with_the_filter() -> None:
    own = {"rules": rules("DENY", all=policy()), "rules_stat_prefix": "own"}
    routes = [routed("/off", **of_route()), routed("/own", **of_route(rbac=own)), routed("/")]
    with HttpHarness([rbac(rules=rules(one=policy(path(prefix="/open"))))], routes=routes) as harness:
        assert statuses(harness, "/off", "/own", "/open", "/x") == [200, 403, 200, 403]
        assert (harness.stat("rbac.allowed"), harness.stat("rbac.denied")) == (1, 2)
        assert dict(harness.finished[1].dynamic_metadata[NAMESPACE])["ownenforced_engine_result"] == "denied"


@pytest.mark.parametrize("fields, words", [
    ({"matcher": {}}, "`matcher` is a field"),
    ({"rules": {"policies": {"a": {"permissions": [], "principals": [ANY]}}}}, "permissions"),
    ({"rules": rules(a=policy({"uri_template": {"name": "x"}}))}, "uri_template"),
    ({"rules": rules(a=policy({"matcher": {
        "name": "odd", "typed_config": {"@type": f"{TYPE}RBAC"}}}))}, "Didn't find a registered implementation for 'odd'"),
])
def test_what_cannot_be_done_is_refused(fields: Json, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        HttpHarness([rbac(**fields)])
