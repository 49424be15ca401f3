"""What happens to listeners and filter chains that an update, a removal or `/drain_listeners` takes out of
service.

They accept nobody any more, the connections that take part in draining are asked to leave, and once the drain
time is over the others are closed (`departure`). Mirrors `drainListener`, `drainFilterChains` and
`DrainingFilterChainsManager`.

Runtime keys, for connections of listeners that `/drain_listeners` stopped (Envoy leaves plain TCP connections
alone for ever):

    proxy_core.drain_idle_timeout_ms  silence after which one is closed, once the drain time is over (60000)
    proxy_core.drain_most_ms          so long after the drain time it is closed, silent or not (3600000)

0 switches a bound off.
"""

from __future__ import annotations

import functools
import math
from typing import Callable, Dict, Final, List, Sequence

from ..network.connection import Connection
from ..observe.stat_names import ListenerManagerStats
from .context import ListenerContext
from .departure import QUIET, Departure, Plan
from .drain import SPREAD_OVER
from .filter_chain import FilterChain
from .lists import Entry, ListenerLists

# Envoy's (odd) words for a connection whose listener went, and for one whose filter chain went.
LISTENER_GONE: Final = "purging_socket_that_have_not_progressed_to_connections"
CHAIN_GONE: Final = "filter_chain_is_being_removed"

IDLE_KEY: Final = "proxy_core.drain_idle_timeout_ms"
MOST_KEY: Final = "proxy_core.drain_most_ms"
DEFAULT_IDLE_MS: Final = 60_000
DEFAULT_MOST_MS: Final = 3_600_000


class Retirement:
    """drain_time in seconds (`--drain-time-s`)."""

    def __init__(
        self, context: ListenerContext, lists: ListenerLists, stats: ListenerManagerStats, drain_time: float
    ) -> None:
        self._context = context
        self._lists = lists
        self._stats = stats
        self._drain_time = drain_time
        self._stopped: Dict[str, Departure] = {}  # of active listeners that /drain_listeners stopped, by name

    def listener(self, entry: Entry) -> None:
        """A whole listener, which is in the draining list by now. Its sockets are somebody else's matter."""
        self.cancel(entry)
        entry.drain.start()
        forget = functools.partial(self._forget, entry)
        self._depart(self._plan(), lambda: entry.chains, LISTENER_GONE, forget)

    def chains(self, chains: Sequence[FilterChain]) -> None:
        """Filter chains that an update in place left out."""
        self._stats.total_filter_chains_draining.inc(len(chains))
        for chain in chains:
            chain.drain.start()
        if chains:
            forget = functools.partial(self._forget_chains, chains)
            self._depart(self._plan(), lambda: chains, CHAIN_GONE, forget)

    def stopped(self, entry: Entry, delay: float) -> None:
        """An active listener that `/drain_listeners` stopped. delay: seconds until its drain time is over."""
        idle = self._seconds(IDLE_KEY, DEFAULT_IDLE_MS)
        most = self._seconds(MOST_KEY, DEFAULT_MOST_MS)
        if idle or most:
            plan = Plan(delay, idle or math.inf, self._drain_time * SPREAD_OVER, most or None)
            self.cancel(entry)
            self._stopped[entry.name] = self._depart(
                plan, lambda: entry.chains, "", functools.partial(self._stopped.pop, entry.name, None)
            )

    def cancel(self, entry: Entry) -> None:
        """Whatever `stopped` planned for the entry is off."""
        departure = self._stopped.pop(entry.name, None)
        if departure is not None:
            departure.cancel()

    def _plan(self) -> Plan:
        window = self._drain_time * SPREAD_OVER
        return Plan(self._drain_time, QUIET, window, window)

    def _depart(
        self, plan: Plan, chains: Callable[[], Sequence[FilterChain]], details: str,
        on_done: Callable[[], object],
    ) -> Departure:
        return Departure(
            self._context.reactor, lambda: self._connections(chains()), plan, details,
            f"--drain-time-s {self._drain_time:g}", on_done,
        )

    def _connections(self, chains: Sequence[FilterChain]) -> List[Connection]:
        owners = set(map(id, chains))
        return [one for one in self._context.table.live() if id(one.owner) in owners]

    def _forget(self, entry: Entry) -> None:
        entry.listener.close_before_chain()
        self._lists.forget(entry)
        if all(other.stat_prefix != entry.stat_prefix for other in self._lists):
            self._context.stats.remove_scope(entry.stat_prefix)

    def _forget_chains(self, chains: Sequence[FilterChain]) -> None:
        self._stats.total_filter_chains_draining.dec(len(chains))
        for chain in chains:
            chain.drain.detach()

    def _seconds(self, key: str, default_ms: int) -> float:
        milliseconds = self._context.runtime.integer(key)
        return max(0, default_ms if milliseconds is None else milliseconds) / 1000
