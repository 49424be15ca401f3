"""One update of the listeners: a batch of changes, each prepared and then made. Mirrors
`addOrUpdateListenerInternal`.

    NEW         a listener of a new name
    IN_PLACE    only filter chains differ: new connections get them, those of unchanged chains notice nothing
    FULL        anything else differs: a new listener takes the old one's place, and its sockets where it can

What can fail (building, binding) fails in `prepare`, before anything is different; `commit` can't. LDS
commits one change after the other, a reload of the bootstrap all or none. Listeners that leave in the same
update give their addresses to those that come, so that a listener can change its name and refuse nobody.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from typing import Collection, Dict, List, Optional

from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..filters.fault_point import is_down
from ..observe.log import component_logger
from ..observe.stat_names import ListenerManagerStats
from .binding import BindError
from .builder import BuiltChains, ListenerBuilder, Source, addresses_of, left_out
from .lists import Entry, ListenerLists, State
from .retirement import Retirement
from .takeover import Claim, Donors, Key, key_of

DUPLICATE = (
    "error adding listener: '{}' has duplicate address '{}' as existing listener, to check if the listener "
    "has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener"
)

_log = component_logger("config")


class Kind(enum.Enum):
    """See the module docstring."""

    NEW = "new"
    IN_PLACE = "in place"
    FULL = "full"


@dataclasses.dataclass
class Change:
    """A prepared change. entry: the new listener, or for IN_PLACE the one that stays. old: the one of that
    name until now."""

    kind: Kind
    config: ListenerConfig
    entry: Entry
    old: Optional[Entry]
    chains: Optional[BuiltChains] = None  # for IN_PLACE
    claims: List[Claim] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Parts:
    """What every batch works on."""

    lists: ListenerLists
    builder: ListenerBuilder
    retirement: Retirement
    stats: ListenerManagerStats
    is_listening: bool = False  # clients are not refused any more
    is_started: bool = False  # connections are accepted


class Batch:
    """The changes of one update.

    leaving: the active listeners that this update removes; they do so in `finish`. giving: active listeners
    that it replaces (FULL), if that is known before (a reload may move addresses around). binds: `prepare`
    opens sockets; False at the start.
    """

    def __init__(
        self, parts: Parts, leaving: Collection[Entry] = (), giving: Collection[Entry] = (),
        binds: bool = True,
    ) -> None:
        self._parts = parts
        self._leaving = list(leaving)
        self._replaced: List[Change] = []
        self._donors = Donors([*leaving, *giving])
        self._binds = binds
        self._owners: Dict[Key, Entry] = {}
        for entry in parts.lists.active.values() if binds else ():  # the bootstrap was checked as a whole
            self._own(entry)

    def _own(self, entry: Entry) -> None:
        self._owners.update((key_of(address), entry) for address in entry.listener.addresses)

    def prepare(self, config: ListenerConfig, path: str, source: Source, name: str = "") -> Optional[Change]:
        """Get ready to add or update a listener; None if there is nothing to do, or it is somebody else's.

        path: where the configuration stands. name: instead of a made-up one for a listener without a name.
        Raises ConfigError and BindError; nothing has changed then.
        """
        parts = self._parts
        name = config.name or name or str(uuid.uuid4())
        old = parts.lists.active.get(name)
        if old is not None and not _may_change(old, config, path, source):
            return None
        self._check_address(name, config, path)
        kind = kind_of(old.config if old is not None else None, config, parts.is_started)
        if kind is Kind.IN_PLACE:
            assert old is not None
            return Change(kind, config, old, old, parts.builder.rebuild_chains(old, config, path))
        change = Change(kind, config, parts.builder.build(name, config, path, source), old)
        if self._binds:
            self._bind(change)
        return change

    def _check_address(self, name: str, config: ListenerConfig, path: str) -> None:
        for address in addresses_of(config):
            owner = self._owners.get(key_of(address))
            if owner is None or owner.name == name or not (address.path or address.port):
                continue
            if owner.state is State.ACTIVE and owner not in self._donors:
                raise ConfigError([Problem(f"{path}.address", DUPLICATE.format(name, address.text))])

    def _bind(self, change: Change) -> None:
        if change.old is not None:
            self._donors.add(change.old)
        try:
            change.claims = self._donors.bind(change.entry.listener, self._parts.is_listening)
        except BindError as error:
            self._parts.stats.listener_create_failure.inc()
            _log.error("listener '%s' failed to bind or apply socket options: %s", change.entry.name, error)
            raise

    def discard(self, change: Change) -> None:
        """A prepared change that is not wanted after all."""
        self._donors.give_back(change.claims)
        if change.kind is not Kind.IN_PLACE:
            change.entry.listener.sockets.close()
            return
        assert change.chains is not None
        for chain in left_out(change.chains.chains, change.entry.chains):
            chain.drain.detach()

    def commit(self, change: Change) -> None:
        """Make a change."""
        if change.kind is Kind.IN_PLACE:
            self._commit_in_place(change)
        else:
            self._commit_listener(change)

    def _commit_in_place(self, change: Change) -> None:
        """Envoy keeps the version of the listener's first configuration; so does the entry here."""
        entry, chains, stats = change.entry, change.chains, self._parts.stats
        assert chains is not None
        gone = left_out(entry.chains, chains.chains)
        entry.listener.replace_chains(change.config, chains.matcher)
        entry.chains = chains.chains
        self._obey_faults(entry)
        entry.updated_at = self._parts.builder.wall_clock()
        stats.listener_modified.inc()
        stats.listener_in_place_updated.inc()
        stats.listener_create_success.inc()
        self._parts.retirement.chains(gone)

    def _obey_faults(self, entry: Entry) -> None:
        """New chains may be down when the old ones were not, or the other way round."""
        try:
            entry.listener.take_down(is_down([chain.factories for chain in entry.chains], lambda point: point.enabled))
        except BindError as error:
            _log.warning("listener '%s': %s", entry.name, error)

    def _commit_listener(self, change: Change) -> None:
        parts, listener = self._parts, change.entry.listener
        parts.lists.warm(change.entry)
        if change.old is not None:
            change.old.listener.sockets.pause()
            self._replaced.append(change)
        for claim in change.claims:
            claim.take()
        parts.lists.activate(change.entry)
        self._own(change.entry)
        if parts.is_started:
            listener.start()
            parts.stats.listener_create_success.inc()
        if change.old is None:
            parts.stats.listener_added.inc()
        else:
            parts.stats.listener_modified.inc()

    def finish(self) -> None:
        """All changes are made: listeners that leave and those that were replaced refuse from now on, and
        drain."""
        parts = self._parts
        for change in self._replaced:
            assert change.old is not None
            change.old.listener.sockets.accept_waiting()
            self._retire(change.old)
        for entry in self._leaving:
            entry.listener.sockets.accept_waiting()
            parts.lists.retire(entry)
            parts.stats.listener_removed.inc()
            self._retire(entry)
        self._replaced.clear()
        self._leaving.clear()

    def _retire(self, entry: Entry) -> None:
        entry.listener.sockets.close()
        if self._parts.is_started:
            self._parts.retirement.listener(entry)
        else:
            self._parts.lists.forget(entry)


def kind_of(old: Optional[ListenerConfig], new: ListenerConfig, is_started: bool) -> Kind:
    """What a changed configuration asks for. is_started: whether connections are accepted yet."""
    if old is None:
        return Kind.NEW
    if is_started and new.filter_chains and _without_chains(old) == _without_chains(new):
        return Kind.IN_PLACE
    return Kind.FULL


def _without_chains(config: ListenerConfig) -> ListenerConfig:
    return dataclasses.replace(config, filter_chains=[], default_filter_chain=None)


def _may_change(old: Entry, config: ListenerConfig, path: str, source: Source) -> bool:
    """Whether there is something to do. Raises ConfigError for what can't be changed."""
    if old.origin is not source.origin:
        origins = old.origin.value, source.origin.value
        _log.info("listener '%s' comes from %s, %s can't change it", old.name, *origins)
        return False
    if old.config == config:
        return False
    # Envoy's default is on, whatever the system makes of it.
    if (old.config.enable_reuse_port is False) != (config.enable_reuse_port is False):
        text = f"Listener {old.name}: reuse port cannot be changed during an update"
        raise ConfigError([Problem(f"{path}.enable_reuse_port", text)])
    return True
