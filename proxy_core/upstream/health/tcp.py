"""The TCP check: a connection; or bytes to send and bytes that must come back. Mirrors `TcpHealthCheckerImpl`.

Bytes that do not match are no failure: more may come, until the timeout. As in Envoy nothing is sent unless something is to be
received, because the connection is closed as soon as it is up.
"""

from __future__ import annotations

from typing import List, Optional

from ...config.model.health_check import TcpHealthCheck
from ...config.model.proxy_protocol import V1, ProxyProtocolConfig
from ...network.proxy_header import v1_header, v2_local_header
from ...observe.stream_info import StreamInfo
from .dialogue import Ends, InOrder
from .outcome import LOST, PASSED, Outcome


class TcpKind:
    """See the module docstring."""

    name = "TCP"
    idle_close_fails = True
    ignores_noise = True

    def __init__(self, config: TcpHealthCheck) -> None:
        self._send = config.send.data if config.send is not None else b""
        self._receive = [payload.data for payload in config.receive]
        self._proxy_protocol = config.proxy_protocol_config

    def new_dialogue(self, host_name: str, info: StreamInfo, ends: Ends) -> TcpDialogue:
        """For a new connection."""
        header = b"" if self._proxy_protocol is None else _header(self._proxy_protocol, ends)
        return TcpDialogue(header, self._send, self._receive)


class TcpDialogue:
    """One connection."""

    __slots__ = ("reusable", "_header", "_send", "_receive", "_matcher")

    def __init__(self, header: bytes, send: bytes, receive: List[bytes]) -> None:
        self.reusable = bool(receive)
        self._header = header
        self._send = send
        self._receive = receive
        self._matcher = InOrder(receive)

    def begin(self) -> bytes:
        """The header, once, and what is configured."""
        self._matcher = InOrder(self._receive)
        if not self._receive:
            return b""
        header, self._header = self._header, b""
        return header + self._send

    def connected(self) -> Optional[Outcome]:
        """Good enough if nothing is to be received."""
        return None if self._receive else PASSED

    def receive(self, data: bytes) -> Optional[Outcome]:
        """Good once everything has come."""
        return PASSED if self._receive and self._matcher.feed(data) else None

    def receive_eof(self) -> Outcome:
        """Not everything has come."""
        return LOST


def _header(config: ProxyProtocolConfig, ends: Ends) -> bytes:
    """There is no client behind a probe: version 1 names the probe's own ends, version 2 says LOCAL."""
    return v1_header(ends.local, ends.remote) if config.version == V1 else v2_local_header()
