"""Who the client is: x-forwarded-for, -proto and -port, and whether a request is internal or comes over the edge.

Place in the data's way: the part of `request_rules` about addresses. Mirrors the middle of
`ConnectionManagerUtility::mutateRequestHeaders`, `Utility::getLastAddressFromXFF` and the XFF detection extension.
"""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple, Optional, Tuple

from ...network.cidr import CidrSet, ip_number
from ...observe.stream_info import StreamInfo
from ..headers import Headers
from .peer import Peer

FORWARDED_FOR: Final = "x-forwarded-for"


class Origin(NamedTuple):
    """What the rules decided of one request. address: of the trusted client."""

    address: str
    internal: bool
    edge: bool


_INSIDE: Final = Origin("", False, False)


class ForwardedRules:
    """local_ip: what is appended to x-forwarded-for for a client on the loopback. internal, unix_is_internal:
    `internal_address_config`."""

    def __init__(
        self, use_remote_address: bool = False, trusted_hops: int = 0, skip_append: bool = False, append_port: bool = False,
        internal: Optional[CidrSet] = None, local_ip: str = "127.0.0.1",
        unix_is_internal: bool = False,
    ) -> None:
        self._use_remote_address = use_remote_address
        self._hops = trusted_hops
        self._skip_append = skip_append
        self._append_port = append_port
        self._internal = internal
        self._local_ip = local_ip
        self._unix_is_internal = unix_is_internal

    def apply(self, headers: Headers, info: StreamInfo, peer: Peer) -> Origin:
        """Change the headers; note the trusted client's address in `info` if it is not the peer."""
        if self._use_remote_address:
            return self._at_the_edge(headers, info, peer)
        origin = _INSIDE
        if FORWARDED_FOR in headers:
            address, single = last_address(headers.get(FORWARDED_FOR), self._hops)
            if address:
                info.downstream_remote_address = _with_port(address)
                internal = single and self._is_internal(address)
                origin = Origin(address, internal, False)
        if "x-forwarded-proto" not in headers:
            headers.set("x-forwarded-proto", peer.scheme)
        if self._append_port and peer.local_port is not None and "x-forwarded-port" not in headers:
            headers.set("x-forwarded-port", str(peer.local_port))
        return origin

    def _at_the_edge(self, headers: Headers, info: StreamInfo, peer: Peer) -> Origin:
        first = FORWARDED_FOR not in headers
        address = ""
        if self._hops and not first:
            address, _ = last_address(headers.get(FORWARDED_FOR), self._hops - 1)
            if address:
                info.downstream_remote_address = _with_port(address)
        address = address or peer.ip
        if not self._skip_append and peer.ip:
            headers.append(FORWARDED_FOR, self._local_ip if peer.is_loopback else peer.ip)
        if not self._hops or "x-forwarded-proto" not in headers:
            headers.set("x-forwarded-proto", peer.scheme)
        if self._append_port and peer.local_port is not None and (not self._hops or "x-forwarded-port" not in headers):
            headers.set("x-forwarded-port", str(peer.local_port))
        internal = first and (self._is_internal(address) if address else self._unix_is_internal)
        return Origin(address, internal, not internal)

    def _is_internal(self, address: str) -> bool:
        return self._internal is not None and self._internal.contains(ip_number(address))


def last_address(value: Optional[str], skip: int) -> Tuple[str, bool]:
    """The last address of an x-forwarded-for without its last `skip` ones, "" if there is none or it is none; and whether it
    is the only one."""
    parts = (value or "").split(",")
    if len(parts) <= skip:
        return "", False
    try:
        address = ipaddress.ip_address(parts[-1 - skip].strip())
    except ValueError:
        return "", False
    return str(address), len(parts) == 1 and not skip


def _with_port(address: str) -> str:
    return f"[{address}]:0" if ":" in address else f"{address}:0"
