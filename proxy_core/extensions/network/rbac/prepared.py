"""One configured rbac filter, prepared: compiled rules, bound stats, and what all of its connections share."""

from __future__ import annotations

import re
from typing import Any, Optional

from ....observe.stats import Scope
from .config import RbacConfig
from .rules import Rules

_WHITESPACE = re.compile(r"[ \t\n\v\f\r]")


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

    __slots__ = ("rules", "shadow_rules", "stats", "delay", "continuous", "asks_certificate", "asks_state", "_shadow_keys")

    def __init__(self, config: RbacConfig, stats: Any) -> None:
        self.rules = _compile(config.rules)
        self.shadow_rules = _compile(config.shadow_rules)
        self.stats = RbacStats(stats.scope(f"{without_dot(config.stat_prefix)}.rbac"), config.shadow_rules_stat_prefix)
        self.delay = config.delay_deny or 0.0
        self.continuous = config.enforcement_type == "CONTINUOUS"
        used = [rules for rules in (self.rules, self.shadow_rules) if rules is not None]
        self.asks_certificate = any(rules.asks_certificate for rules in used)
        self.asks_state = any(rules.asks_state for rules in used)
        prefix = config.shadow_rules_stat_prefix
        self._shadow_keys = (f"{prefix}shadow_effective_policy_id", f"{prefix}shadow_engine_result")

    def shadow_metadata(self, allowed: bool, policy: str) -> Any:
        """What the shadow rules leave in the dynamic metadata."""
        policy_key, result_key = self._shadow_keys
        result = {result_key: "allowed" if allowed else "denied"}
        return {policy_key: policy, **result} if policy else result


def termination_details(policy: str) -> str:
    """%CONNECTION_TERMINATION_DETAILS% of a denied connection: one word, whatever the policy is called."""
    return f"rbac_access_denied_matched_policy[{_WHITESPACE.sub('_', policy) or 'none'}]"


def without_dot(prefix: str) -> str:
    """A stat prefix may be written with or without its last dot."""
    return prefix[:-1] if prefix.endswith(".") else prefix


def _compile(config: Any) -> Optional[Rules]:
    return None if config is None else Rules(config)
