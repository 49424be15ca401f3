"""cors: preflights, responses, policies of several levels. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from proxy_core.testing.http import HttpHarness, Response

TYPE = "type.googleapis.com/envoy.extensions.filters.http.cors.v3."
CORS = {"name": "cors", "typed_config": {"@type": f"{TYPE}Cors"}}
OK = "http://ok.example"
NEVER = {"default_value": {"numerator": 0}}
Json = Dict[str, Any]
FULL = {
    "allow_origin_string_match": [{"exact": OK}], "allow_methods": "GET,POST", "allow_headers": "x-a", "expose_headers": "x-b",
    "max_age": "100", "allow_credentials": True, "allow_private_network_access": True,
}


def routed(prefix: str = "/", policy: Optional[Json] = None, **action: Any) -> Json:
    config = {"cors": {"@type": f"{TYPE}CorsPolicy", **policy}} if policy is not None else {}
    return {"match": {"prefix": prefix}, "route": {"cluster": "upstream", **action}, "typed_per_filter_config": config}


def preflight(harness: HttpHarness, origin: str = OK, path: str = "/", *more: Tuple[str, str]) -> Response:
    return harness.request("OPTIONS", path, [("origin", origin), ("access-control-request-method", "GET"), *more])


def said(response: Response) -> List[Tuple[str, str]]:
    return [(name[15:], value) for name, value in response.headers.items() if name.startswith("access-control-")]


def test_a_preflight_of_an_allowed_site_is_answered_here() -> None:
    with HttpHarness([CORS], routes=[routed(policy=FULL)]) as harness:
        response = preflight(harness, OK, "/", ("access-control-request-private-network", "true"))
        assert response.status == 200 and harness.details == "cors_response" and not harness.reached_upstream
        assert said(response) == [
            ("allow-origin", OK), ("allow-credentials", "true"), ("allow-methods", "GET,POST"), ("allow-headers", "x-a"),
            ("max-age", "100"), ("allow-private-network", "true"), ("expose-headers", "x-b"),
        ]
        assert "access-control-allow-private-network" not in preflight(harness).headers
        assert harness.stat("cors.origin_valid") == 2


@pytest.mark.parametrize("method, headers", [
    ("OPTIONS", [("origin", OK)]),
    ("GET", [("origin", OK), ("access-control-request-method", "GET")]),
])
def test_what_is_no_preflight_goes_on_and_its_response_is_told(method: str, headers: List[Tuple[str, str]]) -> None:
    with HttpHarness([CORS], routes=[routed(policy=FULL)]) as harness:
        response = harness.request(method, headers=headers)
        assert harness.upstream.head is not None
        assert said(response) == [("allow-origin", OK), ("allow-credentials", "true"), ("expose-headers", "x-b")]


@pytest.mark.parametrize("headers", [[], [("origin", "")], [("origin", "http://bad.example")]])
def test_responses_to_other_sites_say_nothing(headers: List[Tuple[str, str]]) -> None:
    with HttpHarness([CORS], routes=[routed(policy=FULL)]) as harness:
        assert said(harness.request(headers=headers)) == []
        assert harness.stat("cors.origin_invalid") == (1 if headers and headers[0][1] else 0)


def test_the_preflight_of_another_site_goes_on_unless_the_policy_keeps_it() -> None:
    with HttpHarness([CORS], routes=[routed(policy=FULL)]) as harness:
        preflight(harness, "http://bad.example")
        assert harness.reached_upstream
    kept = {**FULL, "forward_not_matching_preflights": False}
    with HttpHarness([CORS], routes=[routed(policy=kept)]) as harness:
        response = preflight(harness, "http://bad.example")
        assert response.status == 200 and not harness.reached_upstream
        assert "access-control-allow-origin" not in response.headers
        harness.request("GET", headers=[("origin", "http://bad.example")])
        assert harness.reached_upstream


def test_a_disabled_policy_does_nothing_and_a_shadowed_one_only_counts() -> None:
    with HttpHarness([CORS], routes=[routed(policy={**FULL, "filter_enabled": NEVER})]) as harness:
        assert said(preflight(harness)) == [] and harness.stat("cors.origin_valid") == 0
    shadow = {**FULL, "filter_enabled": NEVER, "shadow_enabled": {"default_value": {"numerator": 100}}}
    with HttpHarness([CORS], routes=[routed(policy=shadow)]) as harness:
        assert said(preflight(harness)) == [] and harness.reached_upstream and harness.stat("cors.origin_valid") == 1


def test_what_a_route_does_not_say_its_route_table_says() -> None:
    table = {"route_config": {
        "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
            routed("/own", {"allow_methods": "PUT", "allow_credentials": False}), routed("/plain"),
        ]}],
        "typed_per_filter_config": {"cors": {"@type": f"{TYPE}CorsPolicy", **FULL}},
    }}
    with HttpHarness([CORS], manager=table) as harness:
        own = dict(said(preflight(harness, OK, "/own")))
        assert own["allow-methods"] == "PUT" and own["allow-headers"] == "x-a" and "allow-credentials" not in own
        assert dict(said(preflight(harness, OK, "/plain")))["allow-methods"] == "GET,POST"


def test_the_older_place_counts_where_there_is_no_policy() -> None:
    older = {"allow_origin_string_match": [{"suffix": ".example"}], "allow_methods": "OLD"}
    routes = [routed("/both", FULL, cors=older), routed("/old", cors=older), routed("/none")]
    with HttpHarness([CORS], routes=routes) as harness:
        assert dict(said(preflight(harness, OK, "/both")))["allow-methods"] == "GET,POST"
        assert said(preflight(harness, OK, "/old")) == [("allow-origin", OK), ("allow-methods", "OLD")]
        assert said(preflight(harness, OK, "/none")) == []
        assert said(preflight(harness, OK, "/old")) == [("allow-origin", OK), ("allow-methods", "OLD")]
