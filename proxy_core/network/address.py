"""Addresses: where a socket listens, connects to, or came from. Mirrors `Network::Address`.

An `Address` is made once per configured place and once per accepted connection; everything later reads its fields.
`text` is Envoy's printed form: "127.0.0.1:443", "[::1]:443", "/run/app.sock".
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final, Optional, Protocol, Tuple, Union

V4_MAPPED: Final = "::ffff:"

SockAddr = Union[str, bytes, Tuple[Any, ...]]


class ConfiguredSocket(Protocol):
    """`config.core.v3.SocketAddress`, as far as it is read here."""

    address: str
    port_value: Optional[int]
    ipv4_compat: bool


class ConfiguredPipe(Protocol):
    """`config.core.v3.Pipe`."""

    path: str
    mode: int


class Configured(Protocol):
    """`config.core.v3.Address`: this package stays below the configuration, so it is known by its fields."""

    @property
    def socket_address(self) -> Optional[ConfiguredSocket]:
        """An IP address and a port."""

    @property
    def pipe(self) -> Optional[ConfiguredPipe]:
        """A Unix socket."""


class Address:
    """One socket address. `ip` is "" and `port` 0 for a Unix socket, `path` is "" for an IP one."""

    __slots__ = ("family", "sockaddr", "text", "ip", "port", "path", "mode", "ipv4_compat")

    def __init__(self, family: int, sockaddr: SockAddr, text: str, ip: str, port: int, path: str, mode: int) -> None:
        self.family = family
        self.sockaddr = sockaddr
        self.text = text
        self.ip = ip
        self.port = port
        self.path = path
        self.mode = mode  # permission bits to give the socket file; 0 = leave as created
        self.ipv4_compat = False  # an IPv6 listener that takes IPv4 as well

    @classmethod
    def from_ip(cls, ip: str, port: int) -> Address:
        """An IPv4 or IPv6 address from its printed form. Raises ValueError on anything else (host names too)."""
        parsed = ipaddress.ip_address(ip)
        if parsed.version == 4:
            return cls(socket.AF_INET, (str(parsed), port), f"{parsed}:{port}", str(parsed), port, "", 0)
        scope = getattr(parsed, "scope_id", None)
        index = socket.if_nametoindex(scope) if scope else 0
        return cls(socket.AF_INET6, (str(parsed), port, 0, index), f"[{parsed}]:{port}", str(parsed), port, "", 0)

    @classmethod
    def from_path(cls, path: str, mode: int = 0) -> Address:
        """A Unix socket; "@name" is Linux's abstract namespace, as in Envoy."""
        name: SockAddr = "\0" + path[1:] if path.startswith("@") else path
        return cls(socket.AF_UNIX, name, path, "", 0, path, mode)

    @classmethod
    def from_sockaddr(cls, family: int, sockaddr: Any) -> Address:
        """What `accept`, `getsockname` and `getpeername` return."""
        if family == socket.AF_INET:
            ip, port = sockaddr
            return cls(family, sockaddr, f"{ip}:{port}", ip, port, "", 0)
        if family == socket.AF_INET6:
            ip, port = sockaddr[0], sockaddr[1]
            if ip.startswith(V4_MAPPED) and "." in ip:  # an IPv4 client of a listener with ipv4_compat
                return cls.from_sockaddr(socket.AF_INET, (ip[len(V4_MAPPED):], port))
            return cls(family, sockaddr, f"[{ip}]:{port}", ip, port, "", 0)
        path = sockaddr.decode("utf-8", "replace") if isinstance(sockaddr, bytes) else (sockaddr or "")
        if path.startswith("\0"):
            path = "@" + path[1:]
        return cls(family, sockaddr, path, "", 0, path, 0)

    @property
    def is_abstract(self) -> bool:
        """Whether this is a name in Linux's abstract namespace: no file, nothing to unlink."""
        return self.path.startswith("@")

    @property
    def is_local(self) -> bool:
        """Whether it can only be a socket of this machine: loopback, or a Unix socket."""
        return self.ip[:4] == "127." or self.family == socket.AF_UNIX or self.ip == "::1"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Address({self.text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def address_of(config: Configured) -> Address:
    """A configured address as a usable one. Raises ValueError for what is not an IP address."""
    if config.pipe is not None:
        return Address.from_path(config.pipe.path, config.pipe.mode)
    if config.socket_address is None:
        raise ValueError("neither a socket address nor a pipe")
    address = Address.from_ip(config.socket_address.address, config.socket_address.port_value or 0)
    address.ipv4_compat = config.socket_address.ipv4_compat
    return address
