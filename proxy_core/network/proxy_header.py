"""PROXY protocol headers as bytes, and what a received one leaves for the connection to the upstream. Sans-I/O.

The listener filter `proxy_protocol` reads headers and keeps a `ProxyData` in the filter state; the upstream transport socket
writes a header of its own from it with the functions here. Mirrors `Network::ProxyProtocolFilterState` and
`Extensions::Common::ProxyProtocol`. The format: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import json
import socket
import struct
from typing import AbstractSet, Any, Dict, Final, List, Optional, Sequence, Tuple

from .address import Address

V1_SIGNATURE: Final = b"PROXY "
V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_BYTES: Final = 16  # signature, version and command, family and transport, length of the rest
MOST_V2_REST: Final = 0xFFFF  # the largest length that the fixed part can tell

STATE_KEY: Final = "envoy.network.proxy_protocol_options"
TLV_STATE_KEY: Final = "envoy.network.proxy_protocol.tlv"

_VERSION_2: Final = 0x20
_LOCAL: Final = 0
_PROXY: Final = 1
_STREAM: Final = 1
_FAMILIES: Final = {socket.AF_INET: 1, socket.AF_INET6: 2}
_NAMES: Final = {socket.AF_INET: "TCP4", socket.AF_INET6: "TCP6"}
_TLV_HEAD: Final = struct.Struct("!BH")

Tlv = Tuple[int, bytes]
"""One entry of a version 2 header: type (0 to 255) and value."""


class ProxyData:
    """Where a connection really comes from and goes to, and the TLVs to pass on: `Network::ProxyProtocolData`."""

    __slots__ = ("source", "destination", "tlvs")

    def __init__(self, source: Address, destination: Address, tlvs: Sequence[Tlv] = ()) -> None:
        self.source = source
        self.destination = destination
        self.tlvs = tlvs


class TlvTexts(Dict[str, str]):
    """TLV values by the keys of the rules, for `tlv_location: FILTER_STATE`. As text it is the JSON that Envoy prints."""

    def __str__(self) -> str:
        return json.dumps(dict(self), ensure_ascii=False, separators=(",", ":"))


def v1_header(source: Address, destination: Address) -> bytes:
    """The line of version 1. Addresses that it can't name (Unix sockets, two families) make it `PROXY UNKNOWN`."""
    if not _same_ip_family(source, destination):
        return b"PROXY UNKNOWN\r\n"
    name = _NAMES[socket.AddressFamily(source.family)]
    return f"PROXY {name} {source.ip} {destination.ip} {source.port} {destination.port}\r\n".encode("ascii")


def v2_header(source: Address, destination: Address, tlvs: Sequence[Tlv] = ()) -> Tuple[bytes, int]:
    """The header of version 2 for a TCP connection, and how many of the TLVs found no room in it.

    Room is 65535 bytes for addresses and TLVs together; a TLV that does not fit is left out and smaller ones behind it still
    go in, as in Envoy. Addresses that the header can't name make it LOCAL, without TLVs: the receiver then uses the
    addresses of the TCP connection.
    """
    if not _same_ip_family(source, destination):
        return v2_local_header(), 0
    family = socket.AddressFamily(source.family)
    addresses = _packed(family, source) + _packed(family, destination)
    addresses += struct.pack("!HH", source.port, destination.port)
    kept = fitting(tlvs, MOST_V2_REST - len(addresses))
    parts = [V2_SIGNATURE, b"", addresses]
    for kind, value in kept:
        parts += (_TLV_HEAD.pack(kind, len(value)), value)
    rest = sum(len(part) for part in parts) - len(V2_SIGNATURE)
    parts[1] = struct.pack("!BBH", _VERSION_2 | _PROXY, _FAMILIES[family] << 4 | _STREAM, rest)
    return b"".join(parts), len(tlvs) - len(kept)


def v2_local_header() -> bytes:
    """A connection of the proxy's own, a health check say: no addresses."""
    return V2_SIGNATURE + struct.pack("!BBH", _VERSION_2 | _LOCAL, 0, 0)


def fitting(tlvs: Sequence[Tlv], room: int) -> List[Tlv]:
    """The TLVs that go into `room` bytes, taken in order; one that is too big is passed over."""
    kept = []
    for tlv in tlvs:
        size = _TLV_HEAD.size + len(tlv[1])
        if size <= room:
            room -= size
            kept.append(tlv)
    return kept


def combined(own: Sequence[Tlv], received: Sequence[Tlv], passed: Optional[AbstractSet[int]]) -> List[Tlv]:
    """Own TLVs, then the received ones whose type is passed through and not one of the own.

    passed: the types to pass through, None = all. Several TLVs of one type are all kept.
    """
    own_types = {kind for kind, _ in own}
    through = [tlv for tlv in received if (passed is None or tlv[0] in passed) and tlv[0] not in own_types]
    return [*own, *through]


def _same_ip_family(source: Address, destination: Address) -> bool:
    return source.family == destination.family and source.family in _FAMILIES


def _packed(family: Any, address: Address) -> bytes:
    return socket.inet_pton(family, address.ip.partition("%")[0])
