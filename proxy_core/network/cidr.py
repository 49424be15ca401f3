"""Sets of IP networks: whether an address is in one of many, at the cost of one binary search however many there are.

An address is compared as one number. IPv6 addresses are their 128 bits; IPv4 addresses are put behind all of them, so that the
two families never meet (in Envoy as well an IPv4 range does not match an IPv4-mapped IPv6 address).
"""

from __future__ import annotations

import bisect
import ipaddress
import socket
from typing import Dict, Final, Generic, Iterable, List, Set, Tuple, TypeVar, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
V = TypeVar("V")

NO_IP: Final = -1
_V4_BASE: Final = 1 << 128


def ip_number(ip: str) -> int:
    """The number of an IP address without port or brackets; NO_IP for any other text. An IPv6 scope does not count."""
    try:
        if ":" in ip:
            return int.from_bytes(socket.inet_pton(socket.AF_INET6, ip.partition("%")[0]), "big")
        return _V4_BASE + int.from_bytes(socket.inet_pton(socket.AF_INET, ip), "big")
    except (OSError, ValueError):  # ValueError: a zero byte, as in the path of a Unix socket
        return NO_IP


def endpoint_number(text: str) -> int:
    """`ip_number` of an address as it is printed with its port: "10.0.0.1:80", "[::1]:80"."""
    host = text.rpartition(":")[0]
    return ip_number(host[1:-1] if host.startswith("[") else host)


class CidrSet:
    """Networks, prepared. Overlapping ones are merged; what is kept are the first and last numbers of disjoint ranges."""

    __slots__ = ("_first", "_last")

    def __init__(self, networks: Iterable[Network]) -> None:
        self._first: List[int] = []
        self._last: List[int] = []
        for first, last in sorted(_limits(network) for network in networks):
            if self._last and first <= self._last[-1] + 1 and (first < _V4_BASE) == (self._last[-1] < _V4_BASE):
                self._last[-1] = max(last, self._last[-1])
            else:
                self._first.append(first)
                self._last.append(last)

    def __len__(self) -> int:
        return len(self._first)

    def contains(self, number: int) -> bool:
        """Whether an address, as `ip_number` gives it, is in one of the networks. NO_IP is in none."""
        at = bisect.bisect_right(self._first, number) - 1
        return at >= 0 and number <= self._last[at]


class CidrMap(Generic[V]):
    """Networks with values, prepared: the values of all networks that an address is in, again for one binary search.

    The addresses are cut where a network begins or ends; between two cuts all addresses have the same values.
    """

    __slots__ = ("_cuts", "_values")

    def __init__(self, entries: Iterable[Tuple[Network, V]]) -> None:
        """entries: networks, which may overlap, with their values; equal values count once."""
        known = [(*_limits(network), value) for network, value in entries]
        opening: Dict[int, List[int]] = {}
        closing: Dict[int, List[int]] = {}
        for index, (first, last, _) in enumerate(known):
            opening.setdefault(first, []).append(index)
            closing.setdefault(last + 1, []).append(index)
        self._cuts: List[int] = sorted({*opening, *closing})
        self._values: List[Tuple[V, ...]] = []
        active: Set[int] = set()
        for cut in self._cuts:
            active.difference_update(closing.get(cut, ()))
            active.update(opening.get(cut, ()))
            self._values.append(tuple({known[index][2]: None for index in sorted(active)}))

    def find(self, number: int) -> Tuple[V, ...]:
        """The values for an address, as `ip_number` gives it, in the order of the entries; () for none and for NO_IP."""
        at = bisect.bisect_right(self._cuts, number) - 1
        return self._values[at] if at >= 0 else ()


def _limits(network: Network) -> Tuple[int, int]:
    base = _V4_BASE if network.version == 4 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)
