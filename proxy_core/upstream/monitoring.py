"""Who watches the hosts of a cluster: its health checks and its outlier detection, joined. What they find out goes into the
hosts' flags, and from there to the balancer; this is where Envoy's `ClusterImplBase` and `ClusterManagerImpl` listen to both.

    prepare      all that can be wrong with the configuration is found; nothing runs
    attach       to the cluster; from now on it says who its members are
    start        the first round of checks; `on_ready` when each host has had a result
    close        no timer, no connection and no flag's owner is left

Changes of health reach the balancer at the end of the loop's turn, one time for all that changed in it. Envoy may wait for
`update_merge_window`, because it has to tell other threads; here nothing is gained by sending traffic to a host that is known
to be ill.
"""

from __future__ import annotations

import random
from typing import Callable, List, Optional, Sequence, Tuple

from ..config.model.bootstrap import ClusterManager as ClusterManagerConfig
from ..config.model.cluster import Cluster as ClusterConfig
from ..errors import ConfigError, Problem
from ..event.reactor import Reactor
from ..network.table import ConnectionTable
from ..observe.access_log.sink import Sink
from ..observe.log import component_logger
from ..observe.stats import Scope
from .cluster import Cluster
from .event_log import Sinks, open_log
from .health.checker import Checked, HealthChecker
from .health.intervals import Intervals, RuntimeInteger, no_runtime
from .health.plan import Plan, make_plan
from .health.probe import Environment
from .host import FAILED_ACTIVE_HC, PENDING_DYNAMIC_REMOVAL, Host
from .host_failure import close_connections
from .outlier.detector import OutlierDetector
from .outlier.events import EventLog
from .outlier.settings import Settings
from .outlier.stats import OutlierStats

_log = component_logger("upstream")


class Monitors:
    """Makes the monitors of all clusters. What they need of the server:

    table: gives connection ids, and knows the connections that may have to be closed. sinks: where event logs are opened.
    runtime: a whole number by its key, or None. wall_clock: seconds since the epoch.
    """

    def __init__(
        self, reactor: Reactor, table: ConnectionTable, sinks: Sinks, rng: random.Random, wall_clock: Callable[[], float],
        runtime: RuntimeInteger = no_runtime,
    ) -> None:
        self.reactor = reactor
        self.table = table
        self.wall_clock = wall_clock
        self.random = rng
        self.runtime = runtime
        self._sinks = sinks
        self._outlier_sink: Optional[Sink] = None

    def open_outlier_log(self, config: Optional[ClusterManagerConfig]) -> None:
        """The event log of all clusters' ejections, if the bootstrap's `cluster_manager` has one. Raises ConfigError."""
        detection = config.outlier_detection if config is not None else None
        if detection is not None and detection.event_log_path:
            path = "cluster_manager.outlier_detection.event_log_path"
            self._outlier_sink = open_log(self._sinks, detection.event_log_path, path)

    def prepare(self, config: ClusterConfig, scope: Scope, path: str) -> Optional[ClusterMonitor]:
        """The monitor of one cluster; None if nobody is to watch its hosts. scope: the cluster's stats; path: of the cluster.
        Raises ConfigError with all problems."""
        if not config.health_checks and config.outlier_detection is None:
            return None
        return ClusterMonitor(self, config, scope, self._plans(config, scope, path))

    @property
    def outlier_log(self) -> EventLog:
        """Where ejections are told."""
        return EventLog(self._outlier_sink, lambda: self.reactor.now, self.wall_clock)

    def _plans(self, config: ClusterConfig, scope: Scope, path: str) -> List[Plan]:
        plans: List[Plan] = []
        problems: List[Problem] = []
        for index, check in enumerate(config.health_checks):
            intervals = Intervals(check, self.random, self.runtime)
            where = f"{path}.health_checks[{index}]"
            try:
                plans.append(make_plan(
                    config, check, scope.scope("health_check"), intervals, self._sinks, self.wall_clock, where
                ))
            except ConfigError as error:
                problems.extend(error.problems)
        if problems:
            raise ConfigError(problems)
        return plans


class ClusterMonitor:
    """`cluster.Monitor`. See the module docstring."""

    def __init__(self, monitors: Monitors, config: ClusterConfig, scope: Scope, plans: Sequence[Plan]) -> None:
        self._monitors = monitors
        self._config = config
        self._scope = scope
        self._plans = plans
        self._cluster: Optional[Cluster] = None
        self._checker: Optional[HealthChecker] = None
        self._detector: Optional[OutlierDetector] = None
        self._on_ready: Optional[Callable[[], None]] = None
        self._refresh_due = False

    def attach(self, cluster: Cluster) -> None:
        """Watch this cluster's members from now on."""
        monitors, config = self._monitors, self._config
        self._cluster = cluster
        if self._plans:
            environment = Environment(monitors.reactor, monitors.table, cluster, monitors.wall_clock)
            common = config.common_lb_config
            new_hosts_wait = common is not None and common.ignore_new_hosts_until_first_hc
            scope = self._scope.scope("health_check")
            self._checker = HealthChecker(self._plans, environment, scope, self._on_checked, new_hosts_wait)
        if config.outlier_detection is not None:
            self._detector = OutlierDetector(
                config.name, Settings(config.outlier_detection, monitors.runtime, monitors.random), monitors.reactor,
                OutlierStats(self._scope.scope("outlier_detection")), monitors.outlier_log, self._on_ejection,
            )

    def on_members(self, added: Sequence[Host], removed: Sequence[Host]) -> None:
        """The cluster's members are others now. Flags of new hosts are set before this returns."""
        for watcher in (self._checker, self._detector):
            if watcher is not None:
                watcher.remove(removed)
                watcher.add(added)
        self._tell_if_ready()

    def start(self, on_ready: Callable[[], None]) -> None:
        """Begin. on_ready: called once, when every host has had its first result; at once if there is nothing to wait for."""
        self._on_ready = on_ready
        if self._detector is not None:
            self._detector.start()
        if self._checker is not None:
            self._checker.start()
        self._tell_if_ready()

    def fail(self, host: Host) -> None:
        """See `monitor.Monitor`."""
        if self._checker is not None:
            self._checker.fail(host)

    def close(self) -> None:
        """The cluster is gone."""
        self._on_ready = None
        if self._checker is not None:
            self._checker.close()
        if self._detector is not None:
            self._detector.close()
        self._cluster = None

    def outlier_rates(self) -> Optional[Sequence[Tuple[float, float]]]:
        """(average, ejection threshold) of the success rates at the last tick: of answers, of local origin; None without outlier
        detection. -1 stands for none."""
        return self._detector.rates if self._detector is not None else None

    def _on_checked(self, checked: Checked) -> None:
        host, cluster = checked.host, self._cluster
        if cluster is None:
            return
        healthy = not host.flags & FAILED_ACTIVE_HC
        if checked.became_healthy:
            host.last_hc_pass_time = self._monitors.reactor.now
        if checked.became_healthy or checked.became_unhealthy:
            _log.info("health checks: %s of '%s' is %s", host.address, cluster.name, "healthy" if healthy else "unhealthy")
        if checked.passed and healthy and self._detector is not None:
            self._detector.on_health_check_passed(host)
        if checked.changed:
            self._want_refresh()
        if checked.became_unhealthy:
            self._host_failed(host)
            if host.flags & PENDING_DYNAMIC_REMOVAL:
                cluster.discovery.release(host)
        self._tell_if_ready()

    def _on_ejection(self, host: Host, ejected: bool) -> None:
        cluster = self._cluster
        if cluster is None:
            return
        _log.info("outlier detection: %s of '%s' is %s", host.address, cluster.name, "ejected" if ejected else "back")
        self._want_refresh()
        if ejected:
            self._host_failed(host)

    def _host_failed(self, host: Host) -> None:
        if self._cluster is not None:
            self._cluster.drain([host])
        if self._config.close_connections_on_host_health_failure:
            close_connections(self._monitors.table, host)

    def _want_refresh(self) -> None:
        if not self._refresh_due:
            self._refresh_due = True
            self._monitors.reactor.defer(self._refresh)

    def _refresh(self) -> None:
        if self._refresh_due:
            self._refresh_due = False
            if self._cluster is not None:
                self._cluster.refresh()

    def _tell_if_ready(self) -> None:
        if self._on_ready is not None and (self._checker is None or self._checker.is_ready):
            on_ready, self._on_ready = self._on_ready, None
            self._refresh()
            on_ready()
