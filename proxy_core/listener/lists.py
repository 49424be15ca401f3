"""The listeners of the process by state. Mirrors the lists of `ListenerManagerImpl`.

    WARMING -> ACTIVE      what its configuration needs is there; it replaces the active one of its name
    WARMING -> GONE        it could not be brought up, or was replaced before it was
    ACTIVE -> DRAINING     removed or replaced: it accepts nobody, its connections have the drain time to end
    DRAINING -> GONE       no connection is left

An update in place changes an active entry and no state.
"""

from __future__ import annotations

import enum
import socket
from typing import Dict, FrozenSet, Iterator, List, Optional

from ..config.model.listener import Listener as ListenerConfig
from ..errors import IllegalTransition
from ..network.address import Address
from ..observe.stat_names import ListenerManagerStats
from .drain import DrainManager
from .filter_chain import FilterChain
from .listener import Listener


class Origin(enum.Enum):
    """Where a listener's configuration comes from. Only the same source may change or remove it."""

    STATIC = "the bootstrap"
    LDS = "LDS"


class State(enum.Enum):
    """See the module docstring."""

    WARMING = "warming"
    ACTIVE = "active"
    DRAINING = "draining"
    GONE = "gone"


_NEXT: Dict[State, FrozenSet[State]] = {
    State.WARMING: frozenset({State.ACTIVE, State.GONE}),
    State.ACTIVE: frozenset({State.DRAINING}),
    State.DRAINING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}


class Entry:
    """A listener with what the manager knows of it.

    chains: its prepared filter chains, the default one too. version_info: of the update that brought it.
    updated_at: seconds since the epoch. stat_prefix: where its stats are.
    """

    __slots__ = (
        "listener", "chains", "drain", "origin", "version_info", "updated_at", "stat_prefix", "state",
    )

    def __init__(
        self, listener: Listener, chains: List[FilterChain], drain: DrainManager, origin: Origin,
        version_info: str, updated_at: float, stat_prefix: str,
    ) -> None:
        self.listener = listener
        self.chains = chains
        self.drain = drain
        self.origin = origin
        self.version_info = version_info
        self.updated_at = updated_at
        self.stat_prefix = stat_prefix
        self.state = State.WARMING

    @property
    def name(self) -> str:
        return self.listener.name

    @property
    def config(self) -> ListenerConfig:
        return self.listener.config

    def move_to(self, state: State) -> None:
        """Raises IllegalTransition for a step that the table does not have."""
        if state not in _NEXT[self.state]:
            raise IllegalTransition(f"listener '{self.name}': {self.state.value} -> {state.value}")
        self.state = state


class ListenerLists:
    """The entries that are not gone. Keeps the gauges of `listener_manager.`"""

    def __init__(self, stats: ListenerManagerStats) -> None:
        self._stats = stats
        self.active: Dict[str, Entry] = {}  # by name, in the order they came
        self.warming: List[Entry] = []
        self.draining: List[Entry] = []  # the latest first, as Envoy lists them
        self._by_address: Optional[Dict[str, Listener]] = None  # made when somebody asks

    def warm(self, entry: Entry) -> None:
        """A new entry."""
        self.warming.append(entry)
        self._stats.total_listeners_warming.set(len(self.warming))

    def give_up(self, entry: Entry) -> None:
        """A warming entry that will not be."""
        entry.move_to(State.GONE)
        self.warming.remove(entry)
        self._stats.total_listeners_warming.set(len(self.warming))

    def activate(self, entry: Entry) -> Optional[Entry]:
        """A warming entry goes into service, in the place of the active one of its name, which is returned:
        it drains."""
        entry.move_to(State.ACTIVE)
        self.warming.remove(entry)
        self._stats.total_listeners_warming.set(len(self.warming))
        old = self.active.get(entry.name)
        self.active[entry.name] = entry  # a replaced one leaves its place in the order
        if old is not None:
            self._drain(old)
        self._by_address = None
        self._stats.total_listeners_active.set(len(self.active))
        return old

    def retire(self, entry: Entry) -> None:
        """An active entry drains; nobody takes its place."""
        del self.active[entry.name]
        self._by_address = None
        self._drain(entry)
        self._stats.total_listeners_active.set(len(self.active))

    def _drain(self, entry: Entry) -> None:
        entry.move_to(State.DRAINING)
        self.draining.insert(0, entry)
        self._stats.total_listeners_draining.set(len(self.draining))

    def forget(self, entry: Entry) -> None:
        """A draining entry whose last connection is over."""
        entry.move_to(State.GONE)
        self.draining.remove(entry)
        self._stats.total_listeners_draining.set(len(self.draining))

    def listener_at(self, address: Address) -> Optional[Listener]:
        """The active listener for connections to `address`: the one that has this address, else one that has this port on all
        addresses. Mirrors `findActiveListenerByAddress`."""
        if self._by_address is None:
            self._by_address = {
                one.text: entry.listener for entry in self.active.values() for one in entry.listener.local_addresses()
            }
        exact = self._by_address.get(address.text)
        wildcard = f"[::]:{address.port}" if address.family == socket.AF_INET6 else f"0.0.0.0:{address.port}"
        return exact if exact is not None else self._by_address.get(wildcard)

    def __iter__(self) -> Iterator[Entry]:
        return iter([*self.active.values(), *self.warming, *self.draining])
