"""One configured rbac filter, prepared: compiled rules, bound stats, and what all of its connections share."""

from __future__ import annotations

from typing import Any, Optional

from ...rbac.outcome import VerdictLabels, without_dot
from ...rbac.rules import Rules
from ...rbac.stats import RbacStats
from .config import RbacConfig


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
