"""Requests that a web page may have made."""

from __future__ import annotations

from typing import Optional

import pytest

from proxy_core.admin.guard import allowed_hosts, refusal

NAMES = allowed_hosts(" Proxy.Example ,, b.example")


@pytest.mark.parametrize("authority", [
    "", "127.0.0.1", "127.0.0.1:9901", "[::1]", "[::1]:9901", "localhost", "LOCALHOST:9901",
    "admin.localhost:80",
    "envoy", "envoy:9901", "proxy.example", "proxy.example:9901", "10.0.0.7:1", "[2001:db8::1]:2",
])
def test_hosts_that_public_dns_cannot_hold_pass(authority: str) -> None:
    assert refusal("POST", authority, None, NAMES) is None


@pytest.mark.parametrize("authority", [
    "evil.example", "evil.example:9901", "127.0.0.1.evil.example", "localhost.evil.example:80", "1.2.3.4.5",
    "a.b",
    "[evil.example]", "proxy.example.evil.example",
])
def test_public_names_are_refused_for_any_method(authority: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = refusal(method, authority, None, NAMES)
        assert answer is not None and answer.status == 403
        assert authority in answer.body.decode() and "proxy_core.admin_hosts" in answer.body.decode()


@pytest.mark.parametrize(("method", "origin", "status"), [
    ("POST", None, None),
    ("POST", "http://127.0.0.1:9901", None),
    ("POST", "HTTP://127.0.0.1:9901", None),
    ("GET", "http://evil.example", None),
    ("HEAD", "null", None),
    ("POST", "http://evil.example", 403),
    ("POST", "http://127.0.0.1:9902", 403),
    ("POST", "http://127.0.0.1", 403),
    ("POST", "null", 403),
    ("POST", "", 403),
    ("DELETE", "http://evil.example", 403),
    ("POST", "file://127.0.0.1:9901", 403),
])
def test_only_a_page_of_this_admin_may_change_something(
    method: str, origin: Optional[str], status: Optional[int]
) -> None:
    answer = refusal(method, "127.0.0.1:9901", origin, frozenset())
    assert (None if answer is None else answer.status) == status


def test_no_setting_means_no_names() -> None:
    assert allowed_hosts(None) == frozenset() == allowed_hosts("")
