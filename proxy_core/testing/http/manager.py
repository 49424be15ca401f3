"""A connection manager for a test: configured as in a file, its filters watched, its router replaced.

Place in the data's way: everything between the codec and the terminal filter is the real thing.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Final, List, Mapping, Optional, Sequence, Union

from ...config.context import Context
from ...config.decode import decode_message
from ...config.model.bootstrap import LayeredRuntime, RuntimeLayer
from ...config.registry import TypeRegistry
from ...errors import ConfigError
from ...filters.api import FilterFactory
from ...filters.singletons import Singletons
from ...http.filter_api import HttpFilter
from ...http.registry import HttpExtension, HttpFilterRegistry
from ...http.services import HttpServices
from ...listener.context import FilterContext
from ...listener.drain import DrainManager
from ...observe.stats import StatsStore
from ...observe.stream_info import StreamInfo
from ...server.extensions import Extensions
from ...server.runtime import Runtime
from .upstream import Answer, Upstream
from .watched import HttpWitness

Json = Dict[str, Any]
# A filter as in `http_filters`, or what makes one for each request.
FilterSpec = Union[Mapping[str, Any], Callable[[], HttpFilter]]

STAT_PREFIX: Final = "test"
CLUSTER: Final = "upstream"
END_LINE: Final = "DownstreamEnd"
_TYPE: Final = "type.googleapis.com/"
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_SEED: Final = 1


class Finished(List[StreamInfo]):
    """What is known of every stream that is over: an access logger that keeps it."""

    def log(self, info: StreamInfo, log_type: str) -> None:
        """One line."""
        if log_type == END_LINE:
            self.append(info)

    def build(self, configs: Any, path: str, problems: Any, http: bool = False) -> List[Finished]:
        """As `server.access_logs`: whatever is configured, this is the logger."""
        return [self]


class TestManager:
    """filters, routes, manager, runtime, clusters, upstream_answer: see `HttpHarness`.

    upstreams: one `Upstream` for each request that came so far, in order. finished: of the streams that are over.
    """

    __test__ = False  # the name is not meant for pytest

    def __init__(
        self, filters: Sequence[FilterSpec], routes: Optional[Sequence[Json]], manager: Json, runtime: Mapping[str, Any],
        clusters: Mapping[str, Any], answer: Optional[Answer], witness: HttpWitness, reactor: Any,
    ) -> None:
        self.stats = StatsStore(lambda: float(reactor.now))
        self.finished = Finished()
        self.upstreams: List[Upstream] = []
        self.health_failed = False
        self.answer = answer
        self._factories: Dict[str, Callable[[], HttpFilter]] = {}
        extensions = Extensions()
        config = self._config(filters, routes, manager)
        types = TypeRegistry(extensions.types().classes(), python=self._python)
        context = Context(types)
        network = extensions.filters.find(_MANAGER, "", context.problems)
        assert network is not None
        message = decode_message(network.config, config, "", context)
        if context.problems:
            raise ConfigError(context.problems)
        registry = _Registry(extensions.http_filters, witness, self._new_upstream)
        self.factory: FilterFactory = network.build(message, self._context(registry, runtime, clusters, reactor))

    def _config(self, filters: Sequence[FilterSpec], routes: Optional[Sequence[Json]], manager: Json) -> Json:
        configured = [one if isinstance(one, Mapping) else self._own(one) for one in filters]
        everything = {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER}}
        hosts = [{"name": "test", "domains": ["*"], "routes": [everything] if routes is None else list(routes)}]
        return {
            "stat_prefix": STAT_PREFIX, "generate_request_id": False, "route_config": {"name": "test", "virtual_hosts": hosts},
            "http_protocol_options": {"enable_trailers": True},
            **manager, "http_filters": [*configured, {"name": "router", "typed_config": {"@type": _TYPE + _ROUTER}}],
        }

    def _own(self, factory: Callable[[], HttpFilter]) -> Json:
        target = f"test.{len(self._factories)}"
        self._factories[target] = factory
        name = getattr(factory, "__name__", "filter").strip("<>")
        return {"name": name, "typed_config": {"@type": f"python:{target}"}}

    def _python(self, target: str) -> Any:
        factory = self._factories.get(target)
        if factory is None:
            raise ValueError("give the harness the class itself, or a function that makes the filter")
        make = factory
        return lambda settings: make()

    def _new_upstream(self) -> Upstream:
        self.upstreams.append(Upstream(self.answer))
        return self.upstreams[-1]

    def _context(
        self, registry: HttpFilterRegistry, runtime: Mapping[str, Any], clusters: Mapping[str, Any], reactor: Any
    ) -> FilterContext:
        rng = random.Random(_SEED)
        layers = LayeredRuntime([RuntimeLayer("test", dict(runtime))])
        services = HttpServices(
            registry, lambda: 0.0, None, _StaticTables(), "test-cluster", "test-node", lambda: self.health_failed
        )
        return FilterContext(
            reactor, self.stats, _Clusters(clusters), None, self.finished, Runtime(layers), DrainManager(0.0, False, rng), rng,
            Singletons(), services, None, "http_connection_manager",
        )


class _Registry(HttpFilterRegistry):
    """The real filters, watched, with `Upstream` for the router."""

    def __init__(self, real: HttpFilterRegistry, witness: HttpWitness, new_upstream: Callable[[], Upstream]) -> None:
        super().__init__([])
        self._real = real
        self._witness = witness
        self._new_upstream = new_upstream

    def find(self, type_name: str, path: str, problems: List[Any]) -> Optional[HttpExtension]:
        """See `HttpFilterRegistry`."""
        extension = self._real.find(type_name, path, problems)
        if extension is None:
            return None
        if type_name == _ROUTER:
            return extension._replace(build=lambda config, context: self._new_upstream)
        build = extension.build

        def watching(config: Any, context: Any) -> Any:
            make = build(config, context)
            return lambda: self._witness.watch(make(), context.name)
        return extension._replace(build=watching)

    def find_route_config(self, type_name: str) -> Optional[HttpExtension]:
        """See `HttpFilterRegistry`."""
        return self._real.find_route_config(type_name)


class _Clusters:
    """`upstream.manager.ClusterManager` for those who only ask for one by name: every cluster exists."""

    zone = ""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def get(self, name: str) -> Any:
        """What the test has given under this name; else something, or None if the test has said None."""
        return self._given.get(name, self)


class _Source:
    """A table that does not change."""

    def __init__(self, table: Any) -> None:
        self.table = table


class _StaticTables:
    """`HttpServices.route_configs` without discovery."""

    def static(self, config: Any, table: Any) -> _Source:
        """A table that was written in the configuration."""
        return _Source(table)
