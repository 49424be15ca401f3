"""From the messages of a virtual host to its prepared routes. Mirrors `RouteCreator` and the constructors of route entries."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from ...config.model.route import Route, VirtualHost
from ...config.model.route_action import ClusterWeight, RouteAction, WeightedCluster
from ...config.model.route_retry import RetryPolicy
from ...errors import ConfigError, Problem
from ...observe.stream_info import NOTHING, StreamInfo
from ..events import RequestHead
from .conditions import Condition, all_of, conditions_of
from .context import TableContext
from .forward import ForwardAction, Shared, Target, subset_of
from .header_mutation import in_order
from .host_routes import Rule
from .levels import Joined, Level, join, prepare_level
from .mirror import PreparedMirror, mirrors_of
from .paths import path_rule
from .rate_limits import prepare_rate_limits
from .redirect import prepare_direct, prepare_redirect
from .request_hash import RequestHash
from .retry import PreparedRetryPolicy, check_predicates
from .rewrite import Rewrite, prepare_rewrite, rewrite_host
from .route import Facts, PreparedRoute
from .route import VirtualHost as PreparedHost
from .text import wire
from .weighted import WeightedChoice

_TWO_NAMES = "Only one of name or cluster_header can be specified"
_NO_NAME = "At least one of name or cluster_header need to be specified"
_TWO_REWRITES = "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite"


class Above(NamedTuple):
    """What a route inherits. levels: of the route table and the virtual host. mirrors: of the table. validates_clusters: a
    cluster that does not exist is an error. most_body_bytes: of a direct response."""

    context: TableContext
    host: PreparedHost
    config: VirtualHost
    levels: Tuple[Level, Level]
    most_specific_wins: bool
    mirrors: Sequence[PreparedMirror]
    validates_clusters: bool
    most_body_bytes: int


class RouteBuilder:
    """Prepares the routes of one virtual host; what is wrong with them is added to `problems`."""

    def __init__(self, above: Above, problems: List[Problem]) -> None:
        self._above = above
        self._problems = problems

    def build(self, config: Route, path: str) -> Optional[Rule]:
        """The route at `path`; None if something in its match or action can't be used."""
        match = config.match
        assert match is not None
        level = prepare_level(config, self._above.context, path, self._problems)
        together = join([*self._above.levels, level], self._above.most_specific_wins)
        try:
            rule = None if match.connect_matcher is not None else path_rule(match)
        except ValueError as error:
            self._problems.append(Problem(f"{path}.match", str(error)))
            return None
        condition: Optional[Condition] = all_of(conditions_of(match, self._above.context.runtime))
        facts = self._facts(config, together, path)
        try:
            route, choice = self._route(config, facts, together, level, path)
        except ConfigError as error:
            self._problems.extend(error.problems)
            return None
        return Rule(rule, condition, route, choice)

    def _facts(self, config: Route, together: Joined, path: str) -> Facts:
        limits = config.route.rate_limits if config.route is not None else []
        own_cors = config.route.cors if config.route is not None else None
        limit = self._first(
            config.request_body_buffer_limit, config.per_request_buffer_limit_bytes,
            self._above.config.request_body_buffer_limit, self._above.config.per_request_buffer_limit_bytes,
        )
        return Facts(
            config.name, self._above.host, config.metadata.filter_metadata if config.metadata is not None else NOTHING, limit,
            prepare_rate_limits(limits, self._above.context.formats, f"{path}.route.rate_limits", self._problems),
            config.stat_prefix, tuple(one for one in (self._above.config.cors, own_cors) if one is not None), together.filters,
        )

    @staticmethod
    def _first(*limits: Optional[int]) -> Optional[int]:
        return next((limit for limit in limits if limit is not None), None)

    def _route(
        self, config: Route, facts: Facts, together: Joined, level: Level, path: str
    ) -> Tuple[Optional[PreparedRoute], Optional[WeightedChoice[PreparedRoute]]]:
        formats = self._above.context.formats
        if config.route is not None:
            return self._forwarding(config, facts, together, level, f"{path}.route")
        if config.redirect is not None:
            answer: Any = prepare_redirect(config.redirect, config.match, formats, f"{path}.redirect")
        elif config.direct_response is not None:
            most = self._above.most_body_bytes
            answer = prepare_direct(config.direct_response, formats, f"{path}.direct_response", most)
        else:
            # As in Envoy: forwarded to no cluster, if no filter answers first.
            nowhere = ForwardAction(RouteAction(), Target(), Shared((), None, None))
            return PreparedRoute(facts, None, nowhere, together.request, together.response), None
        return PreparedRoute(facts, answer, None, together.request, together.response), None

    def _forwarding(
        self, config: Route, facts: Facts, together: Joined, level: Level, path: str
    ) -> Tuple[Optional[PreparedRoute], Optional[WeightedChoice[PreparedRoute]]]:
        """The `route` at `path`."""
        action, match = config.route, config.match
        assert action is not None and match is not None
        if sum(map(bool, (action.prefix_rewrite, action.regex_rewrite, action.path_rewrite))) > 1:
            raise ConfigError([Problem(path, _TWO_REWRITES)])
        try:
            rewrite = prepare_rewrite(action, match, self._above.context.formats)
            hash_ = RequestHash(action.hash_policy) if action.hash_policy else None
        except ValueError as error:
            raise ConfigError([Problem(path, str(error))]) from None
        shared = Shared(self._mirrors(action, path), self._retry(action, path), hash_)
        if action.weighted_clusters is not None:
            parts = _Parts(action, facts, level, shared, rewrite)
            return None, self._weighted(action.weighted_clusters, parts, f"{path}.weighted_clusters")
        self._check_cluster(action.cluster or "", "unknown cluster", f"{path}.cluster")
        target = Target(action.cluster or "", wire((action.cluster_header or "").lower()), subset_of(action.metadata_match))
        forward = ForwardAction(action, target, shared)
        return PreparedRoute(facts, None, forward, together.request, together.response, rewrite), None

    def _weighted(self, config: WeightedCluster, parts: "_Parts", path: str) -> WeightedChoice[PreparedRoute]:
        routes = [
            self._weighted_route(one, parts, f"{path}.clusters[{index}]") for index, one in enumerate(config.clusters)
        ]
        try:
            return WeightedChoice(config, routes, parts.shared.hash, self._above.context.runtime)
        except ValueError as error:
            raise ConfigError([Problem(path, str(error))]) from None

    def _weighted_route(self, config: ClusterWeight, parts: "_Parts", path: str) -> PreparedRoute:
        if bool(config.name) == bool(config.cluster_header):
            self._problems.append(Problem(path, _TWO_NAMES if config.name else _NO_NAME))
        self._check_cluster(config.name, "unknown weighted cluster", f"{path}.name")
        own = prepare_level(config, self._above.context, path, self._problems)
        # The changes of a weighted cluster come before those of all other levels, whoever wins among them.
        others = join([*self._above.levels, parts.level], self._above.most_specific_wins)
        together = join([*self._above.levels, parts.level, own], True)
        subset = subset_of(parts.action.metadata_match, config.metadata_match)
        target = Target(config.name, wire(config.cluster_header.lower()), subset)
        forward = ForwardAction(parts.action, target, parts.shared)
        rewrite = _with_host(config.host_rewrite_literal or "", parts.action.append_x_forwarded_host, parts.rewrite)
        return PreparedRoute(
            parts.facts._replace(filters=together.filters), None, forward, in_order([own.request, others.request]),
            in_order([own.response, others.response]), rewrite,
        )

    def _mirrors(self, action: RouteAction, path: str) -> Sequence[PreparedMirror]:
        """Those of the route, else of the virtual host, else of the table."""
        context = self._above.context
        has_cluster = context.has_cluster if self._above.validates_clusters else None
        own = mirrors_of(action.request_mirror_policies, context, has_cluster, path, self._problems)
        return own or self._above.mirrors

    def _retry(self, action: RouteAction, path: str) -> Optional[PreparedRetryPolicy]:
        config: Optional[RetryPolicy] = action.retry_policy or self._above.config.retry_policy
        if config is None:
            return None
        if action.retry_policy is not None:
            self._problems.extend(check_predicates(config, f"{path}.retry_policy"))
        return PreparedRetryPolicy(config)

    def _check_cluster(self, name: str, what: str, path: str) -> None:
        if name and self._above.validates_clusters and not self._above.context.has_cluster(name):
            self._problems.append(Problem(path, f"route: {what} '{name}'"))


class _Parts(NamedTuple):
    """What the weighted clusters of a route have in common."""

    action: RouteAction
    facts: Facts
    level: Level
    shared: Shared
    rewrite: Optional[Rewrite]


def _with_host(host: str, append_forwarded: bool, rewrite: Optional[Rewrite]) -> Optional[Rewrite]:
    """The rewrite of a weighted cluster with a host of its own."""
    if not host:
        return rewrite
    literal, then = wire(host), rewrite

    def both(head: RequestHead, info: StreamInfo) -> None:
        head.authority = literal
        if then is not None:
            then(head, info)
    return both
