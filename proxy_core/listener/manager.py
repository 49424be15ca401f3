"""The listener manager: all listeners but the admin's, from the start to their end. Mirrors
`Server::ListenerManagerImpl`.

    builder     a configuration becomes a listener          lists       which listeners there are, by state
    update      a batch of changes: prepared, then made     takeover    sockets that go to another listener
    retirement  what leaves drains, and ends

Here: the start, the two sources of changes (LDS, a reload of the bootstrap), and what an operator can do.
"""

from __future__ import annotations

from typing import Callable, Collection, Dict, List, NamedTuple, Optional

from ..config.model.listener import Listener as ListenerConfig
from ..observe.stat_names import ListenerManagerStats
from .binding import BindError
from .builder import ListenerBuilder, Source
from .context import ListenerContext
from .listener import Listener
from .lists import Entry, ListenerLists, Origin
from .retirement import Retirement
from .update import Batch, Change, Parts

INBOUND = "INBOUND"
STATIC = Source(Origin.STATIC)


class Failure(NamedTuple):
    """A configuration that was refused. raw: its JSON, as it came; at: seconds since the epoch."""

    name: str
    raw: Dict[str, object]
    details: str
    at: float


class ListenerManager:
    """drain_time in seconds (`--drain-time-s`); gradual: `--drain-strategy`."""

    def __init__(self, context: ListenerContext, drain_time: float, gradual: bool) -> None:
        self._drain_time = drain_time
        self.stats = ListenerManagerStats(context.stats.scope("listener_manager"))
        self.lists = ListenerLists(self.stats)
        context.listener_at = self.lists.listener_at
        self._retirement = Retirement(context, self.lists, self.stats, drain_time)
        builder = ListenerBuilder(context, drain_time, gradual)
        self._parts = Parts(self.lists, builder, self._retirement, self.stats)
        self._stopped = ""  # "ALL" or INBOUND once an operator stopped listeners of that direction
        self._asked_to_drain = ""  # the same for draining
        self._health_failed = False
        self.failures: List[Failure] = []  # what the last update by LDS refused, by name
        self.update_failures: List[Failure] = []  # all that was wrong with that update
        self.version_info = ""  # of the last LDS update

    @property
    def listeners(self) -> List[Listener]:
        """The active listeners."""
        return [entry.listener for entry in self.lists.active.values()]

    # -- the start -------------------------------------------------------------------------------------------

    def add(self, config: ListenerConfig, path: str) -> None:
        """Prepare a listener of the bootstrap. Of two with one name the second counts, as in Envoy. Raises
        ConfigError with every problem in it."""
        batch = Batch(self._parts, binds=False)
        change = batch.prepare(config, path, STATIC)
        if change is not None:
            batch.commit(change)
            batch.finish()

    def bind(self) -> None:
        """Open every listening socket that is not open; clients are refused. Raises BindError for the first that
        fails."""
        self._each(Listener.bind)

    def listen(self) -> None:
        """Refuse nobody any more. Raises BindError for the first that fails."""
        self._each(Listener.listen)
        self._parts.is_listening = True

    def _each(self, step: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            try:
                step(listener)
            except BindError:
                self.stats.listener_create_failure.inc()
                raise

    def start(self) -> None:
        """Listen, if that was not done before, and accept on all of them. Raises BindError."""
        self.listen()
        for listener in self.listeners:
            listener.start()
            self.stats.listener_create_success.inc()
        self._parts.is_started = True
        self.stats.workers_started.set(1)

    def check(self, config: ListenerConfig, path: str, source: Source) -> None:
        """Build a listener and throw it away. Raises ConfigError with every problem in it."""
        batch = Batch(self._parts, binds=False)
        change = batch.prepare(config, path, source)
        if change is not None:
            batch.discard(change)

    # -- changes ---------------------------------------------------------------------------------------------

    def begin(self, leaving: Collection[str], giving: Collection[str] = ()) -> Batch:
        """A batch of changes. leaving: names of active listeners that it removes; giving: of those that it
        replaces."""
        active = self.lists.active
        return Batch(self._parts, [active[name] for name in leaving], [active[name] for name in giving])

    def update(self, batch: Batch, config: ListenerConfig, path: str, source: Source, name: str = "") -> bool:
        """Add or change one listener; False if there was nothing to do. Raises ConfigError, BindError:
        nothing changed then."""
        change = self.prepare(batch, config, path, source, name)
        if change is None:
            return False
        self.commit(batch, change)
        return True

    def prepare(
        self, batch: Batch, config: ListenerConfig, path: str, source: Source, name: str = ""
    ) -> Optional[Change]:
        """As `Batch.prepare`; None also for a listener of a direction that an operator stopped, as in
        Envoy."""
        if self._stopped and _is_of(config, self._stopped):
            return None
        return batch.prepare(config, path, source, name)

    def commit(self, batch: Batch, change: Change) -> None:
        """As `Batch.commit`; a new listener drains if the others do."""
        batch.commit(change)
        self._catch_up(change.entry)

    def _is_asked_to_drain(self, entry: Entry) -> bool:
        return bool(self._asked_to_drain) and _is_of(entry.config, self._asked_to_drain)

    def _catch_up(self, entry: Entry) -> None:
        if self._is_asked_to_drain(entry) and not entry.drain.draining:
            entry.drain.start()
        if self._health_failed and entry.config.drain_type == "DEFAULT":
            entry.drain.start(at_once=True)

    def names(self, origin: Origin) -> List[str]:
        """The active listeners that came from there."""
        return [entry.name for entry in self.lists.active.values() if entry.origin is origin]

    # -- what an operator can do -----------------------------------------------------------------------------

    def stop_listening(self, inbound_only: bool = False, drain_time_left: Optional[float] = None) -> None:
        """Refuse new connections. Those that take part in draining are asked to leave by `drain`; the others
        are closed when they are silent, after `drain_time_left` seconds (default: the whole drain time)."""
        self._stopped = _more_of(self._stopped, inbound_only)
        delay = self._drain_time if drain_time_left is None else drain_time_left
        for entry in self._selected(inbound_only):
            entry.listener.sockets.accept_waiting()
            if entry.listener.stop_listening():
                self.stats.listener_stopped.inc()
                self._retirement.stopped(entry, delay)

    def drain(self, inbound_only: bool = False, at_once: bool = False) -> None:
        """Ask connections to leave, without closing the listening sockets."""
        self._asked_to_drain = _more_of(self._asked_to_drain, inbound_only)
        for entry in self._selected(inbound_only):
            entry.drain.start(at_once)

    def on_health_check(self, failed: bool) -> None:
        """`/healthcheck/fail` and `/ok`: connections of listeners with drain_type DEFAULT leave at once, or
        may stay."""
        self._health_failed = failed
        for entry in self.lists.active.values():
            if entry.config.drain_type == "DEFAULT":
                if failed:
                    entry.drain.start(at_once=True)
                elif not self._is_asked_to_drain(entry):
                    entry.drain.stop()

    def _selected(self, inbound_only: bool) -> List[Entry]:
        return [
            entry for entry in self.lists.active.values()
            if not inbound_only or entry.config.traffic_direction == INBOUND
        ]

    def active_connections(self) -> int:
        """Connections of all listeners, those that drain included."""
        return sum(entry.listener.active for entry in self.lists)


def _more_of(already: str, inbound_only: bool) -> str:
    return already or INBOUND if inbound_only else "ALL"


def _is_of(config: ListenerConfig, directions: str) -> bool:
    return directions == "ALL" or config.traffic_direction == directions
