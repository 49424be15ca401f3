"""Everything that is decided once per configured connection manager and read by its connections and streams.

Place in the data's way: `extensions.network.http_connection_manager` fills it from the configuration.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Callable, Dict, Final, List, Mapping, Optional, Sequence

from ...network.settings import ByteCounters, ConnectionSettings
from ...observe.stat_names_http import HttpListenerStats
from ..date import DateHeader
from ..route_api import RouteSource
from ..settings import Http1Settings
from .chain import FilterChain
from .hosts import HostRules
from .local_reply import LocalReplies
from .path import PathRules
from .request_rules import RequestRules
from .stats import ManagerStats

# `server_header_transformation`.
OVERWRITE: Final = "OVERWRITE"
APPEND_IF_ABSENT: Final = "APPEND_IF_ABSENT"
PASS_THROUGH: Final = "PASS_THROUGH"


@dataclasses.dataclass
class ManagerTimeouts:
    """Seconds; 0.0 = none. duration_jitter: share of max_connection_duration that is added at most, 0.5 for 50 %.

    configured: for each of these that the configuration sets, where it does; the others have their default.
    """

    idle: float = 3600.0
    stream_idle: float = 300.0
    request: float = 0.0
    request_headers: float = 0.0
    max_stream_duration: float = 0.0
    max_connection_duration: float = 0.0
    duration_jitter: float = 0.0
    drain: float = 5.0
    drain_jitter: float = 0.0
    delayed_close: float = 1.0
    log_interval: float = 0.0
    configured: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        of_streams = (
            self.stream_idle, self.request, self.request_headers, self.max_stream_duration, self.log_interval,
        )
        # Of those that a new stream brings along: no stream's timer can be due before this has passed.
        self.shortest_of_stream = min([one for one in of_streams if one], default=0.0)


class UpgradeChoice:
    """One of `upgrade_configs`. chain: filters of its own, None for those of all requests."""

    __slots__ = ("enabled", "chain")

    def __init__(self, enabled: bool, chain: Optional[FilterChain]) -> None:
        self.enabled = enabled
        self.chain = chain


@dataclasses.dataclass
class Basics:
    """What of a manager's settings stands in the configuration as it is. server_name and via: header values. max_requests: of
    one connection, 0 for any number."""

    stat_prefix: str
    server_name: str = "envoy"
    server_transformation: str = OVERWRITE
    via: str = ""
    always_set_request_id: bool = False
    proxy_100_continue: bool = False
    default_host: str = ""
    max_requests: int = 0
    keeps_after_bad_request: bool = False
    log_on_new_request: bool = False
    log_on_tunnel: bool = False


class ManagerSettings:
    """See the module docstring. upgrades: by lower-case type. drain: the `listener.drain.DrainManager` of the filter chain."""

    def __init__(
        self, basics: Basics, codec: Http1Settings, timeouts: ManagerTimeouts, stats: ManagerStats,
        listener_stats: Sequence[HttpListenerStats], routes: RouteSource, chain: FilterChain,
        upgrades: Dict[str, UpgradeChoice], rules: RequestRules, paths: PathRules, local_replies: LocalReplies,
        access_logs: Sequence[Any], wall_clock: Callable[[], float], rng: random.Random, drain: Any,
        hosts: Optional[HostRules] = None,
    ) -> None:
        self.stat_prefix = basics.stat_prefix
        self.server_name = basics.server_name
        self.server_transformation = basics.server_transformation
        self.via = basics.via
        self.always_set_request_id = basics.always_set_request_id
        self.proxy_100_continue = basics.proxy_100_continue
        self.default_host = basics.default_host
        self.max_requests = basics.max_requests
        self.keeps_after_bad_request = basics.keeps_after_bad_request
        self.log_on_new_request = basics.log_on_new_request
        self.log_on_tunnel = basics.log_on_tunnel
        self.codec = codec
        self.timeouts = timeouts
        self.stats = stats
        self.counters = ByteCounters(stats.downstream_cx_rx_bytes_total, stats.downstream_cx_tx_bytes_total)
        self.routes = routes
        self.chain = chain
        self.upgrades = upgrades
        self.rules = rules
        self.paths = paths
        self.local_replies = local_replies
        self.access_logs = access_logs
        self.hosts = hosts
        self.wall_clock = wall_clock
        self.date = DateHeader(wall_clock)
        self.random = rng
        self.drain = drain
        self._listener_stats: List[HttpListenerStats] = list(listener_stats)
        self._settings: Optional[ConnectionSettings] = None
        self._own_settings: Optional[ConnectionSettings] = None

    def connection_settings(self, settings: ConnectionSettings) -> ConnectionSettings:
        """The settings of a connection, with this manager's `delayed_close_timeout`. The connections of a listener share one
        object, and so they do here."""
        if self._settings is not settings or self._own_settings is None:
            self._settings = settings
            self._own_settings = dataclasses.replace(settings, delayed_close_timeout=self.timeouts.delayed_close)
        return self._own_settings

    def connection_duration(self) -> float:
        """How long one connection may live, jitter included; 0 for any time."""
        return self.timeouts.max_connection_duration * (1 + self.timeouts.duration_jitter * self.random.random())

    def drain_time(self) -> float:
        """How long one connection drains, jitter included."""
        return self.timeouts.drain * (1 + self.timeouts.drain_jitter * self.random.random())

    def count_response(self, status: int, health_check: bool) -> None:
        """A response, interim ones too, is on its way."""
        if health_check:
            return
        place = status // 100
        place = place - 1 if 0 < place < 6 else 4
        self.stats.by_class[place].value += 1
        self.stats.downstream_rq_completed.value += 1
        for listener in self._listener_stats:
            listener.by_class[place].value += 1
            listener.downstream_rq_completed.value += 1
