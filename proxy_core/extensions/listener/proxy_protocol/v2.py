"""Version 2 of the PROXY protocol: fixed bytes, addresses, TLVs. Takes and refuses what Envoy's parser does (measured on 1.40).

    signature (12)  version and command (1)  family and transport (1)  length of the rest (2)
    addresses and ports (12 or 36)           TLVs: type (1) length (2) value

What can't become a good header is refused by the first byte that tells; nothing but the length is looked at again while a long
rest arrives. Reference: section 2.2 of https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import struct
from typing import Final, Iterator, Optional, Tuple

from ....errors import PeerError
from ....network.proxy_header import V2_FIXED_BYTES
from .addresses import Pair, ipv4, ipv6

_COMMAND_AT: Final = 12
_FAMILY_AT: Final = 13
_LENGTH_AT: Final = 14
_VERSION: Final = 2
_LOCAL: Final = 0
_PROXY: Final = 1
_INET: Final = 1
_ADDRESS_BYTES: Final = {_INET: 12, 2: 36}  # by family: two addresses and two ports
_TRANSPORTS: Final = (1, 2)  # stream, datagram


def whole_length(data: bytearray) -> int:
    """The length of the header with everything in it; 0 while the fixed bytes are not complete.

    data: what was received, at least the signature. Raises `PeerError` for a header that is not supported.
    """
    if len(data) > _COMMAND_AT:
        _check_command(data[_COMMAND_AT])
    if len(data) > _FAMILY_AT and not is_local(data):
        _check_family(data[_FAMILY_AT])
    if len(data) < V2_FIXED_BYTES:
        return 0
    rest: int = struct.unpack_from("!H", data, _LENGTH_AT)[0]
    if rest < tlvs_at(data) - V2_FIXED_BYTES:
        raise PeerError(f"PROXY protocol header whose length {rest} has no room for its addresses")
    return V2_FIXED_BYTES + rest


def _check_command(byte: int) -> None:
    if byte >> 4 != _VERSION:
        raise PeerError(f"PROXY protocol header of version {byte >> 4} in the form of version 2")
    if byte & 0xF not in (_LOCAL, _PROXY):
        raise PeerError(f"PROXY protocol header with the unknown command {byte & 0xF}")


def _check_family(byte: int) -> None:
    if byte >> 4 not in _ADDRESS_BYTES:
        raise PeerError(f"PROXY protocol header for the address family {byte >> 4}, neither IPv4 nor IPv6")
    if byte & 0xF not in _TRANSPORTS:
        raise PeerError(f"PROXY protocol header for the transport {byte & 0xF}, neither stream nor datagram")


def is_local(data: bytearray) -> bool:
    """Whether the sender speaks for itself (a health check): the connection's own addresses stay, the rest is skipped."""
    return data[_COMMAND_AT] & 0xF == _LOCAL


def tlvs_at(data: bytearray) -> int:
    """Where the TLVs begin."""
    return V2_FIXED_BYTES + (0 if is_local(data) else _ADDRESS_BYTES[data[_FAMILY_AT] >> 4])


def addresses(data: bytearray) -> Optional[Pair]:
    """Source and destination of a complete header; None for LOCAL."""
    if is_local(data):
        return None
    is_inet = data[_FAMILY_AT] >> 4 == _INET
    form = "!4s4sHH" if is_inet else "!16s16sHH"
    source, destination, source_port, destination_port = struct.unpack_from(form, data, V2_FIXED_BYTES)
    make = ipv4 if is_inet else ipv6
    return make(source, source_port), make(destination, destination_port)


def tlvs(data: bytearray, end: int) -> Iterator[Tuple[int, bytes]]:
    """Types and values up to the header's `end`, none for LOCAL. Raises `PeerError` where one is cut off."""
    at = end if is_local(data) else tlvs_at(data)
    while at < end:
        if at + 3 > end:
            raise PeerError("PROXY protocol header that ends in the middle of a TLV")
        kind, size = struct.unpack_from("!BH", data, at)
        at += 3
        if at + size > end:
            raise PeerError("PROXY protocol header that ends in the middle of a TLV")
        yield kind, bytes(data[at : at + size])
        at += size
