"""csrf: where a request that changes something has to come from. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.http.csrf import host_and_port
from proxy_core.testing.http import HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy"
ALWAYS, NEVER = {"default_value": {"numerator": 100}}, {"default_value": {"numerator": 0}}


def csrf(**fields: Any) -> Dict[str, Any]:
    return {"name": "csrf", "typed_config": {"@type": TYPE, "filter_enabled": ALWAYS, **fields}}


@pytest.mark.parametrize("headers, host, good", [
    ([("origin", "http://a.com")], "a.com", True),
    ([("origin", "ftp://a.com")], "a.com", True),
    ([("origin", "http://user@a.com/")], "a.com", True),
    ([("origin", "a.com")], "a.com", True),
    ([("origin", "http://a.com?x")], "a.com", True),
    ([("origin", "http://[::1]:80")], "[::1]:80", True),
    ([("origin", "http://x.friend.com")], "a.com", True),
    ([("referer", "https://a.com/x/y?z")], "a.com", True),
    ([("origin", ""), ("referer", "https://a.com/x")], "a.com", True),
    ([("origin", "http://a.com")], "a.com:8080", False),
    ([("origin", "http://a.com:80")], "a.com", False),
    ([("origin", "http://A.com")], "a.com", False),
    ([("origin", "http://evil.com"), ("referer", "http://a.com/")], "a.com", False),
    ([("origin", "http://a.com.evil.com")], "a.com", False),
    ([("origin", "http://a.com#x")], "a.com", False),
    ([("origin", "null"), ("referer", "http://a.com/")], "a.com", False),
    ([], "a.com", False),
])
def test_a_change_has_to_come_from_where_it_goes(headers: List[Tuple[str, str]], host: str, good: bool) -> None:
    with HttpHarness([csrf(additional_origins=[{"suffix": ".friend.com"}])]) as harness:
        response = harness.request("POST", headers=headers, host=host)
        assert response.status == (200 if good else 403) and harness.stat("csrf.request_valid") == good
        if not good:
            assert response.body == b"Invalid origin" and harness.details == "csrf_origin_mismatch"


def test_a_missing_origin_and_a_wrong_one_are_counted_apart() -> None:
    with HttpHarness([csrf()]) as harness:
        harness.request("POST")
        harness.request("POST", headers=[("origin", "http://evil.com")])
        assert (harness.stat("csrf.missing_source_origin"), harness.stat("csrf.request_invalid")) == (1, 1)


def test_only_methods_that_change_something_are_asked() -> None:
    with HttpHarness([csrf()]) as harness:
        asked = {method: harness.request(method).status for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")}
        assert [method for method, status in asked.items() if status == 403] == ["POST", "PUT", "DELETE", "PATCH"]


def test_shadow_counts_and_lets_pass_and_the_policy_of_a_route_comes_first() -> None:
    own = {"csrf": {"@type": TYPE, "filter_enabled": NEVER, "shadow_enabled": ALWAYS}}
    off = {"csrf": {"@type": TYPE, "filter_enabled": NEVER}}
    routes = [
        {"match": {"prefix": prefix}, "route": {"cluster": "c"}, "typed_per_filter_config": config}
        for prefix, config in (("/shadow", own), ("/off", off), ("/", {}))
    ]
    with HttpHarness([csrf()], routes=routes) as harness:
        evil = [("origin", "http://evil.com")]
        assert [harness.request("POST", path, evil).status for path in ("/shadow", "/off", "/")] == [200, 200, 403]
        assert harness.stat("csrf.request_invalid") == 2


def test_the_share_is_required() -> None:
    with pytest.raises(ConfigError, match="filter_enabled"):
        HttpHarness([{"name": "csrf", "typed_config": {"@type": TYPE}}])


@pytest.mark.parametrize("url, expected", [
    ("http://a:1/b@c", "a:1"), ("http://u:p@a:1?b", "a:1"), ("", ""), ("://a", "://a"), ("http://", "http://"), ("a/b", "a/b"),
])
def test_host_and_port_of_a_url(url: str, expected: str) -> None:
    assert host_and_port(url) == expected
