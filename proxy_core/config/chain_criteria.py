"""The nine criteria of `filter_chain_match` as keys that can be compared, in the order in which Envoy looks
at them.

A match becomes nine tuples of keys. ANY stands for a criterion that is not set. What means the same has the
same key: names differ neither in the case of ASCII letters nor in "*.a" and ".a"; ranges have no host bits.
Mirrors `FilterChainManagerImpl::setupFilterChainMatcher`. The tree (`chain_tree`), the lookup of a listener
and the checks rest on it.
"""

from __future__ import annotations

import ipaddress
from typing import Callable, Final, List, Optional, Sequence, Tuple, Union

from .model.address import CidrRange
from .model.listener import FilterChainMatch

DESTINATION_PORT: Final = 0
DESTINATION: Final = 1
SERVER_NAME: Final = 2
TRANSPORT: Final = 3
APPLICATION: Final = 4
DIRECT_SOURCE: Final = 5
SOURCE_TYPE: Final = 6
SOURCE: Final = 7
SOURCE_PORT: Final = 8

# The fields of the message, by the numbers above.
CRITERIA: Final = (
    "destination_port", "prefix_ranges", "server_names", "transport_protocol", "application_protocols",
    "direct_source_prefix_ranges", "source_type", "source_prefix_ranges", "source_ports",
)

ANY: Final = None
ANY_TEXT: Final = "any"
LOCAL: Final = "SAME_IP_OR_LOOPBACK"
EXTERNAL: Final = "EXTERNAL"
TLS: Final = "tls"
RAW_BUFFER: Final = "raw_buffer"

# A range: IP version, prefix length, the prefix as a number (its leading bits only).
Range = Tuple[int, int, int]
# A port, a name, a range; ANY for none.
Key = Union[None, int, str, Range]
Keys = Tuple[Tuple[Key, ...], ...]

UNIX_COUNTS_AS: Final = "255.255.255.255"
"""What Envoy takes for the IP address of a Unix socket in all criteria of ranges; its port is none."""

_BITS: Final = {4: 32, 6: 128}


def keys_of(match: Optional[FilterChainMatch]) -> Keys:
    """The keys of the nine criteria, each at least one, as written: twice in a field is twice here.

    match: decoded without problems. Raises ValueError for a range that is none.
    """
    if match is None:
        return ((ANY,),) * len(CRITERIA)
    return (
        (match.destination_port or ANY,),
        _ranges(match.prefix_ranges),
        _texts(match.server_names, name_key),
        (match.transport_protocol or ANY,),
        _texts(match.application_protocols, str),
        _ranges(match.direct_source_prefix_ranges),
        (ANY if match.source_type in ("", "ANY") else match.source_type,),
        _ranges(match.source_prefix_ranges),
        tuple(port or ANY for port in match.source_ports) or (ANY,),
    )


def name_key(name: str) -> str:
    """A server name to compare: "*.Example.com" is ".example.com", which no client's name is.

    Only ASCII letters are folded, as in Envoy.
    """
    folded = ascii_lower(name)
    return folded[1:] if folded.startswith("*.") else folded


def ascii_lower(text: str) -> str:
    """`text` with its ASCII letters in lower case."""
    return text.lower() if text.isascii() else "".join(one.lower() if one.isascii() else one for one in text)


def _texts(values: Sequence[str], key: Callable[[str], str]) -> Tuple[Key, ...]:
    return tuple(key(value) or ANY for value in values) or (ANY,)


def _ranges(values: List[CidrRange]) -> Tuple[Key, ...]:
    return tuple(range_key(value) for value in values) or (ANY,)


def range_key(value: CidrRange) -> Range:
    """A network as (version, prefix length, leading bits). Raises ValueError."""
    network = value.network()
    length = network.prefixlen
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


def covers(outer: Range, inner: Range) -> bool:
    """Whether all addresses of `inner` are in `outer`."""
    return outer[0] == inner[0] and outer[1] <= inner[1] and inner[2] >> (inner[1] - outer[1]) == outer[2]


def address_key(ip: str) -> Range:
    """One address as the range that holds only it. ip: without a scope. Raises ValueError."""
    address = ipaddress.ip_address(ip)
    return address.version, address.max_prefixlen, int(address)


def key_text(criterion: int, key: Key) -> str:
    """A key as the configuration would say it: "*.example.com", "10.0.0.0/8", "443"; "any" for ANY."""
    if key is ANY:
        return ANY_TEXT
    if isinstance(key, tuple):
        version, length, bits = key
        number = bits << (_BITS[version] - length)
        address = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
        return f"{address}/{length}"
    if criterion == SERVER_NAME and str(key).startswith("."):
        return f"*{key}"
    return str(key)


def keys_text(criterion: int, keys: Sequence[Key], most: int = 4) -> str:
    """Several keys, the first `most` of them spelt out."""
    shown = ", ".join(key_text(criterion, key) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
