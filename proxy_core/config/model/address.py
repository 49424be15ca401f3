"""envoy.config.core.v3, the part about sockets: addresses, ranges, options, keepalive, where to bind."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import List, Optional, Union

from ..descriptor import Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Bytes, Enum, Int64, String, UInt32
from ..nested import Nested

_PIPE_PATH_LIMIT = 108  # bytes of sockaddr_un.sun_path, with the closing zero


@message(
    "envoy.config.core.v3.SocketAddress",
    unsupported=("named_port", "resolver_name", "network_namespace_filepath"),
    required_oneofs=("port_specifier",),
)
@dataclass(eq=False, repr=False)
class SocketAddress(Message):
    """An IP address with a port (a host name where the cluster type resolves names)."""

    protocol: str = plain(Enum(TCP=0, UDP=1), help="Default TCP; UDP is not supported.")
    address: str = plain(String(min_len=1), help="An IPv4 or IPv6 address, without brackets.")
    port_value: Optional[int] = optional(UInt32(lte=65535), oneof="port_specifier", help="0 = any free port.")
    ipv4_compat: bool = plain(
        Bool(), help="An IPv6 listener takes IPv4 connections as well (with address '::')."
    )

    def check(self, report: Report) -> None:
        if self.protocol == "UDP":
            report("protocol", "UDP is a protocol of Envoy's that proxy_core does not support yet")


@message("envoy.config.core.v3.Pipe")
@dataclass(eq=False, repr=False)
class Pipe(Message):
    """A Unix domain socket."""

    path: str = plain(String(min_len=1), help="'@name' is Linux's abstract namespace.")
    mode: int = plain(
        UInt32(lte=0o777), help="Permissions of the socket file, as a decimal number; 0 = as created."
    )

    def check(self, report: Report) -> None:
        if "\0" in self.path:
            report("path", "UNIX domain socket pathname contains embedded null characters")
        elif len(self.path.encode()) >= _PIPE_PATH_LIMIT:
            limit = f"exceeds maximum UNIX domain socket path size of {_PIPE_PATH_LIMIT}"
            report("path", f'Path "{self.path}" {limit}.')
        if self.path.startswith("@") and self.mode:
            report("mode", "Cannot set mode for Abstract AF_UNIX sockets", uses=("path",))


@message(
    "envoy.config.core.v3.Address", unsupported=("envoy_internal_address",), required_oneofs=("address",)
)
@dataclass(eq=False, repr=False)
class Address(Message):
    """Where a socket listens or connects to."""

    socket_address: Optional[SocketAddress] = optional(Nested(SocketAddress), oneof="address")
    pipe: Optional[Pipe] = optional(Nested(Pipe), oneof="address")

    @property
    def text(self) -> str:
        """Envoy's printed form: "127.0.0.1:443", "[::1]:443", "/run/app.sock"; "" for an empty address."""
        if self.pipe is not None:
            return self.pipe.path
        if self.socket_address is None:
            return ""
        port = self.socket_address.port_value or 0
        ip = parse_ip(self.socket_address.address)
        if ip is None:
            return f"{self.socket_address.address}:{port}"
        return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


@message("envoy.config.core.v3.CidrRange")
@dataclass(eq=False, repr=False)
class CidrRange(Message):
    """A network: all addresses that begin with the same bits."""

    address_prefix: str = plain(
        String(min_len=1), help="An IPv4 or IPv6 address; bits behind the prefix don't count."
    )
    prefix_len: Optional[int] = optional(
        UInt32(lte=128), help="Number of leading bits that count; default 0."
    )

    def check(self, report: Report) -> None:
        ip = parse_ip(self.address_prefix)
        if ip is None or "%" in self.address_prefix:
            report("address_prefix", f"malformed IP address: {self.address_prefix}")
        elif self.prefix_len is not None and self.prefix_len > ip.max_prefixlen:
            limit = f"expected at most {ip.max_prefixlen} for an IPv{ip.version} address"
            report("prefix_len", f"{limit}, found {self.prefix_len}", uses=("address_prefix",))

    def network(self) -> Union[ipaddress.IPv4Network, ipaddress.IPv6Network]:
        """The range as a network object. Only for a range that passed `check`."""
        return ipaddress.ip_network((self.address_prefix, self.prefix_len or 0), strict=False)


@message("envoy.config.core.v3.TcpKeepalive")
@dataclass(eq=False, repr=False)
class TcpKeepalive(Message):
    """TCP keepalive; a field that is not set leaves the system's value."""

    keepalive_probes: Optional[int] = optional(
        UInt32(), help="Unanswered probes before the connection is dead."
    )
    keepalive_time: Optional[int] = optional(UInt32(), help="Seconds idle before the first probe.")
    keepalive_interval: Optional[int] = optional(UInt32(), help="Seconds between probes.")


@message("envoy.config.core.v3.SocketOption", unsupported=("type", "ip_version"), required_oneofs=("value",))
@dataclass(eq=False, repr=False)
class SocketOption(Message):
    """A raw setsockopt(level, name, value)."""

    description: str = plain(String())
    level: int = plain(
        Int64(gte=-(2**31), lte=2**31 - 1), help="As in <sys/socket.h>: 1 = SOL_SOCKET, 6 = TCP."
    )
    name: int = plain(Int64(gte=-(2**31), lte=2**31 - 1), help="The option's number at that level.")
    int_value: Optional[int] = optional(Int64(gte=-(2**31), lte=2**31 - 1), oneof="value")
    buf_value: Optional[bytes] = optional(Bytes(), oneof="value", help="Base64.")
    state: str = plain(Enum(STATE_PREBIND=0, STATE_BOUND=1, STATE_LISTENING=2), help="When it is set.")


@message("envoy.config.core.v3.SocketOptionsOverride")
@dataclass(eq=False, repr=False)
class SocketOptionsOverride(Message):
    """Socket options instead of the listener's own."""

    socket_options: List[SocketOption] = repeated(Nested(SocketOption))


@message(
    "envoy.config.core.v3.BindConfig",
    unsupported=(
        "freebind", "additional_source_addresses", "extra_source_addresses", "local_address_selector",
        "validate_network_namespaces",
    ),
)
@dataclass(eq=False, repr=False)
class BindConfig(Message):
    """Where upstream connections come from."""

    source_address: Optional[SocketAddress] = optional(Nested(SocketAddress), help="Port 0 = any.")
    socket_options: List[SocketOption] = repeated(Nested(SocketOption))


def parse_ip(text: str) -> Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    """The IP address that `text` is, or None: what inet_pton takes, with an IPv6 scope ("fe80::1%eth0")."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
