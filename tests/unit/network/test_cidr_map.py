"""`CidrMap` against asking each network."""

from __future__ import annotations

import ipaddress
import random

from proxy_core.network.cidr import NO_IP, CidrMap, ip_number


def test_overlapping_networks_of_both_families_against_a_scan() -> None:
    rng = random.Random(11)
    entries = []
    for number in range(60):
        bits = rng.choice([0, 8, 15, 24, 31, 32])
        entries.append((ipaddress.ip_network((f"10.{rng.randrange(3)}.{rng.randrange(3)}.{rng.randrange(4)}", bits), strict=False), number % 20))
        entries.append((ipaddress.ip_network((f"fd00::{rng.randrange(9):x}", rng.choice([0, 64, 125, 128])), strict=False), number % 20))
    table = CidrMap(entries)
    asked = [f"10.{rng.randrange(4)}.{rng.randrange(4)}.{rng.randrange(5)}" for _ in range(400)]
    asked += [f"fd00::{rng.randrange(12):x}" for _ in range(100)] + ["0.0.0.0", "255.255.255.255", "::", "ffff::"]
    for text in asked:
        address = ipaddress.ip_address(text)
        wanted = tuple({value: None for network, value in entries if address.version == network.version and address in network})
        assert table.find(ip_number(text)) == wanted, text


def test_what_is_no_address_is_in_no_network() -> None:
    everything = CidrMap([(ipaddress.ip_network("::/0"), "six"), (ipaddress.ip_network("0.0.0.0/0"), "four")])
    assert everything.find(NO_IP) == () and everything.find(ip_number("1.2.3.4")) == ("four",)
    assert CidrMap([]).find(ip_number("1.2.3.4")) == ()
