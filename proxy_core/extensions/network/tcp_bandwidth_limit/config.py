"""The configuration of tcp_bandwidth_limit and the factory of its filters."""

from __future__ import annotations

import dataclasses
from typing import Optional

from ....config.fields import Duration, Message, Nested, Report, String, UInt64, message, optional, plain
from ....config.model.core import RuntimeFeatureFlag
from ....filters.api import FilterFactory, FilterManager
from ....filters.registry import FactoryContext, NetworkExtension
from ...feature_flag import FeatureFlag
from .direction import Direction, make_stats
from .read import ReadLimiter
from .write import WriteLimiter

NAME = "envoy.filters.network.tcp_bandwidth_limit"
DEFAULT_FILL_INTERVAL = 0.05


@message("envoy.extensions.filters.network.tcp_bandwidth_limit.v3.TcpBandwidthLimit")
@dataclasses.dataclass(eq=False, repr=False)
class TcpBandwidthLimitConfig(Message):
    """How many KiB a second may be received and sent. A second's worth may pass at once."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named <stat_prefix>.tcp_bandwidth_limit.")
    read_limit_kbps: Optional[int] = optional(UInt64(), help="KiB/s from the client; 0 = nothing, default no limit.")
    write_limit_kbps: Optional[int] = optional(UInt64(), help="KiB/s to the client; 0 = nothing, default no limit.")
    fill_interval: Optional[float] = optional(
        Duration(gte=0.02), help="How often bytes that wait are looked at, 20 ms to 1 s; default 50 ms."
    )
    runtime_enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: enabled.")

    def check(self, report: Report) -> None:
        """The upper end of fill_interval's range, which is part of it."""
        if self.fill_interval is not None and self.fill_interval > 1:
            report("fill_interval", "value must be inside range [20ms, 1s]")


def build(config: TcpBandwidthLimitConfig, context: FactoryContext) -> FilterFactory:
    """The factory; the buckets belong to the configured filter, not to a connection."""
    scope = context.stats.scope(config.stat_prefix).scope("tcp_bandwidth_limit")
    flag = FeatureFlag(config.runtime_enabled, context.runtime)
    make_stats(scope)

    def direction(name: str, kib: Optional[int]) -> Optional[Direction]:
        interval = config.fill_interval or DEFAULT_FILL_INTERVAL
        return None if kib is None else Direction(name, kib * 1024, interval, flag, scope, context.reactor)
    read, write = direction("read", config.read_limit_kbps), direction("write", config.write_limit_kbps)

    def add(manager: FilterManager) -> None:
        if read is not None:
            manager.add_read_filter(ReadLimiter(read), NAME)
        if write is not None:
            manager.add_write_filter(WriteLimiter(write), NAME)
    return add


EXTENSION = NetworkExtension(TcpBandwidthLimitConfig, False, build)
