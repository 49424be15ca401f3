"""Sets of networks, against the standard library's own answer to "is this address in that network"."""

from __future__ import annotations

import ipaddress
import random
from typing import List

import pytest

from proxy_core.network.cidr import NO_IP, CidrSet, Network, endpoint_number, ip_number


def networks(*texts: str) -> List[Network]:
    return [ipaddress.ip_network(text, strict=False) for text in texts]


@pytest.mark.parametrize(
    "address, inside",
    [
        ("10.0.0.0", True), ("10.255.255.255", True), ("9.255.255.255", False), ("11.0.0.0", False),
        ("192.168.1.7", True), ("192.168.1.8", False), ("2001:db8::1", True), ("2001:db9::", False), ("::", False),
        ("::ffff:10.0.0.1", False), ("::ffff:0a00:0001", False), ("fe80::1%eth0", True),
    ],
)
def test_first_and_last_address_of_a_network_are_in_it_and_their_neighbours_are_not(address: str, inside: bool) -> None:
    found = CidrSet(networks("10.0.0.0/8", "192.168.1.7/32", "2001:db8::/32", "fe80::/10"))
    assert found.contains(ip_number(address)) is inside


def test_what_is_not_an_ip_address_is_in_no_network_not_even_in_all_of_them() -> None:
    everything = CidrSet(networks("0.0.0.0/0", "::/0"))
    for text in ("", "x", "/run/x.sock", "@abstract", "1.2.3", "1.2.3.4.5", "[::1]", "::1::", "a\0b", "1.2.3.4:5", "é"):
        assert ip_number(text) == NO_IP
        assert not everything.contains(ip_number(text))
    assert everything.contains(ip_number("0.0.0.0")) and everything.contains(ip_number("ffff::"))


def test_every_ipv4_address_and_every_ipv6_address_are_two_families() -> None:
    four, six = CidrSet(networks("0.0.0.0/0")), CidrSet(networks("::/0"))
    for address in ("0.0.0.0", "255.255.255.255"):
        assert four.contains(ip_number(address)) and not six.contains(ip_number(address))
    for address in ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"):
        assert six.contains(ip_number(address)) and not four.contains(ip_number(address))


def test_overlapping_adjacent_and_equal_networks_become_one_range() -> None:
    assert len(CidrSet(networks("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.0.0.0/8"))) == 1
    assert len(CidrSet(networks("10.0.0.0/24", "10.0.2.0/24"))) == 2
    assert len(CidrSet(networks("0.0.0.0/0", "::/0"))) == 2
    assert len(CidrSet([])) == 0 and not CidrSet([]).contains(ip_number("1.2.3.4"))


@pytest.mark.parametrize("seed", range(20))
def test_random_sets_agree_with_the_standard_library(seed: int) -> None:
    rnd = random.Random(seed)
    chosen: List[Network] = []
    for _ in range(rnd.randint(1, 40)):
        chosen.append(ipaddress.ip_network((rnd.getrandbits(32), rnd.randint(0, 32)), strict=False))
        chosen.append(ipaddress.ip_network((rnd.getrandbits(128), rnd.randint(1, 128)), strict=False))
    rnd.shuffle(chosen)
    chosen = chosen[: rnd.randint(1, len(chosen))]
    prepared = CidrSet(chosen)
    probes = [ipaddress.ip_address(rnd.getrandbits(32)) for _ in range(50)]
    for network in chosen:
        for edge in (network.network_address, network.broadcast_address):
            low, high = (0, 2**32 - 1) if network.version == 4 else (0, 2**128 - 1)
            near = [number for number in range(int(edge) - 1, int(edge) + 2) if low <= number <= high]
            maker = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
            probes += [maker(number) for number in near]
    for probe in probes:
        assert prepared.contains(ip_number(str(probe))) == any(probe in network for network in chosen), probe


@pytest.mark.parametrize(
    "text, ip", [("10.0.0.1:80", "10.0.0.1"), ("[::1]:443", "::1"), ("[fe80::1%lo]:1", "fe80::1"), ("1.2.3.4:", "1.2.3.4")]
)
def test_the_number_of_an_address_with_its_port_is_that_of_the_address(text: str, ip: str) -> None:
    assert endpoint_number(text) == ip_number(ip) >= 0


@pytest.mark.parametrize("text", ["", ":", "/run/x:1", "@a:1", "10.0.0.1", "[]:1", "host:80"])
def test_an_address_without_an_ip_and_a_port_has_no_number(text: str) -> None:
    assert endpoint_number(text) == NO_IP
