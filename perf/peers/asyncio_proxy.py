"""A TCP proxy on asyncio's protocols, the fastest way that asyncio offers.

    python3 -m perf.peers.asyncio_proxy LISTEN_PORT UPSTREAM_PORT [--uvloop] [--certificate FILE --key FILE]

It does what a proxy must: flow control both ways, half-close both ways, and an abort carried across. It does
nothing else: no timeouts, statistics, logs, filters or balancing. `--uvloop` runs the same code on that loop. With a
certificate it ends TLS towards clients, as asyncio can: without half-close.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
from typing import List, Optional, cast

HOST = "127.0.0.1"


class Side(asyncio.Protocol):
    """One end of a proxied connection; `peer` is the other one. `ended`: nothing more comes from it."""

    __slots__ = ("transport", "peer", "ended")

    transport: asyncio.Transport

    def __init__(self, peer: Optional[Side] = None) -> None:
        self.peer = peer
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.peer is None or self.peer.transport.is_closing():
            return False
        if self.peer.ended:
            return False  # both directions are over: close, and connection_lost closes the other side
        if not self.peer.transport.can_write_eof():  # TLS
            self.peer.transport.close()
            return False
        self.peer.transport.write_eof()
        return True  # keep this side open for the other direction

    def pause_writing(self) -> None:
        assert self.peer is not None
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        assert self.peer is not None
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        peer, self.peer = self.peer, None
        if peer is None or peer.peer is None:
            return
        if exc is None:
            peer.transport.close()
        else:
            peer.transport.abort()


class Downstream(Side):
    """The accepted end: keeps what comes before the upstream is connected, and stops reading then.

    A pause in connection_made would do on asyncio, but uvloop starts reading after it.
    """

    __slots__ = ("_upstream_port", "_connecting", "_early")

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self._connecting: Optional[asyncio.Task[None]] = None
        self._early: List[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.transport.write(data)
        else:
            self._early.append(data)
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self.peer is not None:
            return super().eof_received()
        self.ended = True
        return True

    async def _connect(self) -> None:
        upstream = Side(self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: upstream, HOST, self._upstream_port)
        except OSError:
            self.transport.abort()
            return
        finally:
            self._connecting = None
        if self.transport.is_closing():
            upstream.peer = None
            upstream.transport.abort()
            return
        self.peer = upstream
        if self._early:
            upstream.transport.write(b"".join(self._early))
            self._early.clear()
            self.transport.resume_reading()
        if self.ended:
            upstream.transport.write_eof()


async def serve(listen_port: int, upstream_port: int, tls: Optional[ssl.SSLContext]) -> None:
    """Proxies `listen_port` to `upstream_port` of the loopback interface until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Downstream(upstream_port), HOST, listen_port, backlog=4096, ssl=tls)
    await stopped.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A minimal TCP proxy on asyncio protocols.")
    parser.add_argument("listen_port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop, which must be installed")
    parser.add_argument("--certificate", help="end TLS towards clients, with this chain in PEM")
    parser.add_argument("--key", help="its private key")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    if options.uvloop:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(options.listen_port, options.upstream_port, tls))


if __name__ == "__main__":
    main()
