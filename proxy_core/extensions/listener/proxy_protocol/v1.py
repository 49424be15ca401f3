"""Version 1 of the PROXY protocol: one line of text. Takes and refuses what Envoy's parser does (measured on 1.40).

    PROXY TCP4 198.51.100.7 203.0.113.9 40000 443\\r\\n

More is taken than the specification allows: white space behind the last field, leading zeros and a plus sign in a port, an IPv6
address with a scope. Less than Envoy takes: an address that holds a NUL byte, of which Envoy reads what stands before it.
Reference: section 2.1 of https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final, Optional

from ....errors import PeerError
from ....network.address import Address
from .addresses import Pair, ipv4, ipv6

LONGEST_LINE: Final = 108  # with its end; the specification's longest is 107

_WHITE: Final = b" \t\f\v\r\n"
_PORT: Final = re.compile(rb"[\t\n\v\f\r]*\+?([0-9]+)[\t\n\v\f\r]*\Z")


def parse(line: bytes) -> Optional[Pair]:
    """Source and destination from a line with its end; None for UNKNOWN: the connection's own addresses stay.

    Raises `PeerError` for anything else.
    """
    fields = line.rstrip(_WHITE).split(b" ")
    if len(fields) < 2 or fields[0] != b"PROXY":
        raise PeerError("not a PROXY protocol line")
    if fields[1] == b"UNKNOWN":
        return None
    if len(fields) != 6:
        raise PeerError(f"PROXY protocol line of {len(fields)} fields instead of 6")
    if fields[1] not in (b"TCP4", b"TCP6"):
        raise PeerError("PROXY protocol line for neither TCP4, TCP6 nor UNKNOWN")
    read = _ipv4 if fields[1] == b"TCP4" else _ipv6
    return read(fields[2], _port(fields[4])), read(fields[3], _port(fields[5]))


def _port(field: bytes) -> int:
    match = _PORT.match(field)
    number = int(match.group(1)) if match is not None else -1
    if not 0 <= number <= 65535:
        raise PeerError("PROXY protocol line with a port that is none")
    return number


def _ipv4(field: bytes, port: int) -> Address:
    try:
        packed = socket.inet_pton(socket.AF_INET, field.decode("ascii"))
    except (OSError, ValueError):
        raise PeerError("PROXY protocol line with an address that is not IPv4") from None
    return ipv4(packed, port)


def _ipv6(field: bytes, port: int) -> Address:
    try:
        text = field.decode("ascii")
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
        return ipv6(packed, port, _scope(text) if "%" in text else 0)
    except (OSError, ValueError):
        raise PeerError("PROXY protocol line with an address that is not IPv6") from None


def _scope(text: str) -> int:
    """The number of a scope ("%1", or "%eth0" of a link-local address). Nothing is resolved."""
    found = socket.getaddrinfo(text, None, socket.AF_INET6, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    sockaddr: Any = found[0][4]
    return int(sockaddr[3])
