"""The composition root: a decoded bootstrap becomes clusters, listeners and an admin, on one reactor.

The only module that knows every layer. Making a `Server` checks and prepares everything and binds nothing; `start` binds;
`lifecycle.run` turns the loop until the end.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..admin.server import build_admin
from ..config.load import Loaded
from ..config.model.bootstrap import Bootstrap, DownstreamConnectionsConfig
from ..errors import ConfigError, Problem
from ..event.background import Background
from ..event.file_watch import FileWatcher
from ..event.reactor import Reactor
from ..event.wakeup import Wakeup
from ..listener.binding import BindError
from ..http.services import HttpServices
from ..listener.context import ListenerContext
from ..listener.descriptors import DescriptorGuard
from ..listener.limits import ProcessLimit, limit_from_open_files
from ..listener.listener import Listener
from ..listener.manager import ListenerManager
from ..network.connection import Connection
from ..network.settings import ConnectionSettings, Stall
from ..network.table import ConnectionTable, expose_buffered
from ..observe.access_log.sink import SinkCache
from ..observe.certificates import CertificateStore
from ..observe.escape import one_line
from ..observe.log import component_logger, conn_tag
from ..observe.stat_names import FilesystemStats
from ..observe.stat_names_server import NO_CERTIFICATE_DAYS, RuntimeStats, ServerStats, declare_process_stats
from ..observe.stats import StatsStore
from ..upstream.balancer import Surroundings
from ..upstream.discovery.factory import Discoveries
from ..upstream.manager import ClusterManager
from ..upstream.monitoring import Monitors
from ..upstream.http_pool import HttpPools
from ..upstream.resolver import LookUp, Resolver, system_look_up
from ..upstream.tcp_pool import TcpPool
from ..upstream.transport import UpstreamTransports
from ..xds.eds import EndpointSubscriptions
from ..xds.files import ResourceFiles
from ..xds.rds import RouteConfigs
from ..xds.secrets import SecretManager
from .access_logs import AccessLogs, UnopenedSinks
from .dynamic import DynamicResources, Watched
from .extensions import Extensions
from .options import GRADUAL, VALIDATE, Options
from .runtime import Runtime, connection_settings

GLOBAL_LIMIT_KEY = "overload.global_downstream_max_connections"

LIVE = "LIVE"
DRAINING = "DRAINING"
PRE_INITIALIZING = "PRE_INITIALIZING"  # clusters wait for their hosts; Envoy's INITIALIZING is too short to be seen here
# The numbers of server.state.
STATE_NUMBERS = {LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2}


class Server:
    """Everything of one proxy process. Raises ConfigError with all problems that building it finds."""

    def __init__(
        self,
        loaded: Loaded,
        options: Options,
        extensions: Extensions,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        rng: Optional[random.Random] = None,
        look_up: LookUp = system_look_up,
    ) -> None:
        """look_up: how names are looked up, for tests."""
        self.loaded = loaded
        self.options = options
        self.log = component_logger("main")
        self.reactor = Reactor(clock, report=self._report)
        self.wakeup = Wakeup()
        self.wall_clock = wall_clock
        self.started_at = self.reactor.now
        self.loaded_wall = wall_clock()
        self.health_failed = self.running = False
        self.failure: Optional[BindError] = None  # why it ends by itself
        self.random = rng if rng is not None else random.Random()
        bootstrap = loaded.bootstrap
        self.stats = StatsStore(lambda: self.reactor.now, bootstrap.stats_flush_interval or 5.0)
        self.runtime = Runtime(bootstrap.layered_runtime, RuntimeStats(self.stats.scope("runtime")))
        self.table = ConnectionTable()
        self._own = self.stats.scope("proxy_core")
        self._handler_exceptions = self._own.counter("handler_exceptions")
        self._stalls = self._own.counter("filter_chain_stalled")
        self.server_stats = ServerStats(
            self.stats.scope("server"), lambda: int(self.reactor.clock() - self.started_at), self._downstream_connections
        )
        declare_process_stats(self.stats)
        self.access_logs = self._access_logs(extensions)
        settings = connection_settings(self.runtime)
        settings.on_stall = self._on_stall
        self.file_watcher = FileWatcher(self.reactor, wall_clock=wall_clock)
        self.secrets = self._secrets(bootstrap, extensions)
        transports = UpstreamTransports(extensions.upstream_transports, CertificateStore(), self.secrets)
        sinks = self.access_logs.sinks
        self.monitors = Monitors(self.reactor, self.table, sinks, self.random, wall_clock, self.runtime.integer)
        self.resolving = Background(self.wakeup.post, name="resolver")
        self.decoding = Background(self.wakeup.post, 1, name="decoder")
        self._look_up = look_up
        self.clusters = self._cluster_manager(bootstrap, extensions, settings, transports)
        self.process_limit = process_limit(bootstrap, self.runtime)
        exhausted = self._own.counter("descriptors_exhausted")
        self.descriptors = DescriptorGuard(self.reactor, component_logger("conn_handler"), exhausted)
        self.pool = TcpPool(self.reactor, self.table)
        self.route_configs = RouteConfigs(self._resource_files(extensions))
        self.context = self._listener_context(extensions, settings, transports)
        self.stats.scope("server").computed("days_until_first_cert_expiring", self._days_until_first_expiry)
        self.listeners = ListenerManager(self.context, float(options.drain_time_s), options.drain_strategy == GRADUAL)
        self.admin: Optional[Listener] = None
        self.dynamic: Optional[DynamicResources] = None
        try:
            self._build(bootstrap, extensions)
        except Exception:
            self.close()
            raise

    def _secrets(self, bootstrap: Bootstrap, extensions: Extensions) -> SecretManager:
        static = bootstrap.static_resources.secrets if bootstrap.static_resources is not None else ()
        return SecretManager(
            static, extensions.types(), self.stats, self.reactor, self.file_watcher, self.wall_clock
        )

    def _surroundings(self, bootstrap: Bootstrap) -> Surroundings:
        here = bootstrap.node.locality if bootstrap.node is not None else None
        place = (here.region, here.zone, here.sub_zone) if here is not None else ("", "", "")
        part_of = bootstrap.cluster_manager.local_cluster_name if bootstrap.cluster_manager is not None else ""
        return Surroundings(self.random, lambda: self.reactor.now, self.runtime.get, place, part_of)

    def _listener_context(
        self, extensions: Extensions, settings: ConnectionSettings, transports: UpstreamTransports
    ) -> ListenerContext:
        return ListenerContext(
            self.reactor, self.stats, self.table, extensions.filters, extensions.transports,
            extensions.listener_filters, settings,
            self.process_limit, self.descriptors, self.clusters, self.pool, self.access_logs,
            self.runtime, self.random, self.wall_clock, transports.certificates, self.secrets,
            self._http_services(extensions),
        )

    def _http_services(self, extensions: Extensions) -> HttpServices:
        node = self.loaded.bootstrap.node
        return HttpServices(
            extensions.http_filters, self.wall_clock, HttpPools(self.pool, self.reactor, self.table), self.route_configs,
            node.cluster if node is not None else "", node.id if node is not None else "", lambda: self.health_failed,
        )

    def _cluster_manager(
        self, bootstrap: Bootstrap, extensions: Extensions, settings: ConnectionSettings, transports: UpstreamTransports
    ) -> ClusterManager:
        return ClusterManager(
            self.stats, settings, self.random, transports, self._discoveries(extensions),
            self._surroundings(bootstrap), self.monitors,
        )

    def _discoveries(self, extensions: Extensions) -> Discoveries:
        resolver = Resolver(self.resolving, self._look_up)
        return Discoveries(self.reactor, resolver, self.random, EndpointSubscriptions(self._resource_files(extensions)))

    def _resource_files(self, extensions: Extensions) -> ResourceFiles:
        unknown_fields = self.stats.scope("server").counter("dynamic_unknown_fields")
        return ResourceFiles(
            extensions.types(), self.reactor, self.file_watcher, self.wall_clock, self.decoding, unknown_fields
        )

    def _access_logs(self, extensions: Extensions) -> AccessLogs:
        sinks = (UnopenedSinks if self.options.mode == VALIDATE else SinkCache)(
            self.reactor.after, FilesystemStats(self.stats.scope("filesystem")),
            self.options.file_flush_interval_msec / 1000, self.options.file_flush_min_size_kb * 1024,
        )
        return AccessLogs(extensions.access_logs, sinks, self.reactor, self.wall_clock, self.random, self.runtime.get)

    def _build(self, bootstrap: Bootstrap, extensions: Extensions) -> None:
        problems: List[Problem] = list(self.secrets.problems)
        try:
            self.monitors.open_outlier_log(bootstrap.cluster_manager)
        except ConfigError as error:
            problems.extend(error.problems)
        resources = bootstrap.static_resources
        for index, cluster in enumerate(resources.clusters if resources is not None else []):
            path = f"static_resources.clusters[{index}]"
            try:
                self.clusters.add(cluster, path)
            except ConfigError as error:
                problems.extend(error.problems)
        for index, listener in enumerate(resources.listeners if resources is not None else []):
            try:
                self.listeners.add(listener, f"static_resources.listeners[{index}]")
            except ConfigError as error:
                problems.extend(error.problems)
        if bootstrap.admin is not None and bootstrap.admin.address is not None:
            try:
                self.admin = build_admin(self, bootstrap.admin)
            except ConfigError as error:
                problems.extend(error.problems)
        try:
            self.dynamic = DynamicResources(
                bootstrap, self.listeners, self.clusters, Watched(extensions, self.stats, self._resource_files(extensions)),
                self.route_configs, self.on_resources_changed,
            )
        except ConfigError as error:
            problems.extend(error.problems)
        if problems:
            raise ConfigError(problems)
        self.on_resources_changed()

    def check_dynamic(self) -> List[Problem]:
        """What of the dynamic resources would be refused: warnings, since the proxy starts without them."""
        return self.dynamic.check() if self.dynamic is not None else []

    def on_resources_changed(self) -> None:
        """Listeners or clusters came or went."""
        expose_buffered(self.stats, self.table)

    # -- running ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind everything, then listen and accept: at once, unless a cluster has to wait for its hosts. Clients are
        refused until then, the admin's are not.

        Raises BindError; nothing is left bound then.
        """
        try:
            if self.admin is not None:
                self.admin.bind()
                self.admin.listen()
            self.listeners.bind()
        except Exception:
            self.stop_listening()
            raise
        self.reactor.watch(self.wakeup.fileno(), 1, self.wakeup)
        if self.admin is not None:
            self.admin.start()
        assert self.dynamic is not None
        self.server_stats.live.set(1)
        self.dynamic.start(self._listen, self._accept)
        if self.failure is not None:
            self.stop_listening()
            raise self.failure

    def _listen(self) -> bool:
        """The clusters are there. Somebody else may have begun to listen at an address since it was bound."""
        try:
            self.listeners.listen()
        except BindError as error:
            self.failure = error
            self.quit()
            return False
        return True

    def _accept(self) -> None:
        """Everything is there."""
        self.listeners.start()
        self.running = True
        self.server_stats.state.set(STATE_NUMBERS[self.state()])
        self.server_stats.initialization_time_ms.record((self.reactor.clock() - self.started_at) * 1000)

    def stop_listening(self) -> None:
        """Close every listening socket, the admin's too."""
        for listener in self.listeners.listeners:
            listener.stop_listening()
        if self.admin is not None:
            self.admin.stop_listening()

    def state(self) -> str:
        """Envoy's server state: LIVE, DRAINING (failed health check) or PRE_INITIALIZING."""
        if not self.running:
            return PRE_INITIALIZING
        return DRAINING if self.health_failed else LIVE

    def set_health_failed(self, failed: bool) -> None:
        """`/healthcheck/fail` and `/healthcheck/ok`."""
        self.health_failed = failed
        self.server_stats.live.set(0 if failed else 1)
        if self.running:  # before, Envoy does not refresh it
            self.server_stats.state.set(STATE_NUMBERS[self.state()])
        self.listeners.on_health_check(failed)

    def certificates(self) -> List[Dict[str, Any]]:
        """The entries of /certs: one per TLS context that has certificates."""
        return self.context.certificates.to_json(self.wall_clock())

    def _days_until_first_expiry(self) -> int:
        days = self.context.certificates.days_until_first_expiry(self.wall_clock())
        return NO_CERTIFICATE_DAYS if days is None else days

    def quit(self) -> None:
        """Leave the loop after this turn: `/quitquitquit` and signals."""
        self.reactor.stop()

    def close(self) -> None:
        """Give back every descriptor. Connections must be closed by then (`lifecycle.close_connections`)."""
        self.stop_listening()
        self.route_configs.close()
        self.file_watcher.close()
        self.access_logs.sinks.close()
        self.descriptors.close()
        self.clusters.close()
        self.resolving.close()
        self.decoding.close()
        self.pool.close()
        self.wakeup.close()
        self.reactor.close()

    def _downstream_connections(self) -> int:
        """Connections of the listeners, the admin's not counted."""
        return self.listeners.active_connections()

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _report(self, error: Exception) -> None:
        self._handler_exceptions.inc()
        self.log.error("exception in a handler: %s", error, exc_info=error)

    def _on_stall(self, connection: Connection, stall: Stall) -> None:
        self._stalls.inc()
        what = f"request {one_line(stall.request)}" if stall.request else "filter chain"
        component_logger("filter").warning(
            "%s %s is stalled: parked by '%s' for %.3fs, keeping %d bytes back, with no timer or pending call%s that "
            "could wake it", conn_tag(connection.id), what, stall.filter, connection.reactor.now - stall.since, stall.kept,
            " and no more bytes coming" if stall.more_may_come else " or more bytes",
        )


def process_limit(bootstrap: Bootstrap, runtime: Runtime) -> ProcessLimit:
    """The limit of downstream connections: configured, else from the open-file limit."""
    configured = _configured_limit(bootstrap, runtime)
    return ProcessLimit(*(configured if configured is not None else limit_from_open_files()))


def _configured_limit(bootstrap: Bootstrap, runtime: Runtime) -> Optional[Tuple[int, str]]:
    monitors = bootstrap.overload_manager.resource_monitors if bootstrap.overload_manager is not None else []
    for monitor in monitors:
        message = monitor.typed_config.message if monitor.typed_config is not None else None
        if isinstance(message, DownstreamConnectionsConfig):
            return message.max_active_downstream_connections, f"resource monitor {monitor.name}"
    limit = runtime.integer(GLOBAL_LIMIT_KEY)
    return None if limit is None else (limit, f"runtime key {GLOBAL_LIMIT_KEY}")
