"""A CONNECT request that ends here: its payload goes to the host over a TCP connection. Mirrors `Tcp::TcpUpstream`.

It has the interface of `Attempt`: the host has agreed as soon as it is connected, and what it sends is the response's body.
"""

from __future__ import annotations

from typing import Any, Final, Optional, Protocol

from ....buffer import Buffer
from ....filters.api import CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ....http.events import ResponseHead
from ....http.headers import Headers
from ....network.close import FLUSH_WRITE, NO_FLUSH
from ....network.connection import Connection
from ....observe.reasons import Reasons
from ....observe.stream_info import StreamInfo
from ....upstream.cluster import Cluster
from ....upstream.host import Host
from ....upstream.http_pool.api import (
    CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_CONNECTION_FAILURE, OVERFLOW, REMOTE_CONNECTION_FAILURE, ResetReason,
)
from ....upstream.http_pool.exchange import DOWNSTREAM_FULL
from ....upstream.tcp_pool import TcpPool
from ....upstream.tcp_pool_api import LOCAL, REMOTE, TIMEOUT, PendingConnection, PoolFailure
from ....upstream.tcp_pool_api import OVERFLOW as POOL_OVERFLOW
from .sender import NOT_CONNECTED, UPSTREAM_FULL, Sender

_REASONS: Final = {
    REMOTE: REMOTE_CONNECTION_FAILURE, LOCAL: LOCAL_CONNECTION_FAILURE, TIMEOUT: CONNECTION_TIMEOUT, POOL_OVERFLOW: OVERFLOW,
}


class Owner(Protocol):
    """The request, as its tunnel sees it: as `attempt.Owner`."""

    @property
    def sender(self) -> Sender:
        """Who sends the request."""

    def on_attempt_ready(self, attempt: Any, connection: Connection, head_bytes: int) -> None:
        """Connected."""

    def on_attempt_head(self, attempt: Any, head: ResponseHead, end_stream: bool) -> None:
        """The answer to the client."""

    def on_attempt_data(self, attempt: Any, data: Buffer, end_stream: bool) -> None:
        """What the host sent."""

    def on_attempt_failed(self, attempt: Any, reason: ResetReason, text: str) -> None:
        """Not connected, or not any more."""


class Tunnel:
    """See the module docstring. A read filter and the callbacks of its connection."""

    __slots__ = ("host", "was_sent", "awaits_head", "_owner", "_pending", "_connection", "_early", "_early_end", "_holds",
                 "_is_full", "_over")

    protocol: Final = ""

    def __init__(self, owner: Owner, host: Host) -> None:
        self.host: Optional[Host] = host
        self.was_sent = False
        self.awaits_head = True
        self._owner = owner
        self._pending: Optional[PendingConnection] = None
        self._connection: Optional[Connection] = None
        self._early = Buffer()
        self._early_end = False
        self._holds = False
        self._is_full = False
        self._over = False

    # -- for the request -------------------------------------------------------------------------------------------

    def start(self, pool: TcpPool, cluster: Cluster, info: StreamInfo) -> None:
        """Connect."""
        assert self.host is not None
        pending = pool.connect(cluster, self.host, info, self, self)
        if self._connection is None and not self._over:
            self._pending = pending

    def send_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of the payload; `data` is empty afterwards."""
        if self._connection is not None:
            self._connection.write(data, end_stream)
            return
        self._early.move_from(data)
        self._early_end = self._early_end or end_stream
        if not self._holds and self._early.size > self._owner.sender.decoder_buffer_limit > 0:
            self._holds = True
            self._owner.sender.pause_sender(NOT_CONNECTED)

    def send_trailers(self, trailers: Headers) -> None:
        """A tunnel has none; it ends here."""
        self.send_data(Buffer(), True)

    def reset(self, why: str) -> None:
        """Give up, or after the host has said everything: close."""
        was_over, self._over = self._over, True
        self._let_sender_go()
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
        elif self._connection is not None:
            self._connection.close(FLUSH_WRITE if was_over else NO_FLUSH, config=why)

    def stop_timers(self) -> None:
        """There are none: the cluster's connect_timeout counts."""

    def pause(self) -> None:
        """Take no more from the host for now."""
        if self._connection is not None and self._connection.is_open:
            self._connection.pause_reading(DOWNSTREAM_FULL)

    def resume(self) -> None:
        """Take more again."""
        if self._connection is not None and self._connection.is_open and DOWNSTREAM_FULL in self._connection.pauses:
            self._connection.resume_reading(DOWNSTREAM_FULL)

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return Reasons("a tunnel" if self.was_sent else "waiting for a connection")

    # -- from the pool ---------------------------------------------------------------------------------------------

    def on_pool_ready(self, connection: Connection, host: Host) -> None:
        """The host is there: tell the client, and let what it has sent already go on."""
        self._pending = None
        self._connection = connection
        self.was_sent = True
        connection.callbacks += (self,)
        self._owner.on_attempt_ready(self, connection, 0)
        self.awaits_head = False
        self._owner.on_attempt_head(self, ResponseHead(200), False)
        if self._early.size or self._early_end:
            connection.write(self._early, self._early_end)
        self._let_sender_go()

    def on_pool_failure(self, failure: PoolFailure, reason: str, host: Host) -> None:
        """No connection."""
        self._pending = None
        self._over = True
        self._let_sender_go()
        if failure is POOL_OVERFLOW:
            self.host = None
        self._owner.on_attempt_failed(self, _REASONS[failure], "" if failure is POOL_OVERFLOW else reason)

    # -- the connection's read filter and callbacks ----------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """The pool gives the connection when it is up."""

    def on_new_connection(self) -> FilterStatus:
        """Bytes are welcome."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """From the host to the client."""
        if not self._over:
            self._over = end_stream
            taken = Buffer()
            taken.move_from(data)
            self._owner.on_attempt_data(self, taken, end_stream)
        data.clear()
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Told twice, as filter and as callbacks; an end before the host's last word counts once."""
        if event is not CONNECTED and self._connection is not None and not self._over:
            self._over = True
            self._owner.on_attempt_failed(self, CONNECTION_TERMINATION, "")

    def on_above_write_buffer_high_watermark(self) -> None:
        """The host takes no more for now."""
        if not self._over and not self._is_full:
            self._is_full = True
            self._owner.sender.pause_sender(UPSTREAM_FULL)

    def on_below_write_buffer_low_watermark(self) -> None:
        """It does again."""
        if self._is_full:
            self._is_full = False
            self._owner.sender.resume_sender(UPSTREAM_FULL)

    def _let_sender_go(self) -> None:
        if self._holds:
            self._holds = False
            self._owner.sender.resume_sender(NOT_CONNECTED)
