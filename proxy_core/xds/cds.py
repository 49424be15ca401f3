"""CDS: clusters from a subscription. Each response holds all of them; whoever is not in it any more is
removed.

A cluster that can't be built is refused alone: the others of the response are in force, and the response
counts as rejected. A response with a cluster that is no valid message is refused as a whole. A cluster of the
bootstrap can't be changed. Mirrors `CdsApiHelper`.
"""

from __future__ import annotations

from typing import Callable, List, Set

from ..config.check import check_cluster
from ..config.context import TypeResolver
from ..config.model.cluster import Cluster as ClusterConfig
from ..errors import ConfigError, Problem
from ..observe.log import component_logger
from ..observe.stats import Scope
from ..upstream.manager import ClusterManager, Source
from .response import Rejected, Resource, Response, decode_response

_log = component_logger("upstream")


class CdsApi:
    """Applies CDS responses. scope: "cluster_manager.cds"; on_applied: called after each; wall_clock:
    seconds since the epoch."""

    def __init__(
        self, clusters: ClusterManager, types: TypeResolver, wall_clock: Callable[[], float], scope: Scope,
        on_applied: Callable[[], None],
    ) -> None:
        self._clusters = clusters
        self._types = types
        self._wall_clock = wall_clock
        self._on_applied = on_applied
        self._reloads = scope.counter("config_reload")
        self._reloaded_at = scope.gauge("config_reload_time_ms")

    def decode(self, data: bytes, path: str) -> Response[ClusterConfig]:
        """The content of a file. Raises ConfigError, Rejected."""
        response = decode_response(data, path, ClusterConfig, self._types)
        problems = [problem for resource in response.resources for problem in resource.problems]
        if problems:
            raise Rejected("; ".join(str(problem) for problem in problems))
        return response

    def check(self, response: Response[ClusterConfig]) -> List[Problem]:
        """What is wrong with the clusters, without applying them."""
        return [problem for one in response.resources for problem in check_cluster(one.config, one.path)]

    def on_update(self, response: Response[ClusterConfig]) -> None:
        """Make the clusters those of the response. Raises Rejected if some could not be."""
        clusters = self._clusters
        names = {resource.config.name for resource in response.resources}
        known = {**clusters.active, **clusters.warming}
        leaving = sorted(name for name, one in known.items() if one.source.is_dynamic and name not in names)
        _log.info(
            "cds: response indicates %d added/updated cluster(s), %d removed cluster(s); applying changes",
            len(names), len(leaving),
        )
        refused: List[str] = []
        changed = self._apply_all(response, refused)
        for name in leaving:
            clusters.remove(name)
        _log.info(
            "cds: added/updated %d cluster(s) (skipped %d unmodified cluster(s)); removed %d cluster(s)",
            changed, len(response.resources) - changed - len(refused), len(leaving),
        )
        if changed or leaving:
            clusters.version_info = response.version_info
        self._on_applied()
        if refused:
            raise Rejected(f"Error adding/updating cluster(s) {', '.join(refused)}")
        if changed:
            self._reloads.inc()
            self._reloaded_at.set(int(self._wall_clock() * 1000))

    def _apply_all(self, response: Response[ClusterConfig], refused: List[str]) -> int:
        """How many were added or changed. refused: takes a sentence for each that could not be."""
        source = Source(True, response.version_info, self._wall_clock())
        seen: Set[str] = set()
        changed = 0
        for resource in response.resources:
            name = resource.config.name
            try:
                if name in seen:
                    raise ConfigError([Problem("", f"duplicate cluster {name} found")])
                seen.add(name)
                changed += self._apply(resource, source)
            except ConfigError as error:
                refused.append(f"{name}: {'; '.join(_say(problem) for problem in error.problems)}")
                _log.warning("cds: cluster '%s' config rejected: %s", name, refused[-1])
        return changed

    def _apply(self, resource: Resource[ClusterConfig], source: Source) -> bool:
        """Whether there was something to do. Raises ConfigError."""
        clusters, config = self._clusters, resource.config
        old = clusters.entry(config.name)
        if old is not None and (not old.source.is_dynamic or old.cluster.config == config):
            return False
        try:
            problems = list(check_cluster(config, resource.path))
            if problems:
                raise ConfigError(problems)
            prepared = clusters.prepare(config, resource.path)
        except ConfigError:
            clusters.count_refused(config.name)
            raise
        clusters.commit(prepared, source)
        _log.debug("add/update cluster %s", config.name)
        return True


def _say(problem: Problem) -> str:
    return str(problem) if problem.path else problem.message
