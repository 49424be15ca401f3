"""What lies between a connection's buffers and its socket: nothing (raw) or TLS. Mirrors `Network::TransportSocket`.

The connection owns the socket and decides when to read, write and close; the transport turns buffer bytes into wire bytes and
back. `RawTransport` has no state, one instance serves every raw connection of the process.
"""

from __future__ import annotations

import socket
from typing import Any, Dict, Optional, Protocol

from ..buffer import Buffer
from ..observe.stream_info import StreamInfo
from . import sockets


class Transport(Protocol):
    """One connection's transport. All calls are non-blocking; each may raise `sockets.ConnectionLost` or PeerError."""

    name: str
    """Envoy's transport protocol: "raw_buffer" or "tls"."""

    connect_timeout: float
    """Seconds that the handshake may take, from the connection's start; 0 = no bound of the transport's own."""

    def attach(self, host: Any) -> None:
        """Called once before the handshake, with the connection: `want_read` and `want_flush` are for the transport to call."""

    def preload(self, data: bytes) -> bytes:
        """Wire bytes that were read before the connection existed, given before the first handshake step; the plain bytes
        among them are returned."""

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

    @property
    def has_input(self) -> bool:
        """Whether a read would give something although the socket may have nothing new."""

    def publish(self, info: StreamInfo) -> None:
        """The handshake is done: tell access logs and filters what is known now. Not called on raw connections."""

    def close(self, sock: socket.socket, goodbye: bool) -> None:
        """The socket is about to be closed. goodbye: say so to the peer if that takes no waiting."""

    def facts(self) -> Optional[Dict[str, Any]]:
        """What access logs and the admin say about the security layer; None for raw."""


class RawTransport:
    """Bytes go as they are."""

    __slots__ = ()

    name = "raw_buffer"
    connect_timeout = 0.0
    has_output = False
    has_input = False
    read = staticmethod(sockets.receive)
    write = staticmethod(sockets.send)
    send_end = staticmethod(sockets.send_fin)

    @staticmethod
    def attach(host: Any) -> None:
        """There is nothing to tell the connection."""

    @staticmethod
    def preload(data: bytes) -> bytes:
        """All bytes are plain."""
        return data

    @staticmethod
    def close(sock: socket.socket, goodbye: bool) -> None:
        """The FIN that follows says it all."""

    @staticmethod
    def handshake(sock: socket.socket) -> bool:
        """Nothing to agree on."""
        return True

    @staticmethod
    def publish(info: StreamInfo) -> None:
        """There is nothing to tell."""

    @staticmethod
    def facts() -> Optional[Dict[str, Any]]:
        """No security layer."""
        return None


RAW = RawTransport()
