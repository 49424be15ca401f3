"""envoy.filters.http.rbac: lets requests in or turns them away by rules. Mirrors `RoleBasedAccessControlFilter` of HTTP.

Place in the data's way: everything is decided by the head of a request. A route may bring rules of its own, or none; they count
in the stats of the filter. `extensions.rbac` has the rules.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, Optional

from ...config.fields import Bool, Message, Nested, Report, String, Struct, message, optional, plain
from ...config.model.rbac import Rbac
from ...errors import ConfigError
from ...http.events import RequestHead
from ...http.filter_api import CONTINUE, STOP_ITERATION, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.registry import HttpExtension
from ..rbac.facts import Facts
from ..rbac.matchers import refuse_matcher_trees, unknown_matchers
from ..rbac.outcome import LOG_NAMESPACE, VerdictLabels, denied_details, log_hint
from ..rbac.rules import Rules
from ..rbac.stats import RbacStats

METADATA_NAMESPACE: Final = "envoy.filters.http.rbac"
DENIED_BODY: Final = b"RBAC: access denied"
_PACKAGE: Final = "envoy.extensions.filters.http.rbac.v3."


@message(_PACKAGE + "RBAC")
@dataclasses.dataclass(eq=False, repr=False)
class RbacConfig(Message):
    """Lets requests in or turns them away by rules."""

    rules: Optional[Rbac] = optional(Nested(Rbac), help="Unset: every request is let in. Empty: none is.")
    shadow_rules: Optional[Rbac] = optional(Nested(Rbac), help="Only counted, never enforced.")
    shadow_rules_stat_prefix: str = plain(String(), help="Put before the names of shadow stats and metadata.")
    matcher: Optional[Dict[str, Any]] = optional(Struct(), help="Not supported.")
    shadow_matcher: Optional[Dict[str, Any]] = optional(Struct(), help="Not supported.")
    rules_stat_prefix: str = plain(String(), help="Put before the names of the stats and metadata of `rules`.")
    track_per_rule_stats: bool = plain(Bool(), help="Count each policy.")

    def check(self, report: Report) -> None:
        """What is not supported."""
        refuse_matcher_trees(self, report)


@message(_PACKAGE + "RBACPerRoute")
@dataclasses.dataclass(eq=False, repr=False)
class RbacPerRoute(Message):
    """The rules of a route instead of the filter's."""

    rbac: Optional[RbacConfig] = optional(Nested(RbacConfig), help="Unset: no rules.")


class _RuleSet:
    """One configuration, prepared: of the filter, or of a route."""

    __slots__ = ("rules", "shadow_rules", "labels", "shadow_labels", "per_policy")

    def __init__(self, config: RbacConfig) -> None:
        self.rules = None if config.rules is None else Rules(config.rules)
        self.shadow_rules = None if config.shadow_rules is None else Rules(config.shadow_rules)
        self.labels = VerdictLabels("enforced", config.rules_stat_prefix)
        self.shadow_labels = VerdictLabels("shadow", config.shadow_rules_stat_prefix)
        self.per_policy = config.track_per_rule_stats


class RbacFilter(HttpFilter):
    """One request before its rules."""

    __slots__ = ("decoder", "encoder", "_rule_set", "_stats")

    def __init__(self, rule_set: _RuleSet, stats: RbacStats) -> None:
        self._rule_set = rule_set
        self._stats = stats

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Judge it: the shadow rules first, so that the rules can read what they said."""
        rule_set: _RuleSet = self.decoder.route_config() or self._rule_set
        if rule_set.rules is None and rule_set.shadow_rules is None:
            return CONTINUE
        info = self.decoder.info
        facts = Facts(info, self.decoder.connection.info)
        if rule_set.shadow_rules is not None:
            shadow = rule_set.shadow_rules.judge(facts)
            info.set_dynamic_metadata(METADATA_NAMESPACE, rule_set.shadow_labels.metadata(shadow))
            self._stats.shadow(shadow, rule_set.per_policy)
        return CONTINUE if rule_set.rules is None else self._enforce(rule_set, rule_set.rules, facts)

    def _enforce(self, rule_set: _RuleSet, rules: Rules, facts: Facts) -> FilterStatus:
        verdict = rules.judge(facts)
        facts.info.set_dynamic_metadata(METADATA_NAMESPACE, rule_set.labels.metadata(verdict))
        if rules.action == "LOG":
            facts.info.set_dynamic_metadata(LOG_NAMESPACE, log_hint(verdict))
        self._stats.enforced(verdict, rule_set.per_policy)
        if verdict.allowed:
            return CONTINUE
        self.decoder.send_local_reply(403, DENIED_BODY, denied_details(verdict.policy))
        return STOP_ITERATION


def build(config: RbacConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """Compile the rules. Raises ConfigError for matchers that do not exist."""
    rule_set = _prepare(config, context.path)
    stats = RbacStats(context.scope.scope("rbac"), config.shadow_rules_stat_prefix, config.rules_stat_prefix)
    return lambda: RbacFilter(rule_set, stats)


def build_route(config: RbacPerRoute, context: HttpFactoryContext) -> _RuleSet:
    """The rules of a route."""
    return _prepare(config.rbac or RbacConfig(), f"{context.path}.rbac")


def _prepare(config: RbacConfig, path: str) -> _RuleSet:
    problems = unknown_matchers(config, path)
    if problems:
        raise ConfigError(problems)
    return _RuleSet(config)


EXTENSION = HttpExtension(RbacConfig, build, RbacPerRoute, build_route)
