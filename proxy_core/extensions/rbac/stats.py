"""What is counted of verdicts: `<...>.rbac.`."""

from __future__ import annotations

from typing import Final

from ...observe.stats import Scope
from .outcome import without_dot
from .rules import Verdict

_NAMES: Final = {True: "allowed", False: "denied"}


class RbacStats:
    """scope: of the filter. shadow_prefix, rules_prefix: where the pair of the kind is a level deeper, "" where it is not."""

    __slots__ = ("allowed", "denied", "shadow_allowed", "shadow_denied", "_rules", "_shadow")

    def __init__(self, scope: Scope, shadow_prefix: str, rules_prefix: str = "") -> None:
        self._rules = scope.scope(without_dot(rules_prefix)) if rules_prefix else scope
        self._shadow = scope.scope(without_dot(shadow_prefix)) if shadow_prefix else scope
        self.allowed = self._rules.counter("allowed")
        self.denied = self._rules.counter("denied")
        self.shadow_allowed = self._shadow.counter("shadow_allowed")
        self.shadow_denied = self._shadow.counter("shadow_denied")

    def enforced(self, verdict: Verdict, per_policy: bool = False) -> None:
        """A verdict of the rules. per_policy: count it for its policy as well."""
        (self.allowed if verdict.allowed else self.denied).inc()
        if per_policy and verdict.policy:
            self._rules.counter(f"policy.{verdict.policy}.{_NAMES[verdict.allowed]}").inc()

    def shadow(self, verdict: Verdict, per_policy: bool = False) -> None:
        """A verdict of the shadow rules."""
        (self.shadow_allowed if verdict.allowed else self.shadow_denied).inc()
        if per_policy and verdict.policy:
            self._shadow.counter(f"policy.{verdict.policy}.shadow_{_NAMES[verdict.allowed]}").inc()
