"""One configured rbac filter, prepared: compiled rules, bound stats, and what all of its connections share."""

from __future__ import annotations

from typing import Any, Optional

from ....observe.stats import Scope
from ...rbac.outcome import VerdictLabels, without_dot
from ...rbac.rules import Rules
from .config import RbacConfig


class RbacStats:
    """`<stat_prefix>.rbac.`; the shadow pair below the prefix of its own, if there is one."""

    __slots__ = ("allowed", "denied", "shadow_allowed", "shadow_denied")

    def __init__(self, scope: Scope, shadow_prefix: str) -> None:
        shadow = scope.scope(without_dot(shadow_prefix)) if shadow_prefix else scope
        self.allowed = scope.counter("allowed")
        self.denied = scope.counter("denied")
        self.shadow_allowed = shadow.counter("shadow_allowed")
        self.shadow_denied = shadow.counter("shadow_denied")


class Prepared:
    """See the module docstring. stats: the root store (any object with `scope(name)`). delay: seconds."""

    __slots__ = ("rules", "shadow_rules", "stats", "delay", "continuous", "asks_certificate", "asks_state", "shadow_labels")

    def __init__(self, config: RbacConfig, stats: Any) -> None:
        self.rules = _compile(config.rules)
        self.shadow_rules = _compile(config.shadow_rules)
        self.stats = RbacStats(stats.scope(f"{without_dot(config.stat_prefix)}.rbac"), config.shadow_rules_stat_prefix)
        self.delay = config.delay_deny or 0.0
        self.continuous = config.enforcement_type == "CONTINUOUS"
        used = [rules for rules in (self.rules, self.shadow_rules) if rules is not None]
        self.asks_certificate = any(rules.asks_certificate for rules in used)
        self.asks_state = any(rules.asks_state for rules in used)
        self.shadow_labels = VerdictLabels("shadow", config.shadow_rules_stat_prefix)


def _compile(config: Any) -> Optional[Rules]:
    return None if config is None else Rules(config)
