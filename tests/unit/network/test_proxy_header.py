"""PROXY protocol headers to the upstream: the bytes that Envoy 1.40 sends, and what does not fit into one."""

from __future__ import annotations

import pytest

from proxy_core.network.address import Address
from proxy_core.network.proxy_header import (
    TlvTexts, combined, fitting, v1_header, v2_header, v2_local_header,
)
from tests.support.proxy_protocol import Accepted, ip_block, tlv, v2

V4 = (Address.from_ip("198.51.100.7", 4000), Address.from_ip("203.0.113.9", 443))
V6 = (Address.from_ip("2001:db8::7", 4000), Address.from_ip("2001:db8::9", 443))
UNIX = Address.from_path("/run/x.sock")
UNNAMEABLE = [(UNIX, UNIX), (V4[0], UNIX), (V4[0], V6[1]), (V6[0], V4[1])]


def test_version_1_is_one_line() -> None:
    assert v1_header(*V4) == b"PROXY TCP4 198.51.100.7 203.0.113.9 4000 443\r\n"
    assert v1_header(*V6) == b"PROXY TCP6 2001:db8::7 2001:db8::9 4000 443\r\n"


def test_version_2_is_binary() -> None:
    assert v2_header(*V4) == (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x09\x0f\xa0\x01\xbb", 0)
    assert v2_header(*V6) == (v2(addresses=ip_block("2001:db8::7", "2001:db8::9"), family=0x21), 0)
    assert v2_local_header() == b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


@pytest.mark.parametrize("source, destination", UNNAMEABLE)
def test_addresses_that_a_header_can_not_name_are_left_out(source: Address, destination: Address) -> None:
    assert v1_header(source, destination) == b"PROXY UNKNOWN\r\n"
    assert v2_header(source, destination, [(1, b"x")]) == (v2_local_header(), 0)


def test_a_scope_goes_into_the_text_of_version_1_only() -> None:
    scoped = Address(V6[0].family, ("fe80::1", 1, 0, 7), "[fe80::1%7]:1", "fe80::1%7", 1, "", 0)
    assert v1_header(scoped, V6[1]) == b"PROXY TCP6 fe80::1%7 2001:db8::9 1 443\r\n"
    assert v2_header(scoped, V6[1])[0] == v2(addresses=ip_block("fe80::1", "2001:db8::9", 1, 443), family=0x21)


def test_tlvs_follow_in_order_and_count_in_the_length() -> None:
    header, left_out = v2_header(*V4, [(0xE1, b"one"), (0xE1, b"two"), (5, b"")])
    assert header == v2(tlv(0xE1, b"one") + tlv(0xE1, b"two") + tlv(5, b""))
    assert left_out == 0


def test_a_tlv_that_does_not_fit_is_left_out_and_smaller_ones_behind_it_are_not() -> None:
    header, left_out = v2_header(*V4, [(1, b"a" * 40_000), (2, b"b" * 30_000), (3, b"c")])
    assert header == v2(tlv(1, b"a" * 40_000) + tlv(3, b"c"))
    assert left_out == 1


@pytest.mark.parametrize("addresses, size", [(V4, 12), (V6, 36)])
def test_the_whole_length_may_be_65535_and_not_more(addresses: "tuple[Address, Address]", size: int) -> None:
    exactly = 65535 - size - 3
    header, left_out = v2_header(*addresses, [(1, b"a" * exactly)])
    assert (len(header), header[14:16], left_out) == (16 + 65535, b"\xff\xff", 0)
    header, left_out = v2_header(*addresses, [(1, b"a" * (exactly + 1))])
    assert (len(header), left_out) == (16 + size, 1)


def test_fitting_takes_what_has_room() -> None:
    assert fitting([(1, b"12"), (2, b""), (3, b"1")], 8) == [(1, b"12"), (2, b"")]
    assert fitting([(1, b"")], 2) == []


def test_own_tlvs_come_first_and_take_the_place_of_received_ones_of_their_type() -> None:
    own, received = [(1, b"own"), (1, b"again")], [(1, b"lost"), (2, b"x"), (3, b"y"), (2, b"z")]
    assert combined(own, received, None) == [(1, b"own"), (1, b"again"), (2, b"x"), (3, b"y"), (2, b"z")]
    assert combined(own, received, {2}) == [(1, b"own"), (1, b"again"), (2, b"x"), (2, b"z")]
    assert combined(own, received, frozenset()) == own


@pytest.mark.parametrize("addresses", [V4, V6])
def test_the_listener_filter_reads_what_is_written_here(addresses: "tuple[Address, Address]") -> None:
    for header in (v1_header(*addresses), v2_header(*addresses, [(7, b"seven")])[0]):
        accepted = Accepted()
        assert accepted.feed([header]) == "passed"
        assert (accepted.remote_address, accepted.local_address) == addresses


def test_texts_of_tlvs_print_as_json() -> None:
    assert str(TlvTexts({"k": "\u00e9\"", "l": ""})) == '{"k":"\u00e9\\"","l":""}'
