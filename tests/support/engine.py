"""Listeners and clusters from a configuration, in this process, on a reactor that a test turns by hand.

What `server.server.Server` builds, less the admin, the log files and the signals: the far ends are real sockets on port 0, the
time is simulated, and access-log lines are kept in a list.
"""

from __future__ import annotations

import logging
import random
import selectors
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Sequence

from proxy_core.config.load import decode_bootstrap
from proxy_core.event.file_watch import FileWatcher
from proxy_core.event.reactor import Reactor
from proxy_core.filters.api import FilterFactory
from proxy_core.http.services import HttpServices
from proxy_core.listener.context import ListenerContext
from proxy_core.listener.descriptors import DescriptorGuard
from proxy_core.listener.limits import ProcessLimit
from proxy_core.listener.listener import Listener
from proxy_core.listener.manager import ListenerManager
from proxy_core.network.close import NO_FLUSH
from proxy_core.network.connection import Connection
from proxy_core.network.table import ConnectionTable
from proxy_core.observe.certificates import CertificateStore
from proxy_core.observe.stats import StatsStore
from proxy_core.server.access_logs import AccessLogs
from proxy_core.server.extensions import Extensions
from proxy_core.server.runtime import Runtime, connection_settings
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.discovery.factory import Discoveries
from proxy_core.upstream.http_pool import HttpPools
from proxy_core.upstream.manager import ClusterManager
from proxy_core.upstream.monitoring import Monitors
from proxy_core.upstream.tcp_pool import TcpPool
from proxy_core.upstream.transport import UpstreamTransports
from proxy_core.xds.secrets import SecretManager
from tests.support.peers import Peer, Server, connect, turn_until

Json = Dict[str, Any]
TYPE = "type.googleapis.com/envoy.extensions."


def address(port: int = 0, ip: str = "127.0.0.1") -> Json:
    """A socket address as JSON."""
    return {"socket_address": {"address": ip, "port_value": port}}


def pipe(path: str) -> Json:
    """A Unix socket's address as JSON."""
    return {"pipe": {"path": path}}


def network_filter(name: str, **config: Any) -> Json:
    """One entry of a filter chain, by the name of its package: "echo", "tcp_proxy", "direct_response"."""
    message = {
        "echo": "Echo", "tcp_proxy": "TcpProxy", "direct_response": "Config", "local_ratelimit": "LocalRateLimit",
        "connection_limit": "ConnectionLimit", "sni_cluster": "SniCluster", "set_filter_state": "Config",
        "tcp_bandwidth_limit": "TcpBandwidthLimit",
    }[name]
    return {"name": name, "typed_config": {"@type": f"{TYPE}filters.network.{name}.v3.{message}", **config}}


def access_log(text: str) -> Json:
    """An access logger whose lines, each with its type in front, are found in `Engine.lines`."""
    config = {"@type": f"{TYPE}access_loggers.file.v3.FileAccessLog", "path": "/dev/null"}
    line = {"text_format_source": {"inline_string": f"%ACCESS_LOG_TYPE% {text}\n"}}
    return {"name": "log", "typed_config": {**config, "log_format": line}}


def listener(*filters: Json, name: str = "main", **fields: Any) -> Json:
    """A listener on a free port with one filter chain."""
    return {"name": name, "address": address(), "filter_chains": [{"filters": list(filters)}], **fields}


def cluster(*addresses: Json, name: str = "c", **fields: Any) -> Json:
    """A STATIC cluster with one endpoint per address."""
    members = [{"endpoint": {"address": one}} for one in addresses]
    return {
        "name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]},
        **fields,
    }


def bootstrap(listeners: Sequence[Json], clusters: Sequence[Json] = (), runtime: Optional[Json] = None) -> Json:
    """A whole configuration."""
    layers = [{"name": "static", "static_layer": runtime or {}}]
    return {
        "static_resources": {"listeners": list(listeners), "clusters": list(clusters)},
        "layered_runtime": {"layers": layers},
    }


class KeptLines:
    """A sink and a cache of sinks in one: every line of every access log, in order."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line.rstrip("\n"))

    def file(self, path: str) -> KeptLines:
        return self


class StaticRouteTables:
    """`HttpServices.route_configs` without discovery."""

    def static(self, config: Any, table: Any) -> Any:
        return SimpleNamespace(table=table)


class Engine:
    """See the module docstring. `limit`: the process-wide limit of downstream connections. `discoveries`: makes what finds
    hosts, where clusters are not all STATIC. selector: None for the system's."""

    def __init__(
        self, config: Json, seed: int = 1, limit: int = 1000, drain_time: float = 600.0, gradual: bool = False,
        discoveries: Optional[Callable[[Reactor], Discoveries]] = None,
        selector: Optional[selectors.BaseSelector] = None,
    ) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.peers: List[Peer] = []
        self.stalls: List[str] = []
        self.reactor = Reactor(self.clock, selector, self.errors.append)
        self.stats = StatsStore(self.clock)
        self.table = ConnectionTable()
        self.extensions = Extensions()
        loaded = decode_bootstrap(config, self.extensions.types(), False, self.extensions.is_terminal)
        resources = loaded.bootstrap.static_resources
        assert resources is not None
        runtime = Runtime(loaded.bootstrap.layered_runtime)
        settings = connection_settings(runtime)
        settings.on_stall = lambda connection, stall: self.stalls.append(stall.filter)
        self.watcher = FileWatcher(self.reactor, wall_clock=self.clock)
        secrets = SecretManager(
            resources.secrets, self.extensions.types(), self.stats, self.reactor, self.watcher, self.clock
        )
        transports = UpstreamTransports(self.extensions.upstream_transports, CertificateStore(), secrets)
        sinks: Any = KeptLines()
        monitors = Monitors(self.reactor, self.table, sinks, random.Random(seed), self.clock, runtime.integer)
        self.clusters = ClusterManager(
            self.stats, settings, transports=transports, monitors=monitors,
            discoveries=discoveries(self.reactor) if discoveries is not None else None,
        )
        self.process_limit = ProcessLimit(limit, "test")
        self.lines = sinks.lines
        logs = AccessLogs(self.extensions.access_logs, sinks, self.reactor, self.clock, random.Random(seed))
        self.log_records: List[str] = []
        self.descriptors = DescriptorGuard(
            self.reactor, _kept_logger(self.log_records), self.stats.scope("proxy_core").counter("descriptors_exhausted")
        )
        pool = TcpPool(self.reactor, self.table)
        self.http_pools = HttpPools(pool, self.reactor, self.table)
        self.context = ListenerContext(
            self.reactor, self.stats, self.table, self.extensions.filters, self.extensions.transports,
            self.extensions.listener_filters, settings, self.process_limit, self.descriptors, self.clusters, pool,
            logs, runtime, random.Random(seed), self.clock, transports.certificates, secrets,
            HttpServices(self.extensions.http_filters, self.clock, self.http_pools, StaticRouteTables()),
        )
        for index, one in enumerate(resources.clusters):
            self.clusters.add(one, f"static_resources.clusters[{index}]")
        self.listeners = ListenerManager(self.context, drain_time, gradual)
        for index, each in enumerate(resources.listeners):
            self.listeners.add(each, f"static_resources.listeners[{index}]")

    def start(self) -> Engine:
        """Bind and accept."""
        self.listeners.bind()
        self.clusters.start(lambda: None)  # here nobody waits for the first health checks
        self.listeners.start()
        return self

    def put_in_front(self, factory: FilterFactory, name: str = "main") -> None:
        """A filter of the test's own, first in the listener's chain."""
        chain = self.listener(name)._matcher.unconditional
        assert chain is not None
        chain.factories.insert(0, factory)

    # -- the far ends ----------------------------------------------------------------------------------------------

    def listener(self, name: str = "main") -> Listener:
        """A listener by its name."""
        return next(one for one in self.listeners.listeners if one.name == name)

    def port(self, name: str = "main") -> int:
        """Where a listener listens."""
        return self.listener(name).local_addresses()[0].port

    def client(self, name: str = "main", source: str = "127.0.0.1") -> Peer:
        """A client that has connected; the engine has not accepted it yet."""
        return self.own(connect(self.port(name), source))

    def own(self, peer: Peer) -> Peer:
        """Pump this far end from now on, and close it at the end."""
        self.peers.append(peer)
        return peer

    def accepted(self, server: Server) -> Peer:
        """The next connection that the engine makes to `server`."""
        found: List[Peer] = []

        def one() -> bool:
            peer = server.try_accept()
            if peer is not None:
                found.append(self.own(peer))
            return bool(found)
        self.until(one)
        return found[0]

    # -- time ------------------------------------------------------------------------------------------------------

    def turn(self, count: int = 1) -> None:
        """Turn without waiting."""
        for _ in range(count):
            self.reactor.turn(0)
            self.pump()

    def pump(self) -> None:
        """Let every far end move what it can."""
        for peer in self.peers:
            peer.pump()

    def until(self, true: Callable[[], Any]) -> None:
        """Turn until something holds; a test that waits for what never comes fails."""
        turn_until(self.reactor, self.peers, true)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass, and the engine notice."""
        self.clock.advance(seconds)
        self.turn(2)

    # -- facts -----------------------------------------------------------------------------------------------------

    def value(self, name: str) -> int:
        """A counter or gauge by its full name."""
        stat = self.stats.find(name)
        assert stat is not None, f"there is no stat {name}"
        return int(stat.value)  # type: ignore[union-attr, arg-type]

    @property
    def live(self) -> List[Connection]:
        """The connections that are not over."""
        return self.table.live()

    def close(self) -> None:
        """Close everything; nothing may be left counted."""
        for one in self.listeners.listeners:
            one.stop_listening()
        self.clusters.close()
        for connection in self.live:
            connection.close(NO_FLUSH, "test over")
        self.reactor.turn(0)
        for peer in self.peers:
            peer.close()
        self.context.pool.close()
        self.descriptors.close()
        self.reactor.close()


def _kept_logger(records: List[str]) -> logging.Logger:
    class Keep(logging.Handler):
        """Keeps the text of every record."""

        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())
    logger = logging.Logger("test")
    logger.addHandler(Keep())
    return logger
