"""Permissions, principals and policies: what each matches and what not, and trees of them against a plain evaluator."""

from __future__ import annotations

import ipaddress
import random
from typing import Any, Dict, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.rbac import Permission, Principal, Rbac
from proxy_core.config.registry import TypeRegistry
from proxy_core.extensions.rbac.matchers import UpstreamIpPortMatcher
from proxy_core.extensions.rbac.facts import Facts
from proxy_core.extensions.rbac.rules import Rules, compile_rule
from proxy_core.observe.stream_info import StreamInfo

Json = Dict[str, Any]
TYPES = TypeRegistry([UpstreamIpPortMatcher])
ANY = {"any": True}
UPSTREAM = "type.googleapis.com/envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher"


def net(text: str) -> Json:
    ip, _, length = text.partition("/")
    return {"address_prefix": ip, "prefix_len": int(length or (128 if ":" in ip else 32))}


def stream(
    remote: str = "198.51.100.7:5000", direct: str = "10.0.0.1:6000", local: str = "203.0.113.9:443", sni: str = "",
    tls: Any = None, metadata: Any = None, state: Any = None,
) -> StreamInfo:
    info = StreamInfo(1, 0.0, 0.0)
    info.downstream_remote_address, info.downstream_direct_remote_address = remote, direct
    info.downstream_local_address, info.requested_server_name, info.tls = local, sni, tls
    for namespace, values in (metadata or {}).items():
        info.set_dynamic_metadata(namespace, values)
    for name, value in (state or {}).items():
        info.set_filter_state(name, value)
    return info


def permits(rule: Json, info: StreamInfo) -> bool:
    return compile_rule(decode(Permission, rule, TYPES))(Facts(info))


def is_principal(rule: Json, info: StreamInfo) -> bool:
    return compile_rule(decode(Principal, rule, TYPES))(Facts(info))


def test_destination_ip_is_where_the_client_meant_to_go() -> None:
    for text, inside in (("203.0.113.0/24", True), ("203.0.113.9", True), ("203.0.113.8/32", False), ("::/0", False)):
        assert permits({"destination_ip": net(text)}, stream()) is inside
    assert permits({"destination_ip": net("2001:db8::/32")}, stream(local="[2001:db8::5]:80"))


def test_a_network_without_a_length_is_every_address_of_its_family() -> None:
    rule = {"remote_ip": {"address_prefix": "10.0.0.1"}}
    assert is_principal(rule, stream()) and not is_principal(rule, stream(remote="[::1]:1"))


def test_destination_port_and_its_range_whose_end_is_exclusive() -> None:
    assert permits({"destination_port": 443}, stream()) and not permits({"destination_port": 444}, stream())
    for start, end, inside in ((443, 444, True), (0, 65536, True), (442, 443, False), (444, 500, False)):
        assert permits({"destination_port_range": {"start": start, "end": end}}, stream()) is inside
    assert permits({"destination_port": 80}, stream(local="[::1]:80"))


def test_a_unix_socket_has_no_ip_and_no_port() -> None:
    info = stream(local="/run/x.sock", remote="", direct="@")
    assert not permits({"destination_port": 0}, info)
    assert not permits({"destination_port_range": {"start": 0, "end": 65536}}, info)
    assert not permits({"destination_ip": net("0.0.0.0/0")}, info)
    for kind in ("remote_ip", "direct_remote_ip", "source_ip"):
        assert not is_principal({kind: net("0.0.0.0/0")}, info) and not is_principal({kind: net("::/0")}, info)
    assert not permits({"destination_port": 80}, stream(local="/run/a:80"))


@pytest.mark.parametrize(
    "matcher, fits, misses",
    [
        ({"exact": "a.test"}, ["a.test"], ["", "A.test", "b.a.test"]),
        ({"exact": ""}, [""], ["a"]),
        ({"exact": "A.Test", "ignore_case": True}, ["a.test", "A.TEST"], ["a"]),
        ({"prefix": "a."}, ["a.test", "a."], ["b.a.", ""]),
        ({"suffix": ".test"}, ["a.test", ".test"], ["test", "a.test."]),
        ({"suffix": ".TEST", "ignore_case": True}, ["a.test"], ["test"]),
        ({"contains": "mid"}, ["amidst", "mid"], ["mi-d", ""]),
        ({"safe_regex": {"regex": "a+"}}, ["a", "aaa"], ["", "ab", "ba"]),
    ],
)
def test_requested_server_name(matcher: Json, fits: List[str], misses: List[str]) -> None:
    for name in fits:
        assert permits({"requested_server_name": matcher}, stream(sni=name)), name
    for name in misses:
        assert not permits({"requested_server_name": matcher}, stream(sni=name)), name


def test_the_three_notions_of_where_a_client_comes_from() -> None:
    proxied = stream()
    for kind, inside in (("remote_ip", "198.51.100.0/24"), ("source_ip", "198.51.100.0/24"), ("direct_remote_ip", "10.0.0.0/8")):
        assert is_principal({kind: net(inside)}, proxied)
        assert not is_principal({kind: net("203.0.113.0/24")}, proxied)
    assert not is_principal({"direct_remote_ip": net("198.51.100.0/24")}, proxied)
    assert not is_principal({"remote_ip": net("10.0.0.0/8")}, proxied)


CERTIFIED = {"peer_uri_san": ["spiffe://td/a", "spiffe://td/b"], "peer_dns_san": ["a.test"], "peer_subject": "CN=a,O=x"}


@pytest.mark.parametrize(
    "matcher, tls, expected",
    [
        (None, None, False), (None, {}, True), (None, CERTIFIED, True),
        ({"exact": "spiffe://td/b"}, CERTIFIED, True), ({"exact": "a.test"}, CERTIFIED, True),
        ({"prefix": "CN=a"}, CERTIFIED, True), ({"exact": "spiffe://td/c"}, CERTIFIED, False),
        ({"exact": ""}, {"version": "TLSv1.3"}, True), ({"exact": ""}, CERTIFIED, False), ({"exact": ""}, None, False),
        ({"exact": ""}, {"peer_subject": None}, True), ({"exact": "a.test"}, {"version": "TLSv1.3"}, False),
    ],
)
def test_authenticated_tries_uri_names_then_dns_names_then_the_subject(matcher: Any, tls: Any, expected: bool) -> None:
    rule = {"authenticated": {} if matcher is None else {"principal_name": matcher}}
    assert is_principal(rule, stream(tls=tls)) is expected


def metadata_rule(value: Json, *keys: str, namespace: str = "ns", invert: bool = False) -> Json:
    path = [{"key": key} for key in keys]
    return {"metadata": {"filter": namespace, "path": path, "value": value, "invert": invert}}


@pytest.mark.parametrize(
    "value, keys, expected",
    [
        ({"string_match": {"exact": "x"}}, ["s"], True), ({"string_match": {"exact": "y"}}, ["s"], False),
        ({"string_match": {"exact": "x"}}, ["deep", "s"], True), ({"string_match": {"exact": "x"}}, ["deep"], False),
        ({"bool_match": True}, ["b"], True), ({"bool_match": False}, ["b"], False), ({"bool_match": True}, ["n"], False),
        ({"double_match": {"exact": 1}}, ["n"], True), ({"double_match": {"range": {"start": 1, "end": 2}}}, ["n"], True),
        ({"double_match": {"range": {"start": 0, "end": 1}}}, ["n"], False), ({"double_match": {"exact": 1}}, ["b"], False),
        ({"null_match": {}}, ["null"], True), ({"null_match": {}}, ["absent"], False), ({"null_match": {}}, ["s"], False),
        ({"present_match": True}, ["s"], True), ({"present_match": True}, ["absent"], False),
        ({"present_match": False}, ["s"], False), ({"present_match": False}, ["absent"], False),
        ({"list_match": {"one_of": {"string_match": {"exact": "q"}}}}, ["list"], True),
        ({"list_match": {"one_of": {"string_match": {"exact": "z"}}}}, ["list"], False),
        ({"or_match": {"value_matchers": [{"bool_match": True}, {"string_match": {"prefix": "x"}}]}}, ["s"], True),
        ({"present_match": True}, ["s", "deeper"], False),
    ],
)
def test_metadata_of_every_kind_and_its_inversion(value: Json, keys: List[str], expected: bool) -> None:
    info = stream(metadata={"ns": {"s": "x", "b": True, "n": 1.0, "null": None, "list": ["p", "q"], "deep": {"s": "x"}}})
    for side in (permits, is_principal):
        assert side(metadata_rule(value, *keys), info) is expected
        assert side(metadata_rule(value, *keys, invert=True), info) is not expected
        assert side(metadata_rule(value, *keys, namespace="other"), info) is False
        assert side({"sourced_metadata": {"metadata_matcher": metadata_rule(value, *keys)["metadata"]}}, info) is expected


def test_metadata_of_a_route_matches_nothing_because_a_tcp_connection_has_none() -> None:
    info = stream(metadata={"ns": {"s": "x"}})
    for invert in (False, True):
        matcher = metadata_rule({"string_match": {"exact": "x"}}, "s", invert=invert)["metadata"]
        assert not permits({"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "ROUTE"}}, info)


def test_filter_state_as_text() -> None:
    rule = {"filter_state": {"key": "k", "string_match": {"exact": "true"}}}
    assert is_principal(rule, stream(state={"k": "true"})) and is_principal(rule, stream(state={"k": True}))
    assert not is_principal(rule, stream(state={"k": "other"})) and not is_principal(rule, stream())
    empty = {"filter_state": {"key": "k", "string_match": {"exact": ""}}}
    assert is_principal(empty, stream(state={"k": ""})) and not is_principal(empty, stream())


def test_filter_state_as_an_address() -> None:
    rule = {"filter_state": {"key": "k", "address_match": {"ranges": [net("10.0.0.0/8"), net("2001:db8::/32")]}}}
    inverted = {"filter_state": {"key": "k", "address_match": {"ranges": [net("10.0.0.0/8")], "invert_match": True}}}
    for value in ("10.1.2.3", "10.1.2.3:80", "2001:db8::1", "[2001:db8::1]:80"):
        assert is_principal(rule, stream(state={"k": value})), value
    for value in ("11.0.0.1", "::1", "no address", ""):
        assert not is_principal(rule, stream(state={"k": value})), value
    assert is_principal(inverted, stream(state={"k": "11.0.0.1"})) and not is_principal(inverted, stream(state={"k": "10.0.0.1"}))
    assert not is_principal(inverted, stream(state={"k": "no address"})) and not is_principal(inverted, stream())


@pytest.mark.parametrize(
    "fields, address, expected",
    [
        ({"upstream_ip": net("10.0.0.0/8")}, "10.9.9.9:80", True), ({"upstream_ip": net("10.0.0.0/8")}, "11.0.0.1:80", False),
        ({"upstream_port_range": {"start": 80, "end": 81}}, "1.1.1.1:81", True),
        ({"upstream_port_range": {"start": 80, "end": 81}}, "1.1.1.1:82", False),
        ({"upstream_ip": net("10.0.0.0/8"), "upstream_port_range": {"start": 80, "end": 80}}, "10.0.0.1:80", True),
        ({"upstream_ip": net("10.0.0.0/8"), "upstream_port_range": {"start": 80, "end": 80}}, "10.0.0.1:81", False),
        ({"upstream_ip": net("0.0.0.0/0")}, "/run/x", False), ({"upstream_ip": net("0.0.0.0/0")}, None, False),
    ],
)
def test_the_matcher_for_an_upstream_address(fields: Json, address: Any, expected: bool) -> None:
    rule = {"matcher": {"name": "m", "typed_config": {"@type": UPSTREAM, **fields}}}
    state = {} if address is None else {"envoy.stream.upstream_address": address}
    assert permits(rule, stream(state=state)) is expected


# -- and, or, not ------------------------------------------------------------------------------------------------------

PLACES = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"]
NETWORKS = ["10.0.0.0/31", "10.0.0.2/32", "192.0.0.0/8", "2001:db8::/64", "0.0.0.0/0", "::/0"]


def random_principal(rnd: random.Random, depth: int) -> Json:
    kind = rnd.choice(["any", "remote_ip", "direct_remote_ip", "source_ip", "authenticated"] + ["and", "or", "not"] * (depth > 0))
    if kind == "any":
        return {"any": True}
    if kind == "authenticated":
        return {"authenticated": {}}
    if kind == "not":
        return {"not_id": random_principal(rnd, depth - 1)}
    if kind in ("and", "or"):
        return {f"{kind}_ids": {"ids": [random_principal(rnd, depth - 1) for _ in range(rnd.randint(1, 4))]}}
    return {kind: net(rnd.choice(NETWORKS))}


def random_permission(rnd: random.Random, depth: int) -> Json:
    kind = rnd.choice(["any", "destination_ip", "destination_port", "server"] + ["and", "or", "not"] * (depth > 0))
    if kind == "any":
        return {"any": True}
    if kind == "server":
        return {"requested_server_name": {"exact": rnd.choice(["", "a"])}}
    if kind == "destination_port":
        return {kind: rnd.choice([80, 443])}
    if kind == "not":
        return {"not_rule": random_permission(rnd, depth - 1)}
    if kind in ("and", "or"):
        return {f"{kind}_rules": {"rules": [random_permission(rnd, depth - 1) for _ in range(rnd.randint(1, 4))]}}
    return {kind: net(rnd.choice(NETWORKS))}


def plainly(rule: Json, facts: Json) -> bool:
    """The same question answered in the most obvious way."""
    (kind, value), = rule.items()
    if kind in ("and_ids", "and_rules"):
        return all(plainly(one, facts) for one in value.get("ids", value.get("rules")))
    if kind in ("or_ids", "or_rules"):
        return any(plainly(one, facts) for one in value.get("ids", value.get("rules")))
    if kind in ("not_id", "not_rule"):
        return not plainly(value, facts)
    if kind.endswith("_ip"):
        network = ipaddress.ip_network((value["address_prefix"], value["prefix_len"]), strict=False)
        return ipaddress.ip_address(facts[kind]) in network
    if kind == "requested_server_name":
        return bool(facts["sni"] == value["exact"])
    return bool({"any": True, "authenticated": facts["tls"] is not None, "destination_port": facts["port"] == value}[kind])


def printed(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@pytest.mark.parametrize("seed", range(60))
def test_random_trees_of_rules_agree_with_a_plain_evaluator(seed: int) -> None:
    rnd = random.Random(seed)
    policies = {
        f"p{number}": {
            "permissions": [random_permission(rnd, 3) for _ in range(rnd.randint(1, 3))],
            "principals": [random_principal(rnd, 3) for _ in range(rnd.randint(1, 3))],
        }
        for number in range(rnd.randint(0, 3))
    }
    action = rnd.choice(["ALLOW", "DENY", "LOG"])
    rules = Rules(decode(Rbac, {"action": action, "policies": policies}, TYPES))
    for _ in range(20):
        remote, direct, local = (rnd.choice(PLACES) for _ in range(3))
        facts: Json = {
            "remote_ip": remote, "source_ip": remote, "direct_remote_ip": direct, "destination_ip": local,
            "port": rnd.choice([80, 443, 8080]), "sni": rnd.choice(["", "a"]), "tls": rnd.choice([None, {}]),
        }
        info = stream(printed(remote, 1), printed(direct, 2), printed(local, facts["port"]), facts["sni"], facts["tls"])
        matching = [
            name for name, policy in policies.items()
            if any(plainly(one, facts) for one in policy["permissions"])
            and any(plainly(one, facts) for one in policy["principals"])
        ]
        verdict = rules.judge(Facts(info))
        assert verdict.policy == (min(matching) if matching else "")
        assert verdict.allowed == {"ALLOW": bool(matching), "DENY": not matching, "LOG": True}[action]


def test_a_rule_nested_as_deep_as_the_decoder_takes_it_is_judged() -> None:
    rule: Json = {"remote_ip": net("198.51.100.7")}
    for _ in range(40):
        rule = {"not_id": rule}
    assert is_principal(rule, stream()) and not is_principal({"not_id": rule}, stream())


# -- policies ----------------------------------------------------------------------------------------------------------

def judge(action: str, *names: str, **principals: Json) -> Any:
    policies = {name: {"permissions": [ANY], "principals": [principals.get(name, ANY)]} for name in names}
    return Rules(decode(Rbac, {"action": action, "policies": policies}, TYPES)).judge(Facts(stream()))


def test_policies_are_tried_in_the_order_of_the_bytes_of_their_names() -> None:
    assert judge("ALLOW", "b", "a", "Z").policy == "Z"
    assert judge("ALLOW", "10", "9").policy == "10"
    assert judge("ALLOW", "\uffff", "\U00010000", "é").policy == "é"
    assert judge("ALLOW", "\uffff", "\U00010000").policy == "\uffff"  # by UTF-8, as in Envoy
    assert judge("ALLOW", "a", "b", a={"remote_ip": net("203.0.113.1")}).policy == "b"


def test_what_the_actions_make_of_a_match() -> None:
    for action, with_match, without in (("ALLOW", True, False), ("DENY", False, True), ("LOG", True, True)):
        assert judge(action, "p") == (with_match, "p")
        assert judge(action) == (without, "")
        assert judge(action, "p", p={"not_id": ANY}) == (without, "")


def test_a_policy_needs_one_of_its_permissions_and_one_of_its_principals() -> None:
    no_permission, no_principal = {"not_rule": ANY}, {"not_id": ANY}
    for permissions, principals, matches in (
        ([no_permission, ANY], [no_principal, ANY], True), ([no_permission], [ANY], False), ([ANY], [no_principal], False),
    ):
        policy = {"permissions": permissions, "principals": principals}
        rules = Rules(decode(Rbac, {"policies": {"p": policy}}, TYPES))
        assert rules.judge(Facts(stream())).allowed is matches


def test_rules_know_whether_they_ask_for_what_may_come_later() -> None:
    def asked(principal: Json) -> Any:
        policy = {"permissions": [ANY], "principals": [{"and_ids": {"ids": [ANY, {"not_id": principal}]}}]}
        rules = Rules(decode(Rbac, {"policies": {"p": policy}}, TYPES))
        return rules.asks_certificate, rules.asks_state

    assert asked({"remote_ip": net("10.0.0.0/8")}) == (False, False)
    assert asked({"authenticated": {}}) == (True, False)
    assert asked(metadata_rule({"present_match": True}, "k")) == (False, True)
    assert asked({"filter_state": {"key": "k", "string_match": {"exact": "x"}}}) == (False, True)


def test_a_thousand_networks_beside_each_other_are_one_set() -> None:
    ids = [{"remote_ip": net(f"10.{number // 256}.{number % 256}.0/25")} for number in range(1000)]
    policy = {"permissions": [ANY], "principals": ids}
    rules = Rules(decode(Rbac, {"policies": {"p": policy}}, TYPES))
    for remote, allowed in (("10.3.231.5:1", True), ("10.3.231.200:1", False), ("10.3.232.1:1", False), ("10.0.0.0:1", True)):
        assert rules.judge(Facts(stream(remote=remote))).allowed is allowed


def test_what_a_connection_has_not_matches_nothing() -> None:
    for rule in (
        {"header": {"name": "x", "present_match": False}}, {"header": {"name": ":path", "invert_match": True}},
        {"url_path": {"path": {"prefix": "/"}}},
    ):
        assert not permits(rule, stream()) and not is_principal(rule, stream())
