"""connection_limit: how many connections of a filter chain may be open at a time. Mirrors
`envoy.filters.network.connection_limit`.

A connection over the limit is closed, at once or after `delay`. Until then it is parked: nothing behind this filter hears of it,
no upstream is dialled, and it keeps its place in the count, as in Envoy. Two things differ. What is counted down at the end is
exactly what was counted up, so a connection that never came this far, or came while the filter was switched off, does not
make the count wrong (in Envoy it wraps around, and every later connection is refused). And a parked client that leaves
gives its place back at once.
"""

from __future__ import annotations

import dataclasses
from typing import Optional

from ...buffer import Buffer
from ...config.fields import Duration, Message, Nested, String, UInt64, message, optional, plain
from ...config.model.core import RuntimeFeatureFlag
from ...filters.api import (
    CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterFactory, FilterManager, FilterStatus, ReadFilterCallbacks,
)
from ...filters.registry import FactoryContext, NetworkExtension
from ...network.close import NO_FLUSH
from ...observe.log import component_logger
from ..feature_flag import FeatureFlag
from .policy import PolicyFilter

NAME = "envoy.filters.network.connection_limit"
DETAILS = "over_connection_limit"

_log = component_logger("filter")


@message("envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit")
@dataclasses.dataclass(eq=False, repr=False)
class ConnectionLimitConfig(Message):
    """How many connections may be open at a time."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named connection_limit.<stat_prefix>.")
    max_connections: Optional[int] = optional(UInt64(gte=1), required=True)
    delay: Optional[float] = optional(Duration(), help="How long a connection over the limit is kept before it is closed.")
    runtime_enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: enabled.")


class Limit:
    """The count of one configured filter. `count` includes those that are parked to be refused."""

    def __init__(self, config: ConnectionLimitConfig, context: FactoryContext) -> None:
        assert config.max_connections is not None
        scope = context.stats.scope(f"connection_limit.{config.stat_prefix}")
        self.flag = FeatureFlag(config.runtime_enabled, context.runtime)
        self.most = config.max_connections
        self.delay = config.delay or 0.0
        self.count = 0
        self.setting = f"connection_limit {config.stat_prefix}: max_connections {self.most}"
        self._limited = scope.counter("limited_connections")
        self._active = scope.gauge("active_connections")  # of all filters with this prefix

    def enter(self) -> bool:
        """Count a connection; whether it is within the limit."""
        within = self.count < self.most
        self.count += 1
        self._active.inc()
        if not within:
            self._limited.inc()
        return within

    def leave(self) -> None:
        """A connection that entered is gone."""
        self.count -= 1
        self._active.dec()


class ConnectionLimit(PolicyFilter):
    """One connection's place in the count."""

    __slots__ = ("_limit", "_callbacks", "_counted", "_rejected")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._callbacks: ReadFilterCallbacks
        self._counted = False
        self._rejected = False

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep them, for the delay."""
        self._callbacks = callbacks
        self.connection = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """In, out, or out in a while."""
        limit = self._limit
        if not limit.flag.enabled:
            return CONTINUE
        self._counted = True
        if limit.enter():
            return CONTINUE
        self._rejected = True
        _log.debug("[C%d] over the limit: %s", self.connection.id, limit.setting)
        if limit.delay > 0:
            self._callbacks.schedule(limit.delay, self._refuse, "connection_limit's delay before it closes")
        else:
            self._refuse()
        return STOP_ITERATION

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Everything passes but what a refused client sends: that is dropped, and its end ends the wait."""
        if not self._rejected:
            return CONTINUE
        data.clear()
        if end_stream:
            self.connection.close(NO_FLUSH, how="FIN", config=self._limit.setting)
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Gone: give the place back, once."""
        if self._counted and event is not CONNECTED:
            self._counted = False
            self._limit.leave()

    def _refuse(self) -> None:
        self.refuse(DETAILS, self._limit.setting)


def build(config: ConnectionLimitConfig, context: FactoryContext) -> FilterFactory:
    """The factory; the count is shared by its connections."""
    limit = Limit(config, context)

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(ConnectionLimit(limit), NAME)
    return add


EXTENSION = NetworkExtension(ConnectionLimitConfig, False, build)
