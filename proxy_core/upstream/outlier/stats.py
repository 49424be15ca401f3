"""`cluster.<name>.outlier_detection.`"""

from __future__ import annotations

from ...observe.stats import Scope
from . import kinds
from .kinds import Kind


class OutlierStats:
    """All counters exist from the start, as Envoy's."""

    __slots__ = ("ejections_active", "ejections_overflow", "ejections_enforced_total", "_detected", "_enforced", "_old_total",
                 "_old_detected")

    def __init__(self, scope: Scope) -> None:
        self.ejections_active = scope.gauge("ejections_active")
        self.ejections_overflow = scope.counter("ejections_overflow")
        self.ejections_enforced_total = scope.counter("ejections_enforced_total")
        self._detected = {kind: scope.counter(f"ejections_detected_{kind.stat}") for kind in kinds.ALL}
        self._enforced = {kind: scope.counter(f"ejections_enforced_{kind.stat}") for kind in kinds.ALL}
        self._old_total = scope.counter("ejections_total")
        # Names from before there were two: they count what is detected, also of local origin for the rate.
        self._old_detected = {kinds.CONSECUTIVE_5XX: scope.counter("ejections_consecutive_5xx")}
        rate = scope.counter("ejections_success_rate")
        self._old_detected[kinds.SUCCESS_RATE] = self._old_detected[kinds.SUCCESS_RATE_LOCAL_ORIGIN] = rate
        scope.zeros(counters=("ejections_detected_degradation",))

    def detected(self, kind: Kind) -> None:
        """A host is an outlier."""
        self._detected[kind].inc()
        if kind in self._old_detected:
            self._old_detected[kind].inc()

    def permitted(self, kind: Kind) -> None:
        """It may be ejected, whether or not that is enforced."""
        if kind in (kinds.CONSECUTIVE_5XX, kinds.SUCCESS_RATE):
            self._old_total.inc()

    def enforced(self, kind: Kind) -> None:
        """It is ejected."""
        self._enforced[kind].inc()
        self.ejections_enforced_total.inc()
        self.ejections_active.inc()
