"""The cluster manager: clusters by name. Mirrors `Upstream::ClusterManagerImpl`."""

from __future__ import annotations

import random
from typing import Dict, List, Optional

from ..config.model.cluster import Cluster as ClusterConfig
from ..network.settings import ConnectionSettings
from ..observe.stat_names import ClusterManagerStats
from ..observe.stats import StatsStore
from .cluster import Cluster, settings_for


class ClusterManager:
    """All clusters of the process."""

    def __init__(
        self, store: StatsStore, base_settings: ConnectionSettings, rng: Optional[random.Random] = None
    ) -> None:
        self._store = store
        self._base_settings = base_settings
        self._random = rng if rng is not None else random.Random()
        self._clusters: Dict[str, Cluster] = {}
        self.stats = ClusterManagerStats(
            store.scope("cluster_manager"),
            [store.scope(f"thread_local_cluster_manager.{thread}") for thread in ("main_thread", "worker_0")],
        )
        self.stats.warming_clusters.set(0)

    def add(self, config: ClusterConfig) -> Cluster:
        """Bring a cluster up. Its name must be new: `config.check` has refused duplicates."""
        assert config.name not in self._clusters
        scope = self._store.scope(f"cluster.{config.alt_stat_name or config.name}")
        cluster = Cluster(config, scope, settings_for(config, self._base_settings), self._random)
        self._clusters[config.name] = cluster
        self.stats.cluster_added.inc()
        self.stats.active_clusters.set(len(self._clusters))
        for inflated in self.stats.inflated:
            inflated.set(len(self._clusters))
        return cluster

    def get(self, name: str) -> Optional[Cluster]:
        """The cluster of that name, None if there is none."""
        return self._clusters.get(name)

    def clusters(self) -> List[Cluster]:
        """All clusters by name: the order of /clusters and /config_dump."""
        return [self._clusters[name] for name in sorted(self._clusters)]
