"""PROXY protocol headers made by hand, and an accepted socket that feeds a listener filter without a socket."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any, Dict, Iterable, List, Optional, Tuple

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.registry import TypeRegistry
from proxy_core.extensions.listener.proxy_protocol.config import ProxyProtocolListenerConfig
from proxy_core.extensions.listener.proxy_protocol.filter import build
from proxy_core.filters.api import CONTINUE, FilterStatus
from proxy_core.network.address import Address
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PEER = Address.from_ip("127.0.0.1", 1111)
LOCAL = Address.from_ip("127.0.0.1", 80)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def ip_block(source: str, destination: str, source_port: int = 4000, destination_port: int = 443) -> bytes:
    """The address part of a version 2 header, IPv4 or IPv6."""
    ips = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return ips + struct.pack("!HH", source_port, destination_port)


IPV4 = ip_block("198.51.100.7", "203.0.113.9")
IPV6 = ip_block("2001:db8::7", "2001:db8::9")


def v2(tlvs: bytes = b"", command: int = 0x21, family: int = 0x11, addresses: bytes = IPV4) -> bytes:
    rest = addresses + tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def decoded(fields: Dict[str, Any]) -> Tuple[ProxyProtocolListenerConfig, List[str]]:
    """The configuration message of a JSON object, and what is wrong with it."""
    context = Context(TypeRegistry([]))
    config = decode_message(ProxyProtocolListenerConfig, fields, "filter", context)
    return config, [str(problem) for problem in context.problems]


class FilterContext:
    """What this filter's `build` uses of a server."""

    def __init__(self, stats: StatsStore) -> None:
        self.stats = stats


class Accepted:
    """`AcceptedSocket` and `ListenerFilterCallbacks`, by hand. Bytes arrive by `feed`, never more at a time than asked for."""

    def __init__(self, **fields: Any) -> None:
        config, problems = decoded(fields)
        assert problems == []
        self.stats = StatsStore(lambda: 0.0)
        context: Any = FilterContext(self.stats)
        self.filter = build(config, context)()
        self.socket: Any = self
        self.sock: Any = None
        self.reactor: Any = None
        self.info: Any = StreamInfo(1, 0.0, 0.0)
        self.remote_address: Any = PEER
        self.direct_remote_address: Any = PEER
        self.local_address: Any = LOCAL
        self.local_restored = False
        self.transport_protocol = self.requested_server_name = self.ja3_hash = self.ja4_hash = ""
        self.application_protocols: Tuple[str, ...] = ()
        self.data = bytearray()
        self.rejected: Optional[str] = None
        self.passed = False
        self.filter.on_accept(self)

    def consume(self, count: int) -> None:
        assert 0 < count <= len(self.data)
        del self.data[:count]

    def reject(self, reason: str, details: str = "") -> None:
        assert self.rejected is None
        self.rejected = reason

    def continue_filter_chain(self, success: bool) -> None:
        raise AssertionError("nobody waits")

    def feed(self, pieces: Iterable[bytes], ended: bool = False) -> str:
        """Deliver bytes, then perhaps the end. Returns "passed", "rejected" or "waits"; `data` is the payload."""
        for piece in pieces:
            while piece and self.verdict == "waits":
                room = self.filter.most_bytes - len(self.data)
                assert room > 0, "the filter wants more than it asks for"
                self.data += piece[:room]
                piece = piece[room:]
                self._tell(False)
            self.data += piece
        if ended and self.verdict == "waits":
            self._tell(True)
        return self.verdict

    def _tell(self, ended: bool) -> None:
        status: FilterStatus = self.filter.on_data(self.data, ended)
        self.passed = status is CONTINUE
        assert not (self.passed and self.rejected is not None)

    @property
    def verdict(self) -> str:
        return "rejected" if self.rejected is not None else "passed" if self.passed else "waits"

    @property
    def facts(self) -> Tuple[Any, ...]:
        """What must not depend on how the bytes were cut."""
        return (
            self.verdict, bytes(self.data) if self.passed else b"", self.remote_address, self.local_address,
            self.local_restored, self.info.dynamic_metadata,
        )

    def counted(self) -> Dict[str, int]:
        """The counters that are not zero, without "proxy_proto." in front."""
        prefix = "proxy_proto."
        return {
            name[len(prefix):] if name.startswith(prefix) else name: stat.value
            for name, stat in sorted(self.stats.counters.items()) if stat.value
        }
