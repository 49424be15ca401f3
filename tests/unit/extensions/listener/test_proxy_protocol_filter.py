"""proxy_protocol: its settings, what it leaves behind, and that it does not matter how the bytes are cut."""

from __future__ import annotations

import random
from typing import Any, Dict, List

import pytest

from proxy_core.network.proxy_header import STATE_KEY, TLV_STATE_KEY
from proxy_core.observe.access_log.parametrised import parametrised_operators
from proxy_core.testing.splits import bytewise, splits
from tests.support.proxy_protocol import IPV6, LOCAL, PEER, SIGNATURE, Accepted, decoded, tlv, v2

LINE = b"PROXY TCP4 198.51.100.7 203.0.113.9 40000 443\r\n"
RULES: List[Dict[str, Any]] = [
    {"tlv_type": 0xE1, "on_tlv_present": {"key": "k1"}},
    {"tlv_type": 0xE2, "on_tlv_present": {"key": "k2", "metadata_namespace": "other", "value_string_encoding": "BASE64"}},
    {"tlv_type": 0xE3, "on_tlv_present": {"key": "k1"}},
    {"tlv_type": 0xE4},
]
NAMESPACE = "envoy.filters.listener.proxy_protocol"
SAMPLES = [
    LINE,
    b"PROXY TCP6 2001:db8::1 fe80::2 40000 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN a b 1 2\r\n",
    v2(),
    v2(addresses=IPV6, family=0x21),
    v2(tlv(0xE1, b"one") + tlv(0xE2, b"\xff\0") + tlv(0xE3, b"") + tlv(4, b"x" * 20)),
    v2(tlv(0xE4, b"q"), command=0x20),
    v2(tlv(0xE1, b"x" * 300), addresses=IPV6, family=0x22),
]


@pytest.mark.parametrize("header", SAMPLES)
def test_every_split_gives_the_same(header: bytes) -> None:
    whole = Accepted(rules=RULES)
    assert whole.feed([header + b"payload"]) == "passed"
    for pieces in splits(header + b"payload", two_way_limit=120):
        accepted = Accepted(rules=RULES)
        accepted.feed(pieces)
        assert (accepted.facts, accepted.counted()) == (whole.facts, whole.counted())


@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("header", SAMPLES)
def test_an_end_at_every_prefix_is_no_header_and_an_end_behind_it_is_no_mistake(header: bytes, allow: bool) -> None:
    for length in range(len(header)):
        accepted = Accepted(allow_requests_without_proxy_protocol=allow)
        verdict = accepted.feed([header[:length]], ended=True)
        is_short = 0 < length < (6 if header.startswith(b"P") else 12)
        assert verdict == ("passed" if allow and is_short else "waits")  # the phase closes what still waits
        assert accepted.counted() == ({"not_found_allowed": 1} if verdict == "passed" else {})
        assert accepted.data == header[:length]
    assert Accepted(allow_requests_without_proxy_protocol=allow).feed([header], ended=True) == "passed"


def mutated(generator: random.Random, header: bytes) -> bytes:
    data = bytearray(header)
    for _ in range(generator.choice((1, 1, 2, 3))):
        at = generator.randrange(len(data) + 1)
        kind = generator.randrange(4)
        if kind == 0:
            data[at : at + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            del data[at : at + 1]
        elif kind == 2:
            data[at:at] = bytes([generator.choice(b"\r\n \0\t:%.+-019aF")])
        else:
            data[at:at] = data[: generator.randrange(1, 8)]
    return bytes(data)


@pytest.mark.parametrize("allow", [False, True])
def test_thousands_of_mutated_headers_are_judged_alike_whole_and_byte_by_byte(allow: bool) -> None:
    generator = random.Random(11)
    seen = set()
    for number in range(2000):
        data = mutated(generator, SAMPLES[number % len(SAMPLES)]) + b"payload"
        whole = Accepted(rules=RULES, allow_requests_without_proxy_protocol=allow)
        seen.add(whole.feed([data]))
        cut = Accepted(rules=RULES, allow_requests_without_proxy_protocol=allow)
        cut.feed(bytewise(data))
        assert cut.facts == whole.facts, data
        if whole.verdict == "passed":
            assert cut.counted() == whole.counted() and data.endswith(whole.data)
    assert seen == {"passed", "rejected", "waits"}


class Untouched(bytearray):
    """Bytes of which only the number may be asked."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("looked at")

    def find(self, *arguments: Any) -> Any:
        raise AssertionError("looked at")

    def startswith(self, *arguments: Any) -> Any:
        raise AssertionError("looked at")


def test_a_long_header_is_not_looked_at_again_until_it_is_whole() -> None:
    header = v2(tlv(0xE1, b"x" * 60_000))
    accepted = Accepted(rules=RULES)
    assert accepted.feed([header[:16]]) == "waits"
    assert accepted.filter.most_bytes == len(header)
    accepted.filter.on_data(Untouched(header[:-1]), False)
    assert accepted.feed([header[16:]]) == "passed"
    assert accepted.info.dynamic_metadata[NAMESPACE]["k1"] == "x" * 60_000


@pytest.mark.parametrize("payload", [b"GET / HTTP/1.1\r\n\r\n", b"PX", b"\r\nx", SIGNATURE[:11] + b"x", b"\0", b"x" * 400])
def test_where_it_is_allowed_a_connection_without_header_passes_untouched(payload: bytes) -> None:
    for pieces in ([payload], bytewise(payload)):
        accepted = Accepted(allow_requests_without_proxy_protocol=True)
        assert accepted.feed(pieces) == "passed"
        assert accepted.data == payload
        assert (accepted.remote_address, accepted.local_address) == (PEER, LOCAL)
        assert accepted.info.filter_state == {}
        assert accepted.counted() == {"not_found_allowed": 1}


def test_where_it_is_allowed_a_bad_header_is_rejected_all_the_same() -> None:
    for bad in (b"PROXY X\r\n", b"PROXY UNKNOWN " + b"x" * 120, SIGNATURE + b"\x31"):
        assert Accepted(allow_requests_without_proxy_protocol=True).feed([bad]) == "rejected"


def test_a_disallowed_version_is_rejected_and_counted_as_found() -> None:
    accepted = Accepted(disallowed_versions=["V1"], stat_prefix="edge")
    assert accepted.feed([LINE]) == "rejected"
    assert accepted.counted() == {"edge.versions.v1.disallowed": 1, "edge.versions.v1.found": 1}
    assert Accepted(disallowed_versions=["V1"]).feed([v2()]) == "passed"

    accepted = Accepted(disallowed_versions=["V2"])
    assert accepted.feed([v2()]) == "rejected"
    assert accepted.counted() == {"versions.v2.disallowed": 1, "versions.v2.found": 1}
    assert Accepted(disallowed_versions=["V2"]).feed([LINE]) == "passed"


def test_where_it_is_allowed_a_disallowed_version_is_payload() -> None:
    for version, header in (("V1", LINE), ("V2", v2())):
        accepted = Accepted(disallowed_versions=[version], allow_requests_without_proxy_protocol=True)
        assert accepted.feed([header]) == "passed"
        assert accepted.data == header
        assert accepted.counted() == {"not_found_allowed": 1}


def test_stats_have_the_prefix_and_the_old_counter_has_not() -> None:
    accepted = Accepted(stat_prefix="edge.a")
    assert accepted.feed([b"x" * 16]) == "rejected"
    assert accepted.counted() == {"downstream_cx_proxy_proto_error": 1, "edge.a.not_found_disallowed": 1}


@pytest.mark.parametrize("tlvs, expected", [
    (tlv(0xE1, b"one") + tlv(0xE1, b"two"), {NAMESPACE: {"k1": "one"}}),
    (tlv(0xE3, b"three") + tlv(0xE1, b"one"), {NAMESPACE: {"k1": "three"}}),
    (tlv(0xE2, b"\xff\xfe") + tlv(0xE2, b""), {"other": {"k2": "//4="}}),
    (tlv(0xE4, b"x"), {NAMESPACE: {"": "x"}}),
    (tlv(0xE5, b"not asked for"), {}),
    (
        tlv(0xE1, b"\xff\xfe\xed\xa0\x80\xe2\x82A\xf4\x90\x80\x80\xc0\x80\x00\x01\xc3\xa9"),
        {NAMESPACE: {"k1": "!!!!!!!A!!!!!!\x00\x01\u00e9"}},
    ),
])
def test_rules_put_tlvs_into_dynamic_metadata(tlvs: bytes, expected: Dict[str, Any]) -> None:
    accepted = Accepted(rules=RULES)
    assert accepted.feed([v2(tlvs)]) == "passed"
    assert accepted.info.dynamic_metadata == expected


def test_tlvs_before_a_broken_one_are_there_for_the_log_of_the_rejection() -> None:
    accepted = Accepted(rules=RULES)
    assert accepted.feed([v2(tlv(0xE1, b"one") + b"\x01\x00")]) == "rejected"
    assert accepted.info.dynamic_metadata == {NAMESPACE: {"k1": "one"}}


def test_of_two_rules_for_a_type_the_last_counts() -> None:
    rules = [{"tlv_type": 7, "on_tlv_present": {"key": key}} for key in ("a", "b")]
    accepted = Accepted(rules=rules)
    accepted.feed([v2(tlv(7, b"x"))])
    assert accepted.info.dynamic_metadata == {NAMESPACE: {"b": "x"}}


def logged(accepted: Accepted, parameters: str) -> Any:
    context: Any = None
    return parametrised_operators()["FILTER_STATE"].compile(parameters, None)(accepted.info, context)


def test_rules_put_tlvs_into_filter_state_where_the_last_value_of_a_key_counts() -> None:
    accepted = Accepted(rules=RULES, tlv_location="FILTER_STATE")
    assert accepted.feed([v2(tlv(0xE1, b"one") + tlv(0xE3, b"two") + tlv(0xE2, b"\xff"))]) == "passed"
    assert accepted.info.dynamic_metadata == {}
    assert logged(accepted, f"{TLV_STATE_KEY}:FIELD:k1") == "two"
    assert logged(accepted, f"{TLV_STATE_KEY}:PLAIN") == '{"k1":"two","k2":"/w=="}'
    assert logged(accepted, TLV_STATE_KEY) == {"k1": "two", "k2": "/w=="}


@pytest.mark.parametrize("through, kept", [
    (None, []),
    ({}, [(0xE1, b"one"), (5, b""), (0xE1, b"two")]),
    ({"match_type": "INCLUDE", "tlv_type": [5]}, [(5, b"")]),
    ({"match_type": "INCLUDE"}, []),
])
def test_what_is_said_is_kept_for_the_header_to_the_upstream(through: Any, kept: List[Any]) -> None:
    accepted = Accepted(**({} if through is None else {"pass_through_tlvs": through}))
    accepted.feed([v2(tlv(0xE1, b"one") + tlv(5, b"") + tlv(0xE1, b"two"))])
    state = accepted.info.filter_state[STATE_KEY]
    assert (state.source.text, state.destination.text) == ("198.51.100.7:4000", "203.0.113.9:443")
    assert list(state.tlvs) == kept
    assert logged(accepted, f"{STATE_KEY}:PLAIN") is None and logged(accepted, STATE_KEY) is None


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(tlv(1, b"x"), command=0x20)])
def test_a_header_without_addresses_keeps_the_connections_own_for_the_upstream(header: bytes) -> None:
    accepted = Accepted(pass_through_tlvs={})
    accepted.feed([header])
    state = accepted.info.filter_state[STATE_KEY]
    assert (state.source, state.destination, list(state.tlvs)) == (PEER, LOCAL, [])


def test_a_second_header_wins_the_addresses_but_the_first_is_for_the_upstream() -> None:
    outer, inner = Accepted(), Accepted()
    outer.feed([LINE + b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello"])
    inner.info, inner.remote_address, inner.local_address = outer.info, outer.remote_address, outer.local_address
    assert inner.feed([bytes(outer.data)]) == "passed"
    assert (inner.remote_address.text, inner.local_address.text) == ("192.0.2.1:1", "192.0.2.2:2")
    assert inner.data == b"hello"
    assert inner.info.filter_state[STATE_KEY].source.text == "198.51.100.7:40000"


@pytest.mark.parametrize("fields, problem", [
    ({"disallowed_versions": ["V1", "V2"]}, "all proxy protocol versions are disallowed"),
    ({"rules": [{"tlv_type": 256}]}, "rules[0].tlv_type"),
    ({"rules": [{"tlv_type": 1, "on_tlv_present": {"key": ""}}]}, "rules[0].on_tlv_present.key"),
    ({"pass_through_tlvs": {"tlv_type": [300]}}, "pass_through_tlvs.tlv_type[0]"),
    ({"tlv_location": "ELSEWHERE"}, "tlv_location"),
    ({"allow_request_without_proxy_protocol": True}, "allow_request_without_proxy_protocol"),
])
def test_a_wrong_configuration_is_refused_with_its_path(fields: Dict[str, Any], problem: str) -> None:
    problems = decoded(fields)[1]
    assert len(problems) == 1 and problem in problems[0]


def test_disallowing_one_version_twice_is_fine() -> None:
    assert decoded({"disallowed_versions": ["V1", "V1"]})[1] == []
