"""What lies between a connection's buffers and its socket: nothing (raw) or TLS. Mirrors `Network::TransportSocket`.

The connection owns the socket and decides when to read, write and close; the transport turns buffer bytes into wire bytes and
back. `RawTransport` has no state, one instance serves every raw connection of the process.
"""

from __future__ import annotations

import socket
from typing import Any, Dict, Optional, Protocol

from ..buffer import Buffer
from . import sockets


class Transport(Protocol):
    """One connection's transport. All calls are non-blocking; each may raise `sockets.ConnectionLost` or PeerError."""

    name: str
    """Envoy's transport protocol: "raw_buffer" or "tls"."""

    def handshake(self, sock: socket.socket) -> bool:
        """One step towards readiness; True once bytes may be exchanged."""

    def read(self, sock: socket.socket, size: int) -> Optional[bytes]:
        """Plain bytes; b"" at an orderly end of stream; None if there are none yet."""

    def write(self, sock: socket.socket, data: Buffer) -> int:
        """Drain and send what the socket takes; the number of plain bytes taken."""

    def send_end(self, sock: socket.socket) -> None:
        """Tell the peer that no more bytes follow."""

    @property
    def has_output(self) -> bool:
        """Whether wire bytes wait for the socket beyond what the write buffer holds."""

    def facts(self) -> Optional[Dict[str, Any]]:
        """What access logs and the admin say about the security layer; None for raw."""


class RawTransport:
    """Bytes go as they are."""

    __slots__ = ()

    name = "raw_buffer"
    has_output = False
    read = staticmethod(sockets.receive)
    write = staticmethod(sockets.send)
    send_end = staticmethod(sockets.send_fin)

    @staticmethod
    def handshake(sock: socket.socket) -> bool:
        """Nothing to agree on."""
        return True

    @staticmethod
    def facts() -> Optional[Dict[str, Any]]:
        """No security layer."""
        return None


RAW = RawTransport()
