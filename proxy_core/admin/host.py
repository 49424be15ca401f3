"""What the admin needs of the server that it looks into, as protocols: the admin stands below the server and
never imports it.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence

from ..config.load import Loaded
from ..config.model.access_log import AccessLog as AccessLogConfig
from ..config.model.route import RouteConfiguration
from ..errors import Problem
from ..event.reactor import Reactor
from ..listener.context import ListenerContext
from ..listener.listener import Listener
from ..listener.manager import ListenerManager
from ..network.table import ConnectionTable
from ..observe.access_log.logger import AccessLog
from ..observe.access_log.sink import SinkCache
from ..observe.stats import StatsStore
from ..upstream.manager import ClusterManager


class OptionsView(Protocol):
    """The command line."""

    @property
    def drain_time_s(self) -> int:
        """Seconds that a graceful drain takes."""

    @property
    def service_node(self) -> str:
        """--service-node, "" if not given."""

    @property
    def service_cluster(self) -> str:
        """--service-cluster, "" if not given."""

    def to_json(self) -> Dict[str, Any]:
        """As in /server_info."""


class RuntimeView(Protocol):
    """Runtime values."""

    def get(self, key: str) -> Any:
        """The value of a key, None if it has none."""

    def modify(self, values: Dict[str, str]) -> bool:
        """Set keys of the admin layer, "" deletes; False if there is none."""

    def entries(self) -> Dict[str, Any]:
        """What /runtime prints."""


class AccessLogsView(Protocol):
    """Access loggers and their files."""

    @property
    def sinks(self) -> SinkCache:
        """The open destinations."""

    def build(
        self, configs: Sequence[AccessLogConfig], path: str, problems: List[Problem]
    ) -> List[AccessLog]:
        """The loggers of one `access_log` list."""


class StaticRoutesView(Protocol):
    """A table of the configuration."""

    config: RouteConfiguration
    updated_at: float


class DynamicRoutesView(Protocol):
    """A discovered table."""

    config: Optional[RouteConfiguration]
    version: str
    updated_at: float


class RoutesView(Protocol):
    """All tables: `xds.rds.RouteConfigs`."""

    is_used: bool

    def static_routes(self) -> Sequence[StaticRoutesView]:
        """Those of the configuration."""

    def dynamic_routes(self) -> Sequence[DynamicRoutesView]:
        """Those that are discovered and have an answer."""


class AdminHost(Protocol):
    """The server."""

    @property
    def options(self) -> OptionsView:
        """The command line."""

    @property
    def loaded(self) -> Loaded:
        """The configuration."""

    @property
    def context(self) -> ListenerContext:
        """What listeners are given."""

    @property
    def reactor(self) -> Reactor:
        """The loop."""

    @property
    def random(self) -> random.Random:
        """The source of chance."""

    @property
    def stats(self) -> StatsStore:
        """All stats."""

    @property
    def clusters(self) -> ClusterManager:
        """All clusters."""

    @property
    def listeners(self) -> ListenerManager:
        """All listeners but the admin's."""

    @property
    def route_configs(self) -> RoutesView:
        """The route tables of connection managers."""

    @property
    def admin(self) -> Optional[Listener]:
        """The admin's own listener."""

    @property
    def table(self) -> ConnectionTable:
        """All connections."""

    @property
    def runtime(self) -> RuntimeView:
        """Runtime values."""

    @property
    def access_logs(self) -> AccessLogsView:
        """Access loggers."""

    @property
    def wall_clock(self) -> Callable[[], float]:
        """Seconds since the epoch."""

    @property
    def started_at(self) -> float:
        """When the server was made, in the reactor's seconds."""

    @property
    def loaded_wall(self) -> float:
        """When `loaded` was loaded, in seconds since the epoch: at the start, or by the last reload."""

    def state(self) -> str:
        """LIVE, DRAINING or PRE_INITIALIZING."""

    def set_health_failed(self, failed: bool) -> None:
        """Fail or restore the health check."""

    def certificates(self) -> List[Dict[str, Any]]:
        """The entries of /certs, one per TLS context that has certificates; [] without TLS."""

    def quit(self) -> None:
        """Leave the loop after this turn."""
