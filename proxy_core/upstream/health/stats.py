"""`cluster.<name>.health_check.`: what probes came to, and how many hosts pass."""

from __future__ import annotations

from typing import Callable, Final, Iterable

from ...observe.stats import Scope
from .outcome import PASSIVE, Outcome

COUNTERS: Final = ("attempt", "success", "failure", "network_failure", "passive_failure", "verify_cluster")


class HealthCheckStats:
    """The counters of one check."""

    __slots__ = COUNTERS

    def __init__(self, scope: Scope) -> None:
        self.attempt = scope.counter("attempt")
        self.success = scope.counter("success")
        self.failure = scope.counter("failure")
        self.network_failure = scope.counter("network_failure")
        self.passive_failure = scope.counter("passive_failure")
        self.verify_cluster = scope.counter("verify_cluster")

    def count(self, outcome: Outcome) -> None:
        """One probe is over."""
        if not outcome.failure:
            self.success.inc()
            return
        self.failure.inc()
        if outcome.is_network:
            self.network_failure.inc()
        elif outcome.failure == PASSIVE:
            self.passive_failure.inc()


def show_standings(scope: Scope, passing: Callable[[], Iterable[bool]], degraded: Callable[[], Iterable[bool]]) -> None:
    """The gauges `healthy` and `degraded`, worked out when somebody looks: counts of what is true. Envoy's own gauge of degraded
    hosts never falls again."""
    scope.computed("healthy", lambda: sum(passing()))
    scope.computed("degraded", lambda: sum(degraded()))
