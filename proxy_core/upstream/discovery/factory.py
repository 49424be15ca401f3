"""Which discovery a cluster has, and what these need of the server."""

from __future__ import annotations

import random
from typing import Optional

from ...config.model.cluster import Cluster as ClusterConfig
from ...errors import ConfigError, Problem
from ...event.reactor import Reactor
from ...observe.stats import Scope
from ..resolver import Resolver
from . import Discovery
from .eds import EdsDiscovery, Subscribe
from .logical_dns import LogicalDnsDiscovery
from .original_dst import OriginalDstDiscovery
from .strict_dns import StrictDnsDiscovery


class Discoveries:
    """Makes the discovery of each cluster. subscribe: the way to assignments; None = there are no EDS
    clusters."""

    def __init__(
        self, reactor: Reactor, resolver: Resolver, rng: random.Random, subscribe: Optional[Subscribe] = None
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._random = rng
        self._subscribe = subscribe

    def prepare(self, config: ClusterConfig, scope: Scope, path: str) -> Optional[Discovery]:
        """The discovery of a cluster that has passed `check.discovery_problems`; None for a STATIC one.

        scope: the cluster's stats. Raises ConfigError when there is no source to subscribe to.
        """
        kind = config.discovery_type
        if kind == "STRICT_DNS":
            return StrictDnsDiscovery(self._reactor, self._resolver, self._random)
        if kind == "LOGICAL_DNS":
            return LogicalDnsDiscovery(self._reactor, self._resolver, self._random)
        if kind == "ORIGINAL_DST":
            return OriginalDstDiscovery(self._reactor)
        return self._eds(config, scope, f"{path}.eds_cluster_config") if kind == "EDS" else None

    def _eds(self, config: ClusterConfig, scope: Scope, path: str) -> EdsDiscovery:
        if self._subscribe is None:
            raise ConfigError([Problem(path, "there is nowhere to subscribe to")])
        assert config.eds_cluster_config is not None
        discovery = EdsDiscovery(self._reactor)
        eds = config.eds_cluster_config
        name = eds.service_name or config.name
        discovery.subscription = self._subscribe(eds, name, scope, discovery.receive, path)
        return discovery
