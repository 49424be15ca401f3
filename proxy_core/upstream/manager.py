"""The cluster manager: clusters by name. Mirrors `Upstream::ClusterManagerImpl`.

    at the start    clusters of the bootstrap, then those of CDS: used at once, but nobody is accepted before
                    all of them have their first hosts (`initialization`)
    afterwards      a new or changed cluster warms: it gets its first hosts beside the one in use, then takes
                    its place

Connections keep the cluster they were made with. A cluster that was removed is found by nobody; its stats
stay as long as it has connections.
"""

from __future__ import annotations

import random
from typing import Callable, Dict, Final, List, NamedTuple, Optional

from ..config.model.cluster import Cluster as ClusterConfig
from ..errors import ConfigError, Problem
from ..network.settings import ConnectionSettings
from ..observe.log import component_logger
from ..observe.stat_names import ClusterManagerStats
from ..observe.stats import Scope, StatsStore
from .balancer import LocalHosts, Surroundings
from .cluster import Cluster, problems, settings_for
from .discovery import Discovery
from .discovery.factory import Discoveries
from .initialization import Initialization, when_all_complete
from .monitor import Monitor
from .monitoring import Monitors
from .transport import NewTransport, TransportMatches, UpstreamTransports

_log = component_logger("upstream")


class PreparedCluster(NamedTuple):
    """A cluster that can be committed. scope: its stats. discovery: None = its hosts are in the
    configuration. monitor: None = nobody watches them."""

    config: ClusterConfig
    scope: Scope
    new_transport: Optional[NewTransport]
    discovery: Optional[Discovery] = None
    monitor: Optional[Monitor] = None
    transport_matches: Optional[TransportMatches] = None


class Source(NamedTuple):
    """Where a cluster's configuration comes from. version_info: of the response; updated_at: seconds since
    the epoch."""

    is_dynamic: bool
    version_info: str = ""
    updated_at: float = 0.0


STATIC: Final = Source(False)


class Entry(NamedTuple):
    """A cluster, warming or in use."""

    cluster: Cluster
    source: Source


class ClusterManager:
    """All clusters of the process."""

    def __init__(
        self, store: StatsStore, base_settings: ConnectionSettings, rng: Optional[random.Random] = None,
        transports: Optional[UpstreamTransports] = None, discoveries: Optional[Discoveries] = None,
        surroundings: Optional[Surroundings] = None, monitors: Optional[Monitors] = None,
    ) -> None:
        """transports: None = clusters have no transport sockets. discoveries: None = all clusters are STATIC.
        surroundings: for balancers; None = only the random numbers. monitors: None = nobody watches the
        hosts."""
        self._store = store
        self._base_settings = base_settings
        chance = rng if rng is not None else random.Random()
        around = surroundings if surroundings is not None else Surroundings(chance)
        self._surroundings = around._replace(local=self._local)
        self._transports = transports
        self._discoveries = discoveries
        self._monitors = monitors
        self._clusters: Dict[str, Cluster] = {}  # those in use; looked at for each connection
        self.active: Dict[str, Entry] = {}
        self.warming: Dict[str, Entry] = {}
        self._leaving: Dict[str, Cluster] = {}  # removed, with connections; by their name in stats
        self.version_info = ""  # of the last CDS response that changed something
        self.initialization = Initialization()
        self.stats = ClusterManagerStats(
            store.scope("cluster_manager"),
            [store.scope(f"thread_local_cluster_manager.{thread}") for thread in ("main_thread", "worker_0")],
        )
        self.stats.warming_clusters.set(0)

    # -- coming and going
    # ------------------------------------------------------------------------------------------

    def add(self, config: ClusterConfig, path: str = "") -> Cluster:
        """Bring a cluster up. Raises ConfigError, with paths below `path`, if there is something in it that
        can't be used."""
        return self.commit(self.prepare(config, path))

    def prepare(self, config: ClusterConfig, path: str) -> PreparedCluster:
        """All that can fail about a cluster; nothing has changed yet. Raises ConfigError."""
        found = problems(config, path)
        assignment = config.load_assignment
        if config.name == self._surroundings.local_cluster and assignment is not None:
            if any(group.priority for group in assignment.endpoints):
                text = f"Unexpected non-zero priority for local cluster '{config.name}'"
                found.append(Problem(f"{path}.load_assignment", text))
        if found:
            raise ConfigError(found)
        scope = self._store.scope(f"cluster.{config.alt_stat_name or config.name}")
        new_transport, matches = None, None
        if self._transports is not None:
            where = f"{path}.transport_socket"
            new_transport = self._transports.prepare(config.transport_socket, scope, where)
            matches = self._transports.prepare_matches(
                config.transport_socket_matches, new_transport, scope, f"{path}.transport_socket_matches"
            )
        discovery = self._discoveries.prepare(config, scope, path) if self._discoveries is not None else None
        monitor = self._monitors.prepare(config, scope, path) if self._monitors is not None else None
        return PreparedCluster(config, scope, new_transport, discovery, monitor, matches)

    def commit(self, prepared: PreparedCluster, source: Source = STATIC) -> Cluster:
        """Add a cluster, or put it in the place of the one of its name: connections keep the cluster they
        were made with."""
        config = prepared.config
        (self.stats.cluster_modified if self.knows(config.name) else self.stats.cluster_added).inc()
        settings = settings_for(config, self._base_settings)
        cluster = Cluster(
            config, prepared.scope, settings, self._surroundings, prepared.new_transport, prepared.discovery,
            prepared.monitor, prepared.transport_matches,
        )
        cluster.on_connection_end = self._on_connection_end
        cluster.on_update = self.stats.cluster_updated.inc
        entry = Entry(cluster, source)
        if self.initialization.is_complete:
            self._warm(entry)
        else:
            self._activate(entry)
        return cluster

    def count_refused(self, name: str) -> None:
        """A cluster of that name could not be prepared. Envoy counts what was meant to be done with it all
        the same."""
        (self.stats.cluster_modified if self.knows(name) else self.stats.cluster_added).inc()

    def knows(self, name: str) -> bool:
        """Whether there is a cluster of that name, warming or in use."""
        return name in self.active or name in self.warming

    def entry(self, name: str) -> Optional[Entry]:
        """The newest version of a cluster: the one that warms, else the one in use."""
        return self.warming.get(name) or self.active.get(name)

    def remove(self, name: str) -> None:
        """Forget a cluster: there are no new connections to it. Those that there are go on."""
        for entry in (self.warming.pop(name, None), self.active.pop(name, None)):
            if entry is not None:
                entry.cluster.close()
                self._leaving[entry.cluster.observability_name] = entry.cluster
        self._clusters.pop(name, None)
        self.stats.cluster_removed.inc()
        self._count()
        self._forget_unused()

    # -- initialisation
    # --------------------------------------------------------------------------------------------

    def start(self, on_started: Callable[[], None]) -> None:
        """Let the clusters that there are look for their hosts. on_started: called when each has its first
        ones, or knows that there are none for now. May be called again when more clusters have come."""
        pending: List[Cluster] = []
        for entry in list(self.active.values()):
            cluster = entry.cluster
            if not cluster.is_started:
                cluster.start()
            if not cluster.initialization.is_complete and cluster.config.wait_for_warm_on_init is not False:
                pending.append(cluster)
        when_all_complete([cluster.initialization for cluster in pending], on_started)

    def close(self) -> None:
        """The process ends: no cluster looks for hosts any more."""
        for entry in [*self.active.values(), *self.warming.values()]:
            entry.cluster.close()

    def _warm(self, entry: Entry) -> None:
        cluster = entry.cluster
        old = self.warming.pop(cluster.name, None)
        if old is not None:
            old.cluster.close()
        self.warming[cluster.name] = entry
        cluster.stats.warming_state.set(1)
        self._count()
        if not cluster.is_started:
            cluster.start()
        cluster.initialization.when_complete(lambda: self._on_warm(entry))

    def _on_warm(self, entry: Entry) -> None:
        name = entry.cluster.name
        if self.warming.get(name) is entry:
            _log.debug("warming cluster %s complete", name)
            del self.warming[name]
            entry.cluster.stats.warming_state.set(0)
            self._activate(entry)

    def _activate(self, entry: Entry) -> None:
        name = entry.cluster.name
        old = self.active.get(name)
        self.active[name] = entry
        self._clusters[name] = entry.cluster
        self._leaving.pop(entry.cluster.observability_name, None)
        if old is not None:
            old.cluster.close()
        self._count()

    # -- stats
    # -----------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        self.stats.warming_clusters.set(len(self.warming))
        self.stats.active_clusters.set(len(self._clusters))
        for inflated in self.stats.inflated:
            inflated.set(len(self._clusters))

    def _on_connection_end(self) -> None:
        if self._leaving:
            self._forget_unused()

    def _forget_unused(self) -> None:
        """The stats of a removed cluster go with its last connection."""
        entries = [*self.active.values(), *self.warming.values()]
        in_use = {entry.cluster.observability_name for entry in entries}
        for name, cluster in list(self._leaving.items()):
            if name in in_use:
                del self._leaving[name]
            elif not cluster.stats.upstream_cx_active.value:
                del self._leaving[name]
                self._store.remove_scope(f"cluster.{name}")

    # -- looking up
    # ------------------------------------------------------------------------------------------------

    @property
    def zone(self) -> str:
        """Where this proxy runs; "" if nobody has said so."""
        return self._surroundings.locality[1]

    def get(self, name: str) -> Optional[Cluster]:
        """The cluster of that name, None if there is none."""
        return self._clusters.get(name)

    def _local(self) -> Optional[LocalHosts]:
        return self._clusters.get(self._surroundings.local_cluster)

    def static(self) -> List[Cluster]:
        """Those of the bootstrap, in use or warming, by name."""
        entries = {**self.active, **self.warming}
        return [entries[name].cluster for name in sorted(entries) if not entries[name].source.is_dynamic]

    def clusters(self) -> List[Cluster]:
        """All clusters by name: the order of /clusters and /config_dump."""
        return [self._clusters[name] for name in sorted(self._clusters)]
