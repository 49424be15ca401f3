"""SIGHUP: read the configuration again, and run it if it can be run; else keep the old one and say why.

    load       file and flags, as at the start                            fails: nothing changed
    compare    what only a start can set (admin, node, runtime ...)       differs: nothing changed
    prepare    new clusters and listeners are built, addresses bound      fails: nothing changed
    commit     all of it at once

Listeners change as they do by LDS: unchanged ones notice nothing, changed ones are updated in place or
replaced without refusing anybody, removed ones drain. A connection keeps the cluster it was made with. Envoy
ignores SIGHUP.
"""

from __future__ import annotations

import uuid
from typing import Callable, Dict, List, Sequence, Tuple

from ..config.load import Loaded
from ..config.model.bootstrap import Bootstrap, StaticResources
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..listener.binding import BindError
from ..listener.lists import Origin
from ..listener.manager import STATIC
from ..listener.update import Batch, Change, Kind, kind_of
from ..observe.log import component_logger
from ..upstream.manager import PreparedCluster
from .server import Server

_RESOURCES = "static_resources"
_CHANGEABLE = ("listeners", "clusters")
_FIXED = "can't change while the proxy runs: restart it"

NamedListener = Tuple[str, ListenerConfig, str]  # name, configuration, path


class Reloader:
    """One per server. load: the configuration as it is now; raises ConfigError."""

    def __init__(self, server: Server, load: Callable[[], Loaded]) -> None:
        self._server = server
        self._load = load
        self._log = component_logger("config")
        scope = server.stats.scope("proxy_core")
        self._success = scope.counter("config_reload_success")
        self._failure = scope.counter("config_reload_failure")
        self._error = scope.text("config_reload_error")  # of the last reload; "" if it went well

    def reload(self) -> bool:
        """False if the old configuration stays, all of it."""
        try:
            loaded = self._load()
            check_fixed(self._server.loaded.bootstrap, loaded.bootstrap)
            self._apply(loaded)
        except (ConfigError, BindError) as error:
            problems = error.problems if isinstance(error, ConfigError) else [error]
            reasons = [str(problem) for problem in problems]
            self._failure.inc()
            self._error.set("; ".join(reasons))
            for reason in reasons:
                self._log.error("configuration not reloaded: %s", reason)
            self._log.warning("the configuration that was loaded before stays in force")
            return False
        self._success.inc()
        self._error.set("")
        return True

    def _apply(self, loaded: Loaded) -> None:
        server = self._server
        resources = loaded.bootstrap.static_resources or StaticResources()
        clusters = self._prepare_clusters(resources)
        wanted = self._named(resources.listeners)
        active = server.listeners.lists.active
        mine = server.listeners.names(Origin.STATIC)
        names = {name for name, _, _ in wanted}
        giving = [
            name for name, config, _ in wanted
            if name in mine and active[name].config != config
            and kind_of(active[name].config, config, True) is Kind.FULL
        ]
        leaving = [name for name in mine if name not in names]
        batch = server.listeners.begin(leaving, giving)
        changes = self._prepare_listeners(batch, wanted)
        for cluster in clusters:
            server.clusters.commit(cluster)
        for change in changes:
            server.listeners.commit(batch, change)
        batch.finish()
        gone = self._remove_clusters(resources)
        server.loaded, server.loaded_wall = loaded, server.wall_clock()
        server.on_resources_changed()
        for warning in loaded.warnings:
            self._log.warning("%s", warning)
        self._log.info(
            "configuration reloaded: %d listener(s) added or changed, %d removed; "
            "%d cluster(s) added or changed, %d removed",
            len(changes), len(leaving), len(clusters), gone,
        )

    def _prepare_clusters(self, resources: StaticResources) -> List[PreparedCluster]:
        problems: List[Problem] = []
        prepared = []
        for index, config in enumerate(resources.clusters):
            old = self._server.clusters.entry(config.name)
            if old is not None and old.cluster.config == config:
                continue
            try:
                prepared.append(self._server.clusters.prepare(config, f"{_RESOURCES}.clusters[{index}]"))
            except ConfigError as error:
                problems.extend(error.problems)
        if problems:
            raise ConfigError(problems)
        return prepared

    def _remove_clusters(self, resources: StaticResources) -> int:
        kept = {config.name for config in resources.clusters}
        gone = [cluster.name for cluster in self._server.clusters.static() if cluster.name not in kept]
        for name in gone:
            self._server.clusters.remove(name)
        return len(gone)

    def _named(self, configs: Sequence[ListenerConfig]) -> List[NamedListener]:
        """Of two listeners with one name the second counts, as at the start; one without a name is known by
        what it says."""
        unnamed = {
            entry.name: entry.config for entry in self._server.listeners.lists.active.values()
            if entry.origin is Origin.STATIC and not entry.config.name
        }
        found: Dict[str, NamedListener] = {}
        for index, config in enumerate(configs):
            same = (old for old, one in unnamed.items() if one == config)
            name = config.name or next(same, "") or str(uuid.uuid4())
            unnamed.pop(name, None)
            found[name] = (name, config, f"{_RESOURCES}.listeners[{index}]")
        return list(found.values())

    def _prepare_listeners(self, batch: Batch, wanted: Sequence[NamedListener]) -> List[Change]:
        """All of them or none. Raises ConfigError, BindError."""
        listeners = self._server.listeners
        changes: List[Change] = []
        try:
            for name, config, path in wanted:
                change = listeners.prepare(batch, config, path, STATIC, name)
                if change is not None:
                    changes.append(change)
        except (ConfigError, BindError):
            for change in changes:
                batch.discard(change)
            raise
        return changes


def check_fixed(old: Bootstrap, new: Bootstrap) -> None:
    """Raises ConfigError if the two differ in what only a start can set."""
    changed = [
        name for name in Bootstrap.DESCRIPTOR.fields
        if name != _RESOURCES and getattr(old, name) != getattr(new, name)
    ]
    before, now = old.static_resources or StaticResources(), new.static_resources or StaticResources()
    changed += [
        f"{_RESOURCES}.{name}" for name in StaticResources.DESCRIPTOR.fields
        if name not in _CHANGEABLE and getattr(before, name) != getattr(now, name)
    ]
    if changed:
        raise ConfigError([Problem(name, f"`{name.rpartition('.')[2]}` {_FIXED}") for name in changed])
