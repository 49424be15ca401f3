"""Sends some bytes as the very first of a connection, before its transport's own handshake, then steps out of the way.

For the PROXY protocol towards upstreams: the header is in the clear also where TLS follows. Mirrors
`UpstreamProxyProtocolSocket`. The connection reports Connected when header and handshake are done.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Optional

from ..buffer import Buffer
from . import sockets
from .transport import RawTransport, Transport


class HeaderTransport(RawTransport):
    """The transport of a connection until its header is out; from then on the connection has `inner`.

    header: makes the bytes once the connection is up, from the connection.
    """

    __slots__ = ("_make_header", "_header", "_inner", "_connection", "has_output")

    def __init__(self, header: Callable[[Any], bytes], inner: Transport) -> None:
        self._make_header = header
        self._header: Optional[Buffer] = None
        self._inner = inner
        self._connection: Any = None
        self.has_output = False

    def attach(self, host: Any) -> None:  # type: ignore[override]  # the raw one has no state and is static
        """Remember whose transport to replace."""
        self._connection = host

    def handshake(self, sock: socket.socket) -> bool:  # type: ignore[override]  # as above
        """Send what is left of the header; after it, the inner transport's handshake begins."""
        connection = self._connection
        header = self._header
        if header is None:
            header = self._header = Buffer()
            header.append(self._make_header(connection))
        connection.counters.tx_total.value += sockets.send(sock, header)
        if header.size:
            self.has_output = True
            return False
        connection.transport = self._inner
        self._inner.attach(connection)
        return self._inner.handshake(sock)

    def close(self, sock: socket.socket, goodbye: bool) -> None:  # type: ignore[override]  # as above
        """The peer has not seen anything of the inner transport."""
        self._inner.close(sock, False)
