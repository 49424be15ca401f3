"""original_dst: restores the address that the client dialled before iptables sent it here. Mirrors
`envoy.filters.listener.original_dst`.

REDIRECT and DNAT: the kernel tells by SO_ORIGINAL_DST. TPROXY: the socket is transparent and its local address is the dialled
one already. Without either, and on systems other than Linux, nothing changes. A listener with `use_original_dst` hands the
connection to the listener of the restored address. The listener's `traffic_direction` makes no difference: in Envoy it does
on Windows only.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
import sys
from typing import Any, Callable, Final, Optional

from ...config.fields import Message, message
from ...filters.api import CONTINUE, FilterStatus
from ...filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from ...filters.registry import ListenerFilterContext, ListenerFilterExtension
from ...network.address import Address

# linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h give both of them this number, linux/in.h and in6.h the others.
SO_ORIGINAL_DST: Final = 80
IP6T_SO_ORIGINAL_DST: Final = 80
IP_TRANSPARENT: Final = 19
IPV6_TRANSPARENT: Final = 75

_SOCKADDR_IN: Final = 16  # bytes
_SOCKADDR_IN6: Final = 28
_IS_LINUX: Final = sys.platform.startswith("linux")


@message("envoy.extensions.filters.listener.original_dst.v3.OriginalDst")
@dataclasses.dataclass(eq=False, repr=False)
class OriginalDstConfig(Message):
    """Takes the address that was dialled before a redirection for the local one. No fields."""


class OriginalDst(ListenerFilter):
    """One socket's look."""

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """Ask the kernel once; no bytes are needed."""
        sock = callbacks.sock
        if _IS_LINUX and sock.family in (socket.AF_INET, socket.AF_INET6):
            _restore(callbacks, sock)
        return CONTINUE


def _restore(callbacks: ListenerFilterCallbacks, sock: Any) -> None:
    dialled = original_destination(sock)
    if dialled is None:
        # Transparent: the local address is right, and a listener that hands connections on must hear of it.
        callbacks.socket.local_restored |= is_transparent(sock)
    elif dialled != callbacks.socket.local_address:
        callbacks.socket.local_address = dialled
        callbacks.socket.local_restored = True


def original_destination(sock: Any) -> Optional[Address]:
    """What the connection's client dialled, from the kernel's connection tracking; None when that does not know it.

    sock: an accepted `socket.socket`, IPv4 or IPv6. Of a listener with ipv4_compat an IPv4 client is asked about as IPv4,
    which the kernel tracks it as.
    """
    try:
        if sock.family == socket.AF_INET6 and not _is_mapped(sock):
            return unpack_ipv6(sock.getsockopt(socket.IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, _SOCKADDR_IN6))
        return unpack_ipv4(sock.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, _SOCKADDR_IN))
    except OSError:
        return None


def is_transparent(sock: Any) -> bool:
    """Whether the socket came through a TPROXY rule."""
    is_v6 = sock.family == socket.AF_INET6
    level, option = (socket.IPPROTO_IPV6, IPV6_TRANSPARENT) if is_v6 else (socket.IPPROTO_IP, IP_TRANSPARENT)
    try:
        return bool(sock.getsockopt(level, option))
    except OSError:
        return False


def _is_mapped(sock: Any) -> bool:
    return Address.from_sockaddr(sock.family, sock.getsockname()).family == socket.AF_INET


def unpack_ipv4(data: bytes) -> Optional[Address]:
    """A `struct sockaddr_in`; None when it is cut off or of another family."""
    if len(data) < 8 or struct.unpack_from("=H", data)[0] != socket.AF_INET:
        return None
    port, packed = struct.unpack_from("!H4s", data, 2)
    return Address.from_sockaddr(socket.AF_INET, (socket.inet_ntop(socket.AF_INET, packed), port))


def unpack_ipv6(data: bytes) -> Optional[Address]:
    """A `struct sockaddr_in6`; None when it is cut off or of another family."""
    if len(data) < _SOCKADDR_IN6 or struct.unpack_from("=H", data)[0] != socket.AF_INET6:
        return None
    port, flow, packed = struct.unpack_from("!HI16s", data, 2)
    scope = struct.unpack_from("=I", data, 24)[0]
    return Address.from_sockaddr(socket.AF_INET6, (socket.inet_ntop(socket.AF_INET6, packed), port, flow, scope))


def build(config: OriginalDstConfig, context: ListenerFilterContext) -> Callable[[], OriginalDst]:
    """Every socket shares the one filter: it keeps nothing."""
    shared = OriginalDst()
    return lambda: shared


EXTENSION = ListenerFilterExtension(OriginalDstConfig, build)
