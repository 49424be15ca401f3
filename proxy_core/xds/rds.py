"""RDS: route tables from watched files. Mirrors `RdsRouteConfigSubscription` and `RouteConfigProviderManager`.

A connection manager asks for the table of a name and finds, at each request, the present one in `DynamicRoutes.table`. Two that
ask the same of the same source share one. There is none before the first good answer: requests get 404 then. An answer that
can't be used is refused as a whole, and the table from before stays.

The tables that are written in the configuration of their connection manager are known here as well, for /config_dump.
"""

from __future__ import annotations

import json
import weakref
from typing import Callable, Dict, List, Optional, Tuple

from ..config.model.config_source import ConfigSource
from ..config.model.route import RouteConfiguration
from ..errors import ConfigError, Problem
from ..http.route_api import RouteTable
from ..observe.stats import Scope
from .files import ResourceFiles
from .response import Rejected, Response, decode_response
from .subscription import FileSubscription, source_problems
from .weak import weakly

# Prepares a table, the configuration at a path; raises ConfigError.
Prepare = Callable[[RouteConfiguration, str], RouteTable]


class StaticRoutes:
    """`route_api.RouteSource` of a table that is written in the configuration. updated_at: seconds since the epoch."""

    def __init__(self, config: RouteConfiguration, table: RouteTable, updated_at: float) -> None:
        self.config = config
        self.table: Optional[RouteTable] = table
        self.updated_at = updated_at


class DynamicRoutes:
    """`route_api.RouteSource` of a name. version, updated_at: of the present table, seconds since the epoch. Alive as long as a
    connection manager has it."""

    def __init__(self, name: str, scope: Scope, prepare: Prepare, wall_clock: Callable[[], float]) -> None:
        """scope: "http.<stat_prefix>.rds.<name>"."""
        self.name = name
        self.table: Optional[RouteTable] = None
        self.config: Optional[RouteConfiguration] = None
        self.version = ""
        self.updated_at = 0.0
        self._prepare = prepare
        self._wall_clock = wall_clock
        self._empty = scope.counter("update_empty")
        self._reloads = scope.counter("config_reload")
        self._reloaded_at = scope.gauge("config_reload_time_ms")

    def on_update(self, response: Response[RouteConfiguration]) -> None:
        """There is an answer. Raises Rejected."""
        resource = self._only(response)
        if resource is None:
            self._empty.inc()
            return
        config, path = resource
        if config == self.config:
            return
        try:
            table = self._prepare(config, path)
        except ConfigError as error:
            raise Rejected("; ".join(str(problem) for problem in error.problems)) from None
        self.table, self.config = table, config
        self.version, self.updated_at = response.version_info, self._wall_clock()
        self._reloads.inc()
        self._reloaded_at.set(int(self.updated_at * 1000))

    def check(self, response: Response[RouteConfiguration]) -> List[Problem]:
        """What is wrong with an answer; it is not used."""
        try:
            resource = self._only(response)
            if resource is not None:
                self._prepare(*resource)
        except ConfigError as error:
            return list(error.problems)
        except Rejected as rejected:
            return [Problem("", str(rejected))]
        return []

    def _only(self, response: Response[RouteConfiguration]) -> Optional[Tuple[RouteConfiguration, str]]:
        """The configuration asked for, and where it stands; None if there is nothing in the answer. Envoy's texts."""
        if not response.resources:
            return None
        if len(response.resources) != 1:
            raise Rejected(f"Unexpected RDS resource length: {len(response.resources)}")
        resource, = response.resources
        if resource.problems:
            raise Rejected("; ".join(str(problem) for problem in resource.problems))
        if resource.config.name != self.name:
            raise Rejected(f"Unexpected RDS configuration (expecting {self.name}): {resource.config.name}")
        return resource.config, resource.path


class RouteConfigs:
    """All tables that connection managers use now, and the subscriptions to those that are discovered."""

    def __init__(self, files: ResourceFiles) -> None:
        """files: the way to them."""
        self._way = files
        self._wall_clock = files.wall_clock
        self._started = False
        self._static: "weakref.WeakSet[StaticRoutes]" = weakref.WeakSet()
        self._dynamic: "weakref.WeakValueDictionary[str, DynamicRoutes]" = weakref.WeakValueDictionary()
        self._files: Dict[str, FileSubscription[Response[RouteConfiguration]]] = {}
        self.is_used = False  # there was a connection manager

    def static(self, config: RouteConfiguration, table: RouteTable) -> StaticRoutes:
        """The source of a table that never changes."""
        self.is_used = True
        routes = StaticRoutes(config, table, self._wall_clock())
        self._static.add(routes)
        return routes

    def dynamic(self, source: ConfigSource, name: str, scope: Scope, prepare: Prepare, path: str) -> DynamicRoutes:
        """The source of the table called `name`. The file is read at once, or in `start` before that.

        scope: "http.<stat_prefix>." of the connection manager; path: where its `rds` stands. Raises ConfigError if there is no
        such file.
        """
        self.is_used = True
        key = json.dumps([name, source.to_json()], sort_keys=True)
        shared = self._dynamic.get(key)
        if shared is not None:
            return shared
        problems = source_problems(source, f"{path}.config_source")
        if problems:
            raise ConfigError(problems)
        own = scope.scope(f"rds.{name}")
        routes = DynamicRoutes(name, own, prepare, self._wall_clock)
        file = self._subscription(source, own, routes)
        self._dynamic[key] = routes
        self._files[key] = file
        weakref.finalize(routes, self._forget, key)
        if self._started:
            file.start()
        return routes

    def start(self) -> None:
        """Read everything: the listeners may accept when this returns."""
        self._started = True
        for file in self._files.values():
            file.start()

    def check(self) -> List[Problem]:
        """What of the files, as they are now, would be refused."""
        found: List[Problem] = []
        for key, routes in sorted(self._dynamic.items()):
            found += self._files[key].check(routes.check)
        return found

    def static_routes(self) -> List[StaticRoutes]:
        """Those of the configuration, by name."""
        return sorted(self._static, key=lambda routes: routes.config.name)

    def dynamic_routes(self) -> List[DynamicRoutes]:
        """Those that are discovered and have an answer, by name."""
        return sorted((one for one in self._dynamic.values() if one.config is not None), key=lambda routes: routes.name)

    def close(self) -> None:
        """Read no more."""
        for file in self._files.values():
            file.close()

    def _subscription(
        self, source: ConfigSource, scope: Scope, routes: DynamicRoutes
    ) -> FileSubscription[Response[RouteConfiguration]]:
        types = self._way.types
        return self._way.subscribe(
            source, scope, lambda data, path: decode_response(data, path, RouteConfiguration, types),
            weakly(routes, DynamicRoutes.on_update),
        )

    def _forget(self, key: str) -> None:
        self._files.pop(key).close()
