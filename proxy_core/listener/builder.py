"""From a listener's configuration to a listener that is ready to bind: its chains, its matcher, its limits,
its stats.

Chains are prepared one by one and can be kept: an update that leaves a chain as it was uses the prepared one
again, so its connections, and what its filters count, go on.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..config.model.listener import FilterChain as FilterChainConfig
from ..config.model.listener import FilterChainMatch
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..filters.fault_point import is_down
from ..network.address import Address, address_of
from ..network.settings import DEFAULT_BUFFER_LIMIT, ConnectionSettings
from ..observe.stat_names import ListenerStats
from ..observe.stats import Scope
from . import filter_chain, listener_filters
from .chain_match import ChainMatcher
from .context import ListenerContext
from .drain import DrainManager
from .filter_chain import FilterChain
from .lists import Entry, Origin
from .listener import Listener


class Source(NamedTuple):
    """Where a configuration comes from, and the version of the update that has it ("" in a bootstrap)."""

    origin: Origin
    version_info: str = ""


class BuiltChains(NamedTuple):
    """The prepared chains of a listener, and what finds the right one."""

    chains: List[FilterChain]
    matcher: ChainMatcher[FilterChain]


class ListenerBuilder:
    """drain_time in seconds; gradual: the drain strategy."""

    def __init__(self, context: ListenerContext, drain_time: float, gradual: bool) -> None:
        self._context = context
        self.wall_clock = context.wall_clock
        self._drain_time = drain_time
        self._gradual = gradual

    def build(self, name: str, config: ListenerConfig, path: str, source: Source) -> Entry:
        """A new listener; nothing is bound. Raises ConfigError with every problem in it."""
        problems: List[Problem] = []
        context = self._context
        drain = DrainManager(self._drain_time, self._gradual, context.random)
        addresses = addresses_of(config)
        prefix = f"listener.{config.stat_prefix or addresses[0].text}"
        scope = context.stats.scope(prefix)
        chains = self._chains(config, path, drain, scope, {}, problems)
        access_logs: List[Any] = context.access_logs.build(config.access_log, f"{path}.access_log", problems)
        filters = listener_filters.prepare(config, context, drain, path, scope, problems)
        if problems:
            raise ConfigError(problems)
        listener = Listener(
            name, config, addresses, chains.matcher, context, self._settings(config), ListenerStats(scope),
            drain, access_logs, filters,
        )
        listener.take_down(is_down([one.factories for one in chains.chains], lambda point: point.enabled))
        return Entry(
            listener, chains.chains, drain, source.origin, source.version_info, self.wall_clock(),
            scope.prefix,
        )

    def rebuild_chains(self, entry: Entry, config: ListenerConfig, path: str) -> BuiltChains:
        """The chains of an entry under a new configuration; those that did not change are the same objects.
        Raises ConfigError."""
        problems: List[Problem] = []
        kept = {_text(chain.config): chain for chain in entry.chains}
        scope = self._context.stats.scope(entry.stat_prefix)
        chains = self._chains(config, path, entry.drain, scope, kept, problems)
        if problems:
            for chain in chains.chains:
                if chain not in entry.chains:
                    chain.drain.detach()
            raise ConfigError(problems)
        return chains

    def _chains(
        self, config: ListenerConfig, path: str, drain: DrainManager, scope: Scope,
        kept: Dict[str, FilterChain], problems: List[Problem],
    ) -> BuiltChains:
        pairs: List[Tuple[Optional[FilterChainMatch], FilterChain]] = []
        chains: List[FilterChain] = []

        def prepared(one: FilterChainConfig, where: str) -> Optional[FilterChain]:
            chain = kept.get(_text(one)) if kept else None
            if chain is None:
                own = drain.child()
                try:
                    chain = filter_chain.prepare(one, self._context, own, where, scope)
                except ConfigError as error:
                    own.detach()
                    problems.extend(error.problems)
                    return None
            chains.append(chain)
            return chain

        for index, one in enumerate(config.filter_chains):
            chain = prepared(one, f"{path}.filter_chains[{index}]")
            if chain is not None:
                pairs.append((one.filter_chain_match, chain))
        default = None
        if config.default_filter_chain is not None:
            default = prepared(config.default_filter_chain, f"{path}.default_filter_chain")
        return BuiltChains(chains, ChainMatcher(pairs, default))

    def _settings(self, config: ListenerConfig) -> ConnectionSettings:
        limit = config.per_connection_buffer_limit_bytes
        return dataclasses.replace(
            self._context.settings,
            buffer_limit=DEFAULT_BUFFER_LIMIT if limit is None else limit,
            high_watermark_timeout=config.per_connection_buffer_high_watermark_timeout or 0.0,
        )


def addresses_of(config: ListenerConfig) -> List[Address]:
    """The listener's addresses, the first one first."""
    assert config.address is not None
    more = [extra.address for extra in config.additional_addresses if extra.address is not None]
    return [address_of(one) for one in [config.address, *more]]


def left_out(old: Sequence[FilterChain], new: Sequence[FilterChain]) -> List[FilterChain]:
    """The chains of `old` that are not in `new`."""
    kept = set(map(id, new))
    return [chain for chain in old if id(chain) not in kept]


def _text(config: FilterChainConfig) -> str:
    """Two chains are the same if their messages are, as a whole."""
    return json.dumps(config.to_json(), sort_keys=True)
