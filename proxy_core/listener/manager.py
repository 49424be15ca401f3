"""The listener manager: builds listeners from the configuration, binds and starts them, stops and drains them.
Mirrors `Server::ListenerManagerImpl`.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import List

from ..config.model.listener import FilterChain as FilterChainConfig
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..network.address import Address, address_of
from ..network.settings import DEFAULT_BUFFER_LIMIT
from ..observe.stat_names import ListenerManagerStats, ListenerStats
from ..observe.stats import Scope
from . import chain_match, filter_chain, listener_filters
from .chain_match import ChainMatcher
from .context import ListenerContext
from .drain import DrainManager
from .filter_chain import FilterChain
from .listener import Listener
from .listener_filters import PreparedListenerFilter

INBOUND = "INBOUND"


class ListenerManager:
    """All listeners but the admin's."""

    def __init__(self, context: ListenerContext, drain_time: float, gradual: bool) -> None:
        self._context = context
        self._drain_time = drain_time
        self._gradual = gradual
        self.listeners: List[Listener] = []
        self.stats = ListenerManagerStats(context.stats.scope("listener_manager"))

    def add(self, config: ListenerConfig, path: str) -> None:
        """Prepare a listener. Raises ConfigError with every problem in it."""
        problems = _unsupported(config, path)
        drain = DrainManager(self._drain_time, self._gradual, self._context.random)
        assert config.address is not None
        addresses = [address_of(config.address)]
        addresses += [address_of(extra.address) for extra in config.additional_addresses if extra.address is not None]
        scope = self._context.stats.scope(f"listener.{config.stat_prefix or addresses[0].text}")
        chains: List[FilterChain] = []
        for index, chain in enumerate(config.filter_chains):
            self._prepare(chain, drain, f"{path}.filter_chains[{index}]", scope, chains, problems)
        default: List[FilterChain] = []
        if config.default_filter_chain is not None:
            where = f"{path}.default_filter_chain"
            self._prepare(config.default_filter_chain, drain, where, scope, default, problems)
        access_logs = self._context.access_logs.build(config.access_log, f"{path}.access_log", problems)
        filters = listener_filters.prepare(config, self._context, drain, path, scope, problems)
        if problems:
            raise ConfigError(problems)
        matcher = ChainMatcher(chains[0] if chains else None, default[0] if default else None)
        self._add(config, addresses, matcher, drain, scope, access_logs, filters)

    def _add(
        self, config: ListenerConfig, addresses: List[Address], matcher: ChainMatcher, drain: DrainManager,
        scope: Scope, access_logs: List[object], filters: List[PreparedListenerFilter],
    ) -> None:
        context = self._context
        limit = config.per_connection_buffer_limit_bytes
        settings = dataclasses.replace(
            context.settings,
            buffer_limit=DEFAULT_BUFFER_LIMIT if limit is None else limit,
            high_watermark_timeout=config.per_connection_buffer_high_watermark_timeout or 0.0,
        )
        stats = ListenerStats(scope)
        name = config.name or str(uuid.uuid4())
        self.listeners.append(
            Listener(name, config, addresses, matcher, context, settings, stats, drain, access_logs, filters)
        )
        self.stats.listener_added.inc()
        self.stats.total_listeners_active.set(len(self.listeners))

    def _prepare(
        self, config: FilterChainConfig, drain: DrainManager, path: str, scope: Scope, into: List[FilterChain],
        problems: List[Problem],
    ) -> None:
        try:
            into.append(filter_chain.prepare(config, self._context, drain, path, scope))
        except ConfigError as error:
            problems.extend(error.problems)

    def bind(self) -> None:
        """Open every listening socket. Raises BindError for the first that fails."""
        for listener in self.listeners:
            try:
                listener.bind()
            except Exception:
                self.stats.listener_create_failure.inc()
                raise

    def start(self) -> None:
        """Accept on all of them."""
        for listener in self.listeners:
            listener.start()
            self.stats.listener_create_success.inc()
        self.stats.workers_started.set(1)

    def stop_listening(self, inbound_only: bool = False) -> None:
        """Refuse new connections; existing ones are asked to leave if they take part in draining."""
        for listener in self._selected(inbound_only):
            if listener.stop_listening():
                self.stats.listener_stopped.inc()

    def drain(self, inbound_only: bool = False, at_once: bool = False) -> None:
        """Ask connections to leave, without closing the listening sockets."""
        for listener in self._selected(inbound_only):
            listener.drain.start(at_once)

    def on_health_check(self, failed: bool) -> None:
        """`/healthcheck/fail` and `/ok`: connections of listeners with drain_type DEFAULT leave at once, or may stay."""
        for listener in self.listeners:
            if listener.config.drain_type == "DEFAULT":
                if failed:
                    listener.drain.start(at_once=True)
                else:
                    listener.drain.stop()

    def _selected(self, inbound_only: bool) -> List[Listener]:
        return [
            listener for listener in self.listeners
            if not inbound_only or listener.config.traffic_direction == INBOUND
        ]


def _unsupported(config: ListenerConfig, path: str) -> List[Problem]:
    """What this listener asks for that is not there yet."""
    found = chain_match.problems(config, path)
    if len(config.filter_chains) > 1 and not found:
        found.append(Problem(f"{path}.filter_chains", "several filter chains are not supported by proxy_core yet"))
    return found
