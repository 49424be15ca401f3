"""What a connection gets when there is no TLS for it: it ends before a byte is exchanged. Mirrors `NotReadySslSocket`."""

from __future__ import annotations

import socket
from typing import Any, Dict, Optional

from ....network.tls import TlsFailure
from ....network.transport import RawTransport

SECRET_MISSING = "TLS error: Secret is not supplied by SDS"


class NotReady(RawTransport):
    """Fails its handshake. reason: the failure text."""

    __slots__ = ("_reason",)

    name = "tls"

    def __init__(self, reason: str = SECRET_MISSING) -> None:
        self._reason = reason

    @staticmethod
    def preload(data: bytes) -> bytes:
        """Nobody will read them."""
        return b""

    def handshake(self, sock: socket.socket) -> bool:  # type: ignore[override]  # the raw one is static
        """There can't be one."""
        raise TlsFailure(self._reason, self._reason)

    @staticmethod
    def facts() -> Optional[Dict[str, Any]]:
        """There is no session."""
        return None
