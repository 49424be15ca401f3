"""proxy_protocol: which headers are taken and which refused, with the results of Envoy 1.40 for the same bytes."""

from __future__ import annotations

import pytest

from tests.support.proxy_protocol import IPV4, IPV6, LOCAL, PEER, SIGNATURE, Accepted, ip_block, tlv, v2

FOUND_V1 = {"versions.v1.found": 1}
ERROR_V1 = {"downstream_cx_proxy_proto_error": 1, "versions.v1.error": 1}
FOUND_V2 = {"versions.v2.found": 1}
ERROR_V2 = {"downstream_cx_proxy_proto_error": 1, "versions.v2.error": 1}
NO_HEADER = {"downstream_cx_proxy_proto_error": 1, "not_found_disallowed": 1}


@pytest.mark.parametrize("line, source, destination", [
    (b"TCP4 198.51.100.7 203.0.113.9 40000 443", "198.51.100.7:40000", "203.0.113.9:443"),
    (b"TCP4 0.0.0.1 240.0.0.1 0 65535", "0.0.0.1:0", "240.0.0.1:65535"),
    (b"TCP4 198.51.100.7 203.0.113.9 1 0443", "198.51.100.7:1", "203.0.113.9:443"),
    (b"TCP4 198.51.100.7 203.0.113.9 \t1 +2 \t", "198.51.100.7:1", "203.0.113.9:2"),
    (b"TCP4 198.51.100.7 203.0.113.9 1 00000000000000000000002", "198.51.100.7:1", "203.0.113.9:2"),
    (b"TCP6 2001:DB8:0::1 ::2 1 2", "[2001:db8::1]:1", "[::2]:2"),
    (b"TCP6 ::ffff:1.2.3.4 ::1.2.3.4 1 2", "[::ffff:1.2.3.4]:1", "[::1.2.3.4]:2"),
    (b"TCP6 fe80::1%7 ::1 1 2", "[fe80::1%7]:1", "[::1]:2"),
])
def test_a_line_of_version_1_replaces_both_addresses(line: bytes, source: str, destination: str) -> None:
    accepted = Accepted()
    assert accepted.feed([b"PROXY " + line + b"\r\nhello"]) == "passed"
    assert (accepted.remote_address.text, accepted.local_address.text) == (source, destination)
    assert accepted.local_restored and accepted.direct_remote_address is PEER
    assert accepted.data == b"hello"
    assert accepted.counted() == FOUND_V1


@pytest.mark.parametrize("line", [
    b"UNKNOWN", b"UNKNOWN\t", b"UNKNOWN ffff::1 ffff::2 1 2", b"UNKNOWN what\nso ever", b"UNKNOWN " + b"x" * 92,
])
def test_an_unknown_line_keeps_the_connections_own_addresses(line: bytes) -> None:
    accepted = Accepted()
    assert accepted.feed([b"PROXY " + line + b"\r\nhello"]) == "passed"
    assert (accepted.remote_address, accepted.local_address, accepted.local_restored) == (PEER, LOCAL, False)
    assert accepted.data == b"hello"
    assert accepted.counted() == FOUND_V1


@pytest.mark.parametrize("line", [
    b"", b"UNKNOWNX", b" UNKNOWN", b"TCP5 1.2.3.4 5.6.7.8 1 2", b"tcp4 1.2.3.4 5.6.7.8 1 2",
    b"TCP4 1.2.3.4 5.6.7.8 1", b"TCP4 1.2.3.4 5.6.7.8 1 2 3", b"TCP4 1.2.3.4  5.6.7.8 1 2",
    b"TCP4 1.2.3 5.6.7.8 1 2", b"TCP4 01.2.3.4 5.6.7.8 1 2", b"TCP4 1.2.3.4:5 5.6.7.8 1 2", b"TCP4 ::1 ::2 1 2",
    b"TCP4 [::1] 5.6.7.8 1 2", b"TCP4 1.2.3.4 5.6.7.8 1 65536", b"TCP4 1.2.3.4 5.6.7.8 1 -0", b"TCP4 1.2.3.4 5.6.7.8 1 0x2",
    b"TCP4 1.2.3.4 5.6.7.8 1 99999999999999999999999", b"TCP4 1.2.3.4 5.6.7.8 1 2\x00", b"TCP4 \xff\xfe 5.6.7.8 1 2",
    b"TCP4 0.0.0.0 5.6.7.8 1 2", b"TCP4 1.2.3.4 224.0.0.1 1 2", b"TCP4 255.255.255.255 5.6.7.8 1 2",
    b"TCP6 1.2.3.4 ::2 1 2", b"TCP6  ::2 1 2", b"TCP6 ::1 ff02::1 1 2", b"TCP6 :: ::1 1 2", b"TCP6 [::1] ::2 1 2",
    b"TCP6 ::1%nowhere ::2 1 2", b"TCP6 fe80::1% ::2 1 2", b"UNKNOWN " + b"x" * 93, b"UNKNOWN " + b"x" * 200,
])
def test_a_bad_line_is_rejected_and_counted_for_version_1(line: bytes) -> None:
    accepted = Accepted()
    assert accepted.feed([b"PROXY " + line + b"\r\nhello"]) == "rejected"
    assert (accepted.remote_address, accepted.local_address, accepted.local_restored) == (PEER, LOCAL, False)
    assert accepted.counted() == ERROR_V1


def test_an_address_with_a_nul_byte_is_rejected() -> None:
    """On purpose: Envoy reads what stands before the NUL."""
    assert Accepted().feed([b"PROXY TCP4 1.2.3.4\x00x 5.6.7.8 1 2\r\n"]) == "rejected"


def test_a_line_that_does_not_end_is_rejected_after_108_bytes() -> None:
    accepted = Accepted()
    assert accepted.feed([b"PROXY UNKNOWN " + b"x" * 94]) == "waits"
    assert accepted.feed([b"x"]) == "rejected"
    assert accepted.counted() == NO_HEADER


@pytest.mark.parametrize("header, source, destination", [
    (v2(), "198.51.100.7:4000", "203.0.113.9:443"),
    (v2(family=0x12), "198.51.100.7:4000", "203.0.113.9:443"),
    (v2(addresses=IPV6, family=0x21), "[2001:db8::7]:4000", "[2001:db8::9]:443"),
    (v2(addresses=ip_block("::ffff:1.2.3.4", "::1.2.3.4"), family=0x22), "[::ffff:1.2.3.4]:4000", "[::1.2.3.4]:443"),
    (v2(tlv(4, b"") + tlv(2, b"x" * 60_000)), "198.51.100.7:4000", "203.0.113.9:443"),
])
def test_a_header_of_version_2_replaces_both_addresses(header: bytes, source: str, destination: str) -> None:
    accepted = Accepted()
    assert accepted.feed([header + b"hello"]) == "passed"
    assert (accepted.remote_address.text, accepted.local_address.text) == (source, destination)
    assert accepted.data == b"hello"
    assert accepted.counted() == FOUND_V2


@pytest.mark.parametrize("header", [
    v2(command=0x20, family=0, addresses=b""), v2(command=0x20, family=0x77, addresses=b"abc"),
    v2(tlv(0xE1, b"x") + b"\x01\x00", command=0x20),
])
def test_local_skips_everything_and_keeps_the_connections_own_addresses(header: bytes) -> None:
    accepted = Accepted(rules=[{"tlv_type": 0xE1, "on_tlv_present": {"key": "k"}}])
    assert accepted.feed([header + b"hello"]) == "passed"
    assert (accepted.remote_address, accepted.local_address, accepted.local_restored) == (PEER, LOCAL, False)
    assert accepted.info.dynamic_metadata == {}
    assert accepted.data == b"hello"
    assert accepted.counted() == FOUND_V2


@pytest.mark.parametrize("header", [
    v2(command=0x11), v2(command=0x31), v2(command=0x22), v2(command=0x2F), v2(family=0x00), v2(family=0x10), v2(family=0x13),
    v2(family=0x31, addresses=b"\0" * 216), v2(addresses=IPV4[:11]), v2(addresses=IPV4, family=0x21), v2(addresses=b"\0" * 12),
    v2(addresses=ip_block("224.0.0.1", "1.2.3.4")), v2(addresses=ip_block("1.2.3.4", "255.255.255.255")),
    v2(addresses=ip_block("ff02::1", "::1"), family=0x21), v2(b"\x01"), v2(b"\x01\x00"), v2(b"\x01\x00\x02x"),
    v2(tlv(1, b"fine") + b"\x01\xff\xffx"),
])
def test_a_bad_header_is_rejected_and_counted_for_version_2(header: bytes) -> None:
    accepted = Accepted()
    assert accepted.feed([header + b"hello"]) == "rejected"
    assert (accepted.remote_address, accepted.local_address, accepted.local_restored) == (PEER, LOCAL, False)
    assert accepted.counted() == ERROR_V2


def test_a_bad_version_2_header_is_rejected_by_the_byte_that_tells() -> None:
    for byte in (b"\x31", b"\x2f", b"\x21\x31", b"\x21\x13", b"\x21\x11\x00\x0b"):
        accepted = Accepted()
        assert accepted.feed([SIGNATURE]) == "waits"
        assert accepted.feed([byte]) == "rejected"
        assert accepted.counted() == ERROR_V2


@pytest.mark.parametrize("garbage", [
    b"hello", b"G", b"PX", b"\r\nx", b"\r\n\r\n\x00\r\nQUITx", b"GET / HTTP/1.1\r\n\r\n", b"x" * 300,
])
def test_bytes_that_can_not_become_a_header_are_rejected_at_once(garbage: bytes) -> None:
    accepted = Accepted()
    assert accepted.feed([garbage]) == "rejected"
    assert accepted.counted() == NO_HEADER


def test_a_short_line_in_one_piece_is_counted_for_version_1_as_in_envoy() -> None:
    accepted = Accepted()
    assert accepted.feed([b"GET /\r\n"]) == "rejected"
    assert accepted.counted() == ERROR_V1


def test_a_destination_that_is_the_local_address_already_restores_nothing() -> None:
    accepted = Accepted()
    assert accepted.feed([b"PROXY TCP4 198.51.100.7 127.0.0.1 1 80\r\n"]) == "passed"
    assert accepted.remote_address.text == "198.51.100.7:1"
    assert accepted.local_address is LOCAL and not accepted.local_restored


@pytest.mark.parametrize("reason_of", [b"PROXY TCP4 \x1b[31m 5.6.7.8 1 2\r\n", b"\x1b\x00garbage", v2(command=0x2F)])
def test_reasons_are_sentences_without_bytes_of_the_peer(reason_of: bytes) -> None:
    accepted = Accepted()
    accepted.feed([reason_of])
    assert accepted.rejected is not None and accepted.rejected.isprintable() and "PROXY protocol" in accepted.rejected
