"""How many connections each host of a cluster may have (`per_host_thresholds`), and who waits for one of them to end.

Mirrors `HostImpl::canCreateConnection` and the pending requests of `ConnPoolImplBase`: a host without a connection may always
have one, also with a limit of 0, and whoever comes when the limit is reached waits for his turn. `max_pending_requests` bounds
how many may wait, and nothing but the client how long.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import Deque, Dict, Protocol

from ..event.reactor import Reactor
from .host import Host


class Waiting(Protocol):
    """Somebody who wants a connection."""

    def go_on(self) -> None:
        """Connect now."""


class HostLimit:
    """The limit of one cluster, for DEFAULT priority."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._queues: Dict[Host, Deque[Waiting]] = {}  # none is empty

    def is_reached(self, host: Host) -> bool:
        """Whether one more connection to `host` goes beyond the limit, also if it may be made all the same."""
        return host in self._queues or host.counters.cx_active >= self.limit

    def must_wait(self, host: Host) -> bool:
        """Whether one more connection to `host` is too many now, or others wait already."""
        return host in self._queues or not self._has_room(host)

    def add(self, host: Host, waiting: Waiting) -> None:
        """At the end of the queue for `host`."""
        self._queues.setdefault(host, deque()).append(waiting)

    def remove(self, host: Host, waiting: Waiting) -> None:
        """Somebody who is in the queue does not want to wait any longer."""
        queue = self._queues[host]
        queue.remove(waiting)
        if not queue:
            del self._queues[host]

    def on_connection_end(self, host: Host, reactor: Reactor) -> None:
        """A connection to `host` is over: who is next hears so at the end of this turn."""
        if host in self._queues:
            reactor.defer(functools.partial(self._serve, host))

    def _has_room(self, host: Host) -> bool:
        in_use = host.counters.cx_active
        return in_use < self.limit or not in_use

    def _serve(self, host: Host) -> None:
        while host in self._queues and self._has_room(host):
            first = self._queues[host][0]
            self.remove(host, first)
            first.go_on()
