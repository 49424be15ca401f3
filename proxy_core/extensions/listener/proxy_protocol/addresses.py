"""Addresses as a PROXY protocol header has them: from packed bytes, printed as Envoy prints them."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final, Tuple

from ....network.address import Address

Pair = Tuple[Address, Address]
"""Source and destination."""

_BROADCAST: Final = b"\xff\xff\xff\xff"


def ipv4(packed: bytes, port: int) -> Address:
    """An address from its 4 bytes."""
    ip = socket.inet_ntop(socket.AF_INET, packed)
    return Address(socket.AF_INET, (ip, port), f"{ip}:{port}", ip, port, "", 0)


def ipv6(packed: bytes, port: int, scope: int = 0) -> Address:
    """An address from its 16 bytes. An IPv4-mapped one stays IPv6, unlike that of a real socket."""
    plain = socket.inet_ntop(socket.AF_INET6, packed)
    ip = f"{plain}%{scope}" if scope else plain
    return Address(socket.AF_INET6, (plain, port, 0, scope), f"[{ip}]:{port}", ip, port, "", 0)


def is_unicast(address: Address) -> bool:
    """Whether TCP can have this address: not the unspecified one, no multicast, no broadcast."""
    ip = ip_address(address.ip.partition("%")[0])
    return not (ip.is_unspecified or ip.is_multicast or ip.packed == _BROADCAST)
