"""Which virtual host has a name: measured on Envoy 1.40.0."""

from __future__ import annotations

import pytest

from proxy_core.http.routing.hosts import HostMap, without_port
from tests.unit.http.routing.routing_kit import Json, answer, says, table


def hosts(*domains: str) -> "HostMap[str]":
    found: HostMap[str] = HostMap()
    for domain in domains:
        assert found.add(domain, domain), domain
    return found


@pytest.mark.parametrize("name, domain", [
    ("a.com", "a.com"), ("A.Com", "a.com"), ("x.b.com", "*.b.com"), ("x.y.b.com", "*.y.b.com"), ("b.com", "*"), (".b.com", "*"),
    ("www.x", "www.*"), ("www.", "*"), ("www.example.x", "www.example.*"), ("a.com:99", "*"), ("a.com:80", "a.com:80"),
    ("", "*"), ("other", "*"), ("x-foo.test", "*-foo.test"), ("-foo.test", "*"), ("x*y", "x*y"), ("xzy", "*"),
])
def test_exact_before_the_longest_ending_before_the_longest_beginning_before_all(name: str, domain: str) -> None:
    known = hosts("a.com", "*.b.com", "*.y.b.com", "www.*", "www.example.*", "*", "a.com:80", "*-foo.test", "x*y")
    assert known.find(name) == domain


def test_without_a_wildcard_for_all_a_name_may_have_no_host() -> None:
    known = hosts("a.com", "*.b.com")
    assert known.find("c.com") is None and known.find("") is None


def test_a_domain_belongs_to_one_host() -> None:
    known = hosts("a", "*.a", "a.*", "*")
    assert [known.add(domain, "other") for domain in ("A", "*.a", "a.*", "*")] == [False] * 4
    assert known.find("a") == "a"


@pytest.mark.parametrize("host, bare", [
    ("a.test:80", "a.test"), ("a.test", "a.test"), ("a.test:", "a.test:"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"),
    ("::1", "::1"), ("a.test:x", "a.test:x"), ("[bad", "[bad"), ("", ""),
])
def test_a_port_is_taken_off(host: str, bare: str) -> None:
    assert without_port(host) == bare


def two_hosts(**fields: object) -> Json:
    named = [{"name": name, "domains": [name], "routes": [says({"prefix": "/"}, name)]} for name in ("a.test", "b.test")]
    return {"virtual_hosts": named, **fields}


def test_the_port_counts_unless_the_table_ignores_it() -> None:
    assert answer(table(two_hosts()), host="a.test:8080") is None
    assert answer(table(two_hosts(ignore_port_in_host_matching=True)), host="a.test:8080") == "a.test"


def test_another_header_may_name_the_virtual_host() -> None:
    routes = table(two_hosts(vhost_header="X-VH"))
    assert answer(routes, host="a.test", headers=[("x-vh", "B.test")]) == "b.test"
    assert answer(routes, host="a.test") is None
