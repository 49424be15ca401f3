"""One direction of a configured limit: the bucket that all its connections draw from, and what is counted of it."""

from __future__ import annotations

from typing import Final

from ....observe.stats import Scope
from ...feature_flag import FeatureFlag
from ...token_bucket import Clock, TokenBucket

# The rate that is shown is the mean of at least this many seconds.
RATE_PERIOD: Final = 1.0


class Direction:
    """See the module docstring. name: "read" or "write"; bytes_per_second: 0 lets nothing through. interval: seconds between
    two looks at what waits."""

    def __init__(
        self, name: str, bytes_per_second: int, interval: float, flag: FeatureFlag, scope: Scope, clock: Clock
    ) -> None:
        self.interval = interval
        self.blocks_all = not bytes_per_second
        self._flag = flag
        self._clock = clock
        self._bucket = TokenBucket(clock, bytes_per_second, bytes_per_second, 1.0)
        self._enabled = scope.counter(f"{name}_enabled")
        self._throttled = scope.counter(f"{name}_throttled")
        self._total = scope.counter(f"{name}_total_bytes")
        self._buffered = scope.gauge(f"{name}_bytes_buffered")
        self._rate = scope.gauge(f"{name}_rate_bps")
        self._period_since = -1.0
        self._period_bytes = 0

    @property
    def enabled(self) -> bool:
        """Whether the limit is switched on now."""
        return self._flag.enabled

    def seen(self) -> None:
        """Bytes, or an end, came while the limit is on."""
        self._enabled.inc()

    def covers(self, wanted: int) -> bool:
        """Whether all of `wanted` bytes may pass now; nothing is counted."""
        return not self._flag.enabled or self._bucket.holds(wanted)

    def allow(self, wanted: int) -> int:
        """How many of `wanted` bytes may pass now; they count as passed."""
        allowed = self._bucket.take_up_to(wanted) if self._flag.enabled else wanted
        if allowed:
            self._passed(allowed)
        return allowed

    def throttled(self) -> None:
        """Some of what came has to wait."""
        self._throttled.inc()

    def waiting(self, change: int) -> None:
        """So many bytes more, or less, wait."""
        self._buffered.inc(change)

    def _passed(self, count: int) -> None:
        self._total.inc(count)
        now = self._clock.now
        if self._period_since < 0:
            self._period_since = now
        self._period_bytes += count
        period = now - self._period_since
        if period >= RATE_PERIOD:
            self._rate.set(int(self._period_bytes / period))
            self._period_since = now
            self._period_bytes = 0


def make_stats(scope: Scope) -> None:
    """All names of both directions exist from the load on, whatever is limited."""
    for name in ("read", "write"):
        scope.zeros(
            counters=(f"{name}_enabled", f"{name}_throttled", f"{name}_total_bytes"),
            gauges=(f"{name}_bytes_buffered", f"{name}_rate_bps"),
        )
