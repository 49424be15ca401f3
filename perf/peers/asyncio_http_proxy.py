"""An HTTP/1.1 reverse proxy on asyncio's protocols: the least that moves messages with a content-length.

    python3 -m perf.peers.asyncio_http_proxy LISTEN_PORT UPSTREAM_PORT [--uvloop]

Each client connection has one upstream connection. Heads are split into lines, the two headers that a proxy adds are added,
bodies pass with flow control. It checks nothing, routes nothing, and knows no chunks, trailers, upgrades or timeouts: what it
costs is what asyncio and a Python dict cost, and no proxy that one could run costs less on this loop.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Dict, Optional, cast

HOST = "127.0.0.1"
END = b"\r\n\r\n"


class Side(asyncio.Protocol):
    """One end: cuts the stream into heads and bodies and hands both to the other end."""

    __slots__ = ("transport", "peer", "_pending", "_left")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.peer: Optional[Side] = None
        self._pending = b""
        self._left = 0  # bytes of the present body that are still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what is complete."""
        if self._left >= len(data) and not self._pending:
            self._left -= len(data)
            self._send(data)
            return
        data = self._pending + data
        self._pending = b""
        while data:
            if not self._left:
                head, end, data = data.partition(END)
                if not end:
                    self._pending = head
                    return
                self._send(self.changed(head))
            body, data = data[: self._left], data[self._left :]
            self._left -= len(body)
            if body:
                self._send(body)

    def changed(self, head: bytes) -> bytes:
        """The head as it goes on; notes how long its body is."""
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: Dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        headers.pop("connection", None)
        self._left = int(headers.get("content-length", "0"))
        self.add_headers(headers)
        text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return f"{first}\r\n{text}\r\n".encode("latin-1")

    def add_headers(self, headers: Dict[str, str]) -> None:
        """What this proxy adds."""

    def _send(self, data: bytes) -> None:
        assert self.peer is not None
        self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.transport.close()


class Upstream(Side):
    """Reads responses."""

    def add_headers(self, headers: Dict[str, str]) -> None:
        headers["server"] = "asyncio"


class Downstream(Side):
    """Reads requests; reading waits until the upstream is connected."""

    __slots__ = ("_upstream_port", "_connecting", "_early")

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self._connecting: Optional[asyncio.Task[None]] = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early += data
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def add_headers(self, headers: Dict[str, str]) -> None:
        headers["x-forwarded-proto"] = "http"

    async def _connect(self) -> None:
        upstream = Upstream()
        try:
            await asyncio.get_running_loop().create_connection(lambda: upstream, HOST, self._upstream_port)
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            upstream.transport.abort()
            return
        upstream.peer, self.peer = self, upstream
        if self._early:
            early, self._early = self._early, b""
            super().data_received(early)
            self.transport.resume_reading()


async def serve(listen_port: int, upstream_port: int) -> None:
    """Proxies until SIGTERM or SIGINT."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Downstream(upstream_port), HOST, listen_port, backlog=4096)
    await stopped.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A minimal HTTP/1.1 reverse proxy on asyncio protocols.")
    parser.add_argument("listen_port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop, which must be installed")
    options = parser.parse_args()
    if options.uvloop:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(options.listen_port, options.upstream_port))


if __name__ == "__main__":
    main()
