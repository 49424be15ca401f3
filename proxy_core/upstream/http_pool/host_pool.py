"""The HTTP/1 connections to one host, for one priority, and the requests that wait for one. Mirrors `ConnPoolImplBase`.

    a request comes      it gets the connection that became idle last; else it waits, and a connection is made if it may be
    one is up, or idle   the request that waits the longest gets it; a connection that was given back waits for the end of the
                         loop's turn before that, so that nobody is called from inside somebody else's response
    connecting failed    all that wait are told: their next attempt may go to another host

A host without a connection may always have one, whatever the breaker of connections says, so that no request waits for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, Optional, Protocol

from ...event.reactor import Reactor
from ...event.timers import Timer
from ...http.settings import Http1Settings
from ...network import sockets
from ..breaker import CircuitBreakers
from ..cluster import Cluster
from ..host import Host
from ..preconnect import MOST_AT_ONCE, wants_another
from .api import LOCAL_CONNECTION_FAILURE, OVERFLOW, PendingStream, ResetReason, Stream
from .budget import TimeoutBudget
from .client import CONNECTING, ClientState, Http1Client
from .options import HttpOptions
from .stats import HttpClusterStats


class Opener(Protocol):
    """Who makes the connections of a pool."""

    def open(self, pool: HostPool) -> Http1Client:
        """Begin to make one; it may be up already. Raises OSError if there can't even be a socket."""

    def forget(self, pool: HostPool) -> None:
        """There is nothing in this pool any more. Harmless to call twice."""


class WaitingStream:
    """A stream without a connection. since: when it began to wait."""

    __slots__ = ("stream", "since", "_pool")

    def __init__(self, pool: HostPool, stream: Stream, since: float) -> None:
        self.stream = stream
        self.since = since
        self._pool = pool

    def cancel(self) -> None:
        """See `api.PendingStream`."""
        self._pool.cancel(self)


class HostPool:
    """See the module docstring. `idle`: the one that was given back last is at the end."""

    __slots__ = (
        "cluster", "host", "breakers", "stats", "budget", "settings", "max_connection_duration", "idle", "pending", "clients",
        "connecting", "idle_timeout", "_max_requests", "_idle_timer", "_reactor", "_opener", "_will_serve", "_ratio",
    )

    def __init__(
        self, reactor: Reactor, opener: Opener, cluster: Cluster, host: Host, breakers: CircuitBreakers,
        stats: HttpClusterStats, options: HttpOptions, budget: Optional[TimeoutBudget] = None,
    ) -> None:
        self.cluster = cluster
        self.host = host
        self.breakers = breakers
        self.stats = stats
        self.budget = budget
        self.settings: Http1Settings = options.settings
        self.max_connection_duration = options.max_connection_duration
        self.idle: List[Http1Client] = []
        self.pending: Deque[WaitingStream] = deque()
        self.clients: Dict[Http1Client, None] = {}
        self.connecting = 0
        self._max_requests = options.max_requests
        self.idle_timeout = options.idle_timeout
        self._idle_timer: Optional[Timer] = None
        self._reactor = reactor
        self._opener = opener
        self._will_serve = False
        self._ratio = cluster.ratios.per_upstream

    def new_stream(self, stream: Stream) -> Optional[PendingStream]:
        """A connection for a stream. None: it has been told already what came of it."""
        if self.idle:
            if not self.breakers.requests.can_create and not self._may_begin(stream):
                return None
            self._attach(self.idle.pop(), stream)
            if self._ratio > 1:
                self.fill()
            return None
        pending = self.breakers.pending_requests
        if not pending.can_create:
            self.cluster.stats.upstream_rq_pending_overflow.inc()
            stream.on_pool_failure(OVERFLOW, "", None)
            self._forget_if_empty()
            return None
        waiting = WaitingStream(self, stream, self._reactor.now)
        stats = self.cluster.stats
        stats.upstream_rq_pending_total.value += 1
        stats.upstream_rq_pending_active.value += 1
        self.host.counters.rq_pending_active += 1
        pending.take()
        self.pending.append(waiting)
        self.fill()
        return waiting if self.pending and self.pending[-1] is waiting else None  # a connection may be up at once

    def cancel(self, waiting: WaitingStream) -> None:
        """A stream does not want to wait any longer, if it still does."""
        if waiting in self.pending:
            self.pending.remove(waiting)
            self._count_no_longer_pending()
            self.cluster.stats.upstream_rq_cancelled.inc()

    def fill(self) -> None:
        """Make the connections that are missing, a few at most."""
        for _ in range(MOST_AT_ONCE):
            if not self._wants_another(self._ratio) or not self._open():
                return

    def fill_ahead(self) -> bool:
        """Make a connection for a request that will probably come. Whether there was anything to do, and it could be done."""
        is_made = self._wants_another(self.cluster.ratios.predictive, anticipated=1) and self._open()
        self._forget_if_empty()
        return is_made

    def drain(self) -> None:
        """Give up all connections that there are, busy ones after their response."""
        for client in list(self.clients):
            if client.state is CONNECTING:
                if not self.pending:
                    client.give_up_connecting()
                client.is_leaving = True
            else:
                client.drain()

    # -- from the connections --------------------------------------------------------------------------------------

    def on_up(self, client: Http1Client) -> None:
        """Connected: for whoever waits the longest."""
        self.connecting -= 1
        self._put_idle(client)
        self._serve()
        if client.is_leaving:
            client.drain()

    def on_idle(self, client: Http1Client) -> None:
        """A stream has given it back."""
        self._put_idle(client)
        if self.pending and not self._will_serve:
            self._will_serve = True
            self._reactor.defer(self._serve_later)

    def on_over(self, client: Http1Client, was: ClientState, remote: bool) -> None:
        """Closed. If it never came up, nobody waits any longer."""
        del self.clients[client]
        if was is CONNECTING:
            self.connecting -= 1
            if not client.unwanted:
                self._fail_all(client.failure(remote), client.connection.transport_failure_reason)
        elif client in self.idle:
            self.idle.remove(client)
        if self.pending:  # a limit may have been in the way
            self.fill()
        self._forget_if_empty()

    # -- streams ---------------------------------------------------------------------------------------------------

    def _may_begin(self, stream: Stream) -> bool:
        if self.breakers.requests.can_create:
            return True
        self.stats.upstream_rq_active_overflow.inc()
        stream.on_pool_failure(OVERFLOW, "", self.host)
        return False

    def _attach(self, client: Http1Client, stream: Stream) -> None:
        is_last = client.served + 1 == self._max_requests
        if is_last:
            self.cluster.stats.upstream_cx_max_requests.inc()
        client.attach(stream, is_last)

    def _serve(self) -> None:
        while self.pending and self.idle:
            waiting = self.pending.popleft()
            self._count_no_longer_pending()
            if self._may_begin(waiting.stream):
                self._attach(self.idle.pop(), waiting.stream)

    def _serve_later(self) -> None:
        self._will_serve = False
        self._serve()

    def _fail_all(self, reason: ResetReason, text: str) -> None:
        waiting, self.pending = self.pending, deque()
        for one in waiting:
            self._count_no_longer_pending()
            self.cluster.stats.upstream_rq_pending_failure_eject.inc()
            one.stream.on_pool_failure(reason, text, self.host)

    def _count_no_longer_pending(self) -> None:
        self.cluster.stats.upstream_rq_pending_active.dec()
        self.host.counters.rq_pending_active -= 1
        self.breakers.pending_requests.give_back()

    # -- connections -----------------------------------------------------------------------------------------------

    def _wants_another(self, ratio: float, anticipated: int = 0) -> bool:
        """Nothing is made in advance for a host that is ill or comes last."""
        if ratio <= 1 or not self.host.is_healthy:
            return len(self.pending) > self.connecting
        active = len(self.clients) - self.connecting - len(self.idle)
        return wants_another(len(self.pending), active, self.connecting + len(self.idle), ratio, anticipated)

    def _open(self) -> bool:
        """One more connection, unless a limit is reached. False: no more now."""
        limit = self.cluster.host_limit
        may_create = self.breakers.connections.can_create and (limit is None or not limit.is_reached(self.host))
        if not may_create:
            self.cluster.stats.upstream_cx_overflow.inc()
            if self.clients:
                return False
        self.connecting += 1
        try:
            client = self._opener.open(self)
        except OSError as error:
            self.connecting -= 1
            self.cluster.stats.upstream_cx_connect_fail.inc()
            self._fail_all(LOCAL_CONNECTION_FAILURE, f"socket creation failure: {sockets.describe(error.errno)}")
            self._forget_if_empty()
            return False
        return may_create and client.connection.fd >= 0

    def _forget_if_empty(self) -> None:
        """Pools that were made for one client, or one server name, must not stay behind when it is gone."""
        if self.pending or self.clients:
            return
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._opener.forget(self)

    def _put_idle(self, client: Http1Client) -> None:
        client.idle_since = self._reactor.now
        self.idle.append(client)
        if self._idle_timer is None and self.idle_timeout:
            self._idle_timer = self._reactor.after(self.idle_timeout, self._on_idle_timer)

    def _on_idle_timer(self) -> None:
        """One timer for all, set for the one that is idle the longest: no request touches it."""
        self._idle_timer = None
        due = self._reactor.now - self.idle_timeout
        for client in [one for one in self.idle if one.idle_since <= due]:
            self.cluster.stats.upstream_cx_idle_timeout.inc()
            client.close("idle_timeout of common_http_protocol_options", how="timeout")
        if self.idle:
            oldest = self.idle[0].idle_since + self.idle_timeout
            self._idle_timer = self._reactor.timers.at(oldest, self._on_idle_timer)
