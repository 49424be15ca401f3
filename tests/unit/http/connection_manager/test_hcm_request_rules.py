"""What is changed in the headers of requests and responses: values as measured with Envoy 1.40."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional

import pytest

from proxy_core.http.connection_manager.client_certificate import ClientCertificateRules
from proxy_core.http.connection_manager.forwarded import last_address
from proxy_core.http.connection_manager.hosts import HostRules
from proxy_core.http.connection_manager.path import ACCEPTED, REDIRECTED, REFUSED, PathRules, normalise_path
from proxy_core.http.connection_manager.request_rules import request_id
from proxy_core.http.headers import Headers
from tests.unit.http.connection_manager.hcm_kit import Hcm, get

EDGE = {"use_remote_address": True}
HOPS = {"use_remote_address": True, "xff_num_trusted_hops": 1}
INSIDE = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "9.9.9.9", "prefix_len": 32}]}}
ALL_INSIDE = {**EDGE, "internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}}

# (configuration, header lines sent, header, what the upstream gets)
RULES = [
    ({}, [], "x-forwarded-for", None),
    ({}, [], "x-forwarded-proto", "http"),
    ({}, ["X-Forwarded-Proto: https"], "x-forwarded-proto", "https"),
    (EDGE, ["X-Forwarded-Proto: https"], "x-forwarded-proto", "http"),
    (HOPS, ["X-Forwarded-Proto: https"], "x-forwarded-proto", "https"),
    (EDGE, [], "x-forwarded-for", "10.1.2.3"),
    (EDGE, ["X-Forwarded-For: 9.9.9.9, 8.8.8.8"], "x-forwarded-for", "9.9.9.9, 8.8.8.8,10.1.2.3"),
    ({**EDGE, "skip_xff_append": True}, ["X-Forwarded-For: 9.9.9.9"], "x-forwarded-for", "9.9.9.9"),
    (EDGE, [], "x-envoy-external-address", "10.1.2.3"),
    (HOPS, ["X-Forwarded-For: 9.9.9.9, 8.8.8.8"], "x-envoy-external-address", "8.8.8.8"),
    ({}, [], "x-envoy-external-address", None),
    ({"append_x_forwarded_port": True}, [], "x-forwarded-port", "80"),
    ({"append_x_forwarded_port": True}, ["X-Forwarded-Port: 1"], "x-forwarded-port", "1"),
    ({**EDGE, "append_x_forwarded_port": True}, ["X-Forwarded-Port: 1"], "x-forwarded-port", "80"),
    ({}, ["X-Envoy-Internal: true"], "x-envoy-internal", None),
    (INSIDE, ["X-Forwarded-For: 9.9.9.9"], "x-envoy-internal", "true"),
    (INSIDE, ["X-Forwarded-For: 1.1.1.1, 9.9.9.9"], "x-envoy-internal", None),
    (ALL_INSIDE, [], "x-envoy-internal", "true"),
    (ALL_INSIDE, ["X-Forwarded-For: 10.0.0.1"], "x-envoy-internal", None),
    ({}, ["X-Envoy-Max-Retries: 3"], "x-envoy-max-retries", None),
    (INSIDE, ["X-Forwarded-For: 9.9.9.9", "X-Envoy-Max-Retries: 3"], "x-envoy-max-retries", "3"),
    ({}, ["X-Envoy-Original-Path: /x"], "x-envoy-original-path", "/x"),
    (EDGE, ["X-Envoy-Original-Path: /x"], "x-envoy-original-path", None),
    (EDGE, ["X-Envoy-Attempt-Count: 4"], "x-envoy-attempt-count", "4"),
    ({}, ["X-Request-Id: mine"], "x-request-id", "mine"),
    ({**EDGE, "preserve_external_request_id": True}, ["X-Request-Id: mine"], "x-request-id", "mine"),
    ({"generate_request_id": False}, [], "x-request-id", None),
    ({}, ["TE: gzip, trailers"], "te", "trailers"),
    ({}, ["TE: gzip"], "te", None),
    ({}, ["Connection: keep-alive", "Keep-Alive: 5"], "connection", None),
    ({}, ["Connection: keep-alive", "Keep-Alive: 5"], "keep-alive", None),
    ({}, ["Upgrade: foo"], "upgrade", None),
    ({"via": "px"}, ["Via: 1.0 up"], "via", "1.0 up, px"),
    ({"add_user_agent": True}, [], "user-agent", "svc"),
    ({"add_user_agent": True}, ["User-Agent: me"], "user-agent", "me"),
    ({"add_user_agent": True}, [], "x-envoy-downstream-service-cluster", "svc"),
    ({"add_user_agent": True}, [], "x-envoy-downstream-service-node", "node-1"),
    ({}, ["X-Forwarded-Client-Cert: Hash=1"], "x-forwarded-client-cert", None),
    ({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}, ["X-Forwarded-Client-Cert: Hash=1"],
     "x-forwarded-client-cert", "Hash=1"),
    ({"scheme_header_transformation": {"scheme_to_overwrite": "https"}}, [], "x-forwarded-proto", "https"),
    *[({}, [f"Referer: {value}"], "referer", value) for value in (
        "http://a", "http://a?x", "http://[::1]:80/x", "HTTP://A/", "x://y", "http://a:65535/", "foo", "/x", "//host/p", "?x",
    )],
    *[({}, [f"Referer: {value}"], "referer", None) for value in (
        "about:blank", "foo#bar", "a b", "http://", "http://a:", "http://a:65536/", "http://a@b/", "http://a#", "mailto:x@y",
    )],
]


@pytest.mark.parametrize("config, lines, name, value", RULES)
def test_the_upstream_gets_the_header_that_envoy_would_send(
    config: Dict[str, Any], lines: List[str], name: str, value: Optional[str]
) -> None:
    hcm = Hcm(config, direct=False)
    hcm.send(get("/up", *lines))
    assert hcm.last.decoder.request.headers.get(name) == value


def test_headers_stand_in_the_order_in_which_envoy_adds_them() -> None:
    hcm = Hcm({**EDGE, "append_x_forwarded_port": True, "via": "px"}, direct=False)
    hcm.send(get("/up", "X-A: 1"))
    assert [name for name, _ in hcm.last.decoder.request.headers.items()] == [
        "x-a", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "via", "x-envoy-external-address", "x-request-id",
    ]


def test_a_request_without_anything_to_change_keeps_its_header_map() -> None:
    hcm = Hcm({"generate_request_id": False}, direct=False)
    hcm.send(get("/up", "X-Forwarded-Proto: http", "X-A: 1", "x-a: 2"))
    assert list(hcm.last.decoder.request.headers.items()) == [("x-forwarded-proto", "http"), ("x-a", "1"), ("x-a", "2")]


def test_the_address_that_logs_show_is_the_trusted_client() -> None:
    for config, shown in (({}, "9.9.9.9:0"), (EDGE, "10.1.2.3:5555"), (HOPS, "9.9.9.9:0")):
        hcm = Hcm(config, direct=False)
        hcm.send(get("/up", "X-Forwarded-For: 9.9.9.9"))
        assert hcm.last.decoder.info.downstream_remote_address == shown
        assert hcm.last.decoder.info.downstream_direct_remote_address == "10.1.2.3:5555"


def test_internal_only_headers_of_the_route_table_are_taken_out_of_requests_from_outside() -> None:
    table = {"internal_only_headers": ["X-Secret"], "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]}]}
    hcm = Hcm({"route_config": table}, direct=False)
    hcm.send(get("/up", "x-secret: 1"))
    assert "x-secret" not in hcm.last.decoder.request.headers


@pytest.mark.parametrize("config, sent, server", [
    ({}, {}, "envoy"), ({}, {"server": "up"}, "envoy"), ({"server_name": "me"}, {"server": "up"}, "me"),
    ({"server_header_transformation": "APPEND_IF_ABSENT"}, {"server": "up"}, "up"),
    ({"server_header_transformation": "APPEND_IF_ABSENT"}, {}, "envoy"),
    ({"server_header_transformation": "PASS_THROUGH"}, {}, None),
    ({"server_header_transformation": "PASS_THROUGH"}, {"server": "up"}, "up"),
])
def test_the_server_header_is_the_one_that_the_configuration_asks_for(
    config: Dict[str, Any], sent: Dict[str, str], server: Optional[str]
) -> None:
    hcm = Hcm(config, direct=False)
    hcm.send(get("/up"))
    hcm.last.answer(204, **sent)
    lines = hcm.got().decode().split("\r\n")
    assert [line[8:] for line in lines if line.startswith("server: ")] == ([] if server is None else [server])


def test_a_response_loses_what_belongs_to_its_connection_and_gets_what_is_ours_in_order() -> None:
    hcm = Hcm({"via": "px", "always_set_request_id_in_response": True}, direct=False)
    hcm.send(get("/up", "X-Request-Id: mine"))
    hcm.last.answer(
        200, b"x", connection="close", keep_alive="5", proxy_connection="x", upgrade="foo", via="1.0 up", content_length="1"
    )
    assert hcm.got() == (
        b"HTTP/1.1 200 OK\r\nvia: 1.0 up, px\r\ncontent-length: 1\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nserver: envoy\r\n"
        b"x-request-id: mine\r\n\r\nx"
    )
    assert hcm.connection.is_open


def test_a_date_of_the_upstream_is_kept() -> None:
    hcm = Hcm(direct=False)
    hcm.send(get("/up"))
    hcm.last.answer(204, date="yesterday")
    assert b"date: yesterday\r\n" in hcm.got()


def test_request_ids_are_version_4_uuids_and_differ() -> None:
    rng = random.Random(5)
    found = {request_id(rng) for _ in range(1000)}
    assert len(found) == 1000
    for one in found:
        assert len(one) == 36 and one[14] == "4" and one[19] in "89ab" and one.count("-") == 4
        int(one.replace("-", ""), 16)


@pytest.mark.parametrize("value, skip, expected", [
    ("1.1.1.1", 0, ("1.1.1.1", True)), ("1.1.1.1, 2.2.2.2", 0, ("2.2.2.2", False)), ("1.1.1.1,2.2.2.2", 1, ("1.1.1.1", False)),
    ("1.1.1.1", 1, ("", False)), ("foo", 0, ("", False)), ("1.2.3.4:80", 0, ("", False)), ("", 0, ("", False)),
    ("1.2.3.4,", 0, ("", False)), (" ::1 ", 0, ("::1", True)), (None, 0, ("", False)),
])
def test_the_last_address_of_x_forwarded_for(value: Optional[str], skip: int, expected: Any) -> None:
    assert last_address(value, skip) == expected


@pytest.mark.parametrize("path, expected", [
    ("/a/../b", "/b"), ("/a/%2e%2e/b", "/b"), ("/../../x", "/x"), ("/a/b/../../../c", "/c"), ("/a/..", "/"), ("/a/.", "/a/"),
    ("/.", "/"), ("/..", "/"), ("/a\\b", "/a/b"), ("/a%5cb", "/a%5cb"), ("/%7Euser%41%2d", "/~userA-"), ("/%3f", "/%3f"),
    ("/a%25b", "/a%25b"), ("/a%2Fb", "/a%2Fb"), ("/a%2f..%2fb", "/a%2f..%2fb"), ("/a%zz", "/a%zz"), ("/a%2", "/a%2"),
    ("/a/..;x/b", "/b"), ("//a", "//a"), ("/a//b", "/a//b"), ("/a//../b", "/a/b"), ("/...", "/..."), ("/.a", "/.a"),
    ('/a"<>^`{|}', "/a%22%3C%3E%5E%60%7B%7C%7D"), ("/plain/path", "/plain/path"), ("/a/./b/", "/a/b/"),
])
def test_paths_are_normalised_as_in_envoy(path: str, expected: str) -> None:
    assert normalise_path(path) == expected
    assert normalise_path(expected) == expected


@pytest.mark.parametrize("rules, target, path, outcome", [
    (PathRules(), "/a#b", "/a#b", REFUSED),
    (PathRules(normalise=True), "/a%00b", "/a%00b", REFUSED),
    (PathRules(normalise=True), "/a/../b?x=/../y", "/b?x=/../y", ACCEPTED),
    (PathRules(merge_slashes=True), "//a//b///c?x=//y", "/a/b/c?x=//y", ACCEPTED),
    (PathRules(escaped_slashes="REJECT_REQUEST"), "/a%2fb", "/a/b", REFUSED),
    (PathRules(escaped_slashes="REJECT_REQUEST"), "/ab?c=%2f", "/ab?c=%2f", ACCEPTED),
    (PathRules(escaped_slashes="UNESCAPE_AND_REDIRECT"), "/a%2Fb?c=%2F", "/a/b?c=%2F", REDIRECTED),
    (PathRules(True, escaped_slashes="UNESCAPE_AND_FORWARD"), "/a%2Fb%5Cc", "/a/b/c", ACCEPTED),
    (PathRules(escaped_slashes="UNESCAPE_AND_FORWARD"), "/a%5Cc", "/a\\c", ACCEPTED),
])
def test_the_steps_of_path_rules_come_in_envoys_order(rules: PathRules, target: str, path: str, outcome: str) -> None:
    assert rules.apply(target) == (path, outcome)


def test_a_path_that_is_unescaped_sends_the_client_there() -> None:
    hcm = Hcm({"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"})
    assert b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /a/b?c=%2F\r\n" in hcm.send(get("/a%2Fb?c=%2F"))
    assert hcm.stat("downstream_rq_redirected_with_normalized_path") == 1


@pytest.mark.parametrize("rules, host, expected", [
    (HostRules(False, True, False), "a:80", "a"), (HostRules(False, True, False), "[::1]:80", "[::1]"),
    (HostRules(False, True, False), "a:", "a:"), (HostRules(False, True, False), "a:x", "a:x"),
    (HostRules(True, False, False), "a:80", "a"), (HostRules(True, False, False), "a:81", "a:81"),
    (HostRules(False, False, True), "a.", "a"), (HostRules(False, False, True), "a.:80", "a:80"),
    (HostRules(False, True, True), "a.:80", "a"),
])
def test_hosts_are_brought_to_one_spelling(rules: HostRules, host: str, expected: str) -> None:
    hcm = Hcm()
    assert rules.apply(host, hcm.http.peer) == expected


CERTIFICATE = {
    "peer_fingerprint_256": "ab12", "peer_subject": 'CN="a"', "peer_uri_san": ["spiffe://a", "spiffe://b"],
    "peer_dns_san": ["a.test"], "local_uri_san": ["spiffe://me"], "peer_cert": "-----BEGIN%20X",
}


@pytest.mark.parametrize("mode, expected", [
    ("SANITIZE", None), ("FORWARD_ONLY", "Hash=1"), ("ALWAYS_FORWARD_ONLY", "Hash=1"),
    ("APPEND_FORWARD", 'Hash=1,By=spiffe://me;Hash=ab12;Cert="-----BEGIN%20X";Subject="CN=\\"a\\"";URI=spiffe://a;'
                       "URI=spiffe://b;DNS=a.test"),
    ("SANITIZE_SET", 'By=spiffe://me;Hash=ab12;Cert="-----BEGIN%20X";Subject="CN=\\"a\\"";URI=spiffe://a;URI=spiffe://b;'
                     "DNS=a.test"),
])
def test_the_clients_certificate_is_told_as_configured(mode: str, expected: Optional[str]) -> None:
    hcm = Hcm()
    headers = Headers([("x-forwarded-client-cert", "Hash=1")])
    hcm.http.peer.tls = CERTIFICATE
    ClientCertificateRules(mode, ("cert", "subject", "uri", "dns")).apply(headers, hcm.http.peer)
    assert headers.get("x-forwarded-client-cert") == expected
    hcm.http.peer.tls = {}
    headers.set("x-forwarded-client-cert", "Hash=1")
    ClientCertificateRules(mode).apply(headers, hcm.http.peer)
    assert headers.get("x-forwarded-client-cert") == ("Hash=1" if mode == "ALWAYS_FORWARD_ONLY" else None)
