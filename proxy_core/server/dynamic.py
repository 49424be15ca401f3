"""Resources that are not in the bootstrap: the subscriptions that its `dynamic_resources` ask for."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional

from ..config.model.bootstrap import Bootstrap
from ..config.model.bootstrap import DynamicResources as DynamicConfig
from ..config.model.cluster import Cluster as ClusterConfig
from ..config.model.config_source import ConfigSource
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..listener.manager import ListenerManager
from ..observe.stats import StatsStore
from ..upstream.manager import ClusterManager
from ..xds.cds import CdsApi
from ..xds.files import ResourceFiles
from ..xds.lds import LdsApi
from ..xds.rds import RouteConfigs
from ..xds.response import Response
from ..xds.subscription import FileSubscription, source_problems
from .extensions import Extensions

_PATH = "dynamic_resources"
_NO_NODE = (
    "node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and "
    "--service-cluster options."
)


class Watched(NamedTuple):
    """What subscriptions need of the server."""

    extensions: Extensions
    stats: StatsStore
    files: ResourceFiles


class DynamicResources:
    """The subscriptions of one server, and the order of its start:

        clusters of the bootstrap have hosts -> CDS is read -> its clusters have hosts
            -> route tables (RDS) are read -> listeners of the bootstrap listen -> LDS is read -> ready

    on_changed: called after each update.
    """

    def __init__(
        self, bootstrap: Bootstrap, listeners: ListenerManager, clusters: ClusterManager, watched: Watched,
        routes: RouteConfigs, on_changed: Callable[[], None],
    ) -> None:
        """Raises ConfigError if there is something to subscribe to, and it can't be."""
        self._clusters = clusters
        self._routes = routes
        self._listen: Callable[[], bool] = _refuse
        self._on_ready: Callable[[], None] = _nothing
        resources = bootstrap.dynamic_resources or DynamicConfig()
        sources = {"lds_config": resources.lds_config, "cds_config": resources.cds_config}
        problems = _problems(bootstrap, sources)
        if problems:
            raise ConfigError(problems)
        self._lds_api = self._cds_api = None
        self._lds: Optional[FileSubscription[Response[ListenerConfig]]] = None
        self._cds: Optional[FileSubscription[Response[ClusterConfig]]] = None
        extensions, stats, files = watched
        if resources.lds_config is not None:
            lds = LdsApi(listeners, files.types, extensions.is_terminal, files.wall_clock, on_changed)
            scope = stats.scope("listener_manager.lds")
            in_front = files._replace(background=None)  # listeners are few
            self._lds = in_front.subscribe(resources.lds_config, scope, lds.decode, lds.on_update)
            self._lds_api = lds
        if resources.cds_config is not None:
            scope = stats.scope("cluster_manager.cds")
            cds = CdsApi(clusters, files.types, files.wall_clock, scope, on_changed)
            self._cds = files.subscribe(resources.cds_config, scope, cds.decode, cds.on_update)
            self._cds_api = cds

    def start(self, listen: Callable[[], bool], on_ready: Callable[[], None]) -> None:
        """Bring clusters and listeners up in their order, and read again what changes.

        listen: called when the clusters have their hosts, before this returns unless one has to wait; False if that
        failed and there is no going on. on_ready: called next, when the listeners may accept.
        """
        self._listen = listen
        self._on_ready = on_ready
        self._clusters.start(self._read_clusters)

    def _read_clusters(self) -> None:
        if self._cds is not None:
            self._cds.start()
        self._clusters.start(self._read_listeners)

    def _read_listeners(self) -> None:
        self._clusters.initialization.complete()
        self._routes.start()
        if not self._listen():
            return
        if self._lds is not None:
            self._lds.start()
        self._on_ready()

    def check(self) -> List[Problem]:
        """What of the resources, as they are now, would be refused. Nothing is applied."""
        found: List[Problem] = []
        if self._cds is not None and self._cds_api is not None:
            found += self._cds.check(self._cds_api.check)
        if self._lds is not None and self._lds_api is not None:
            found += self._lds.check(self._lds_api.check)
        return found + self._routes.check()

    def close(self) -> None:
        """Read no more."""
        for subscription in (self._cds, self._lds):
            if subscription is not None:
                subscription.close()


def _nothing() -> None:
    """Before the start."""


def _refuse() -> bool:
    """Before the start."""
    return False


def _problems(bootstrap: Bootstrap, sources: Dict[str, Optional[ConfigSource]]) -> List[Problem]:
    given = {name: source for name, source in sources.items() if source is not None}
    found: List[Problem] = []
    for name, source in given.items():
        found.extend(source_problems(source, f"{_PATH}.{name}"))
    node = bootstrap.node
    if given and (node is None or not node.id or not node.cluster):
        found.append(Problem("node", _NO_NODE))
    return found
