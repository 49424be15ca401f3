"""One host: how its last connections and requests went. Mirrors `DetectorHostMonitorImpl`.

Without `split_external_local_origin_errors` a failure to connect counts as an answer of 503 (504 if it took too long) and a TCP
connection as one of 200. With it, what happens on the way to the host is counted apart from what it answers.

What is good costs a few stores, no lookup.
"""

from __future__ import annotations

from typing import Final, Optional, Protocol, Tuple

from ..host import Host
from . import kinds
from .kinds import Kind
from .settings import Settings

NO_RATE: Final = -1.0  # what Envoy shows without one
GATEWAY_ERRORS: Final = (502, 503, 504)


class Tally:
    """What is counted between two ticks, and the success rate that came of it (percent)."""

    __slots__ = ("successes", "total", "rate")

    def __init__(self) -> None:
        self.successes = 0
        self.total = 0
        self.rate = NO_RATE

    def take(self) -> Optional[float]:
        """The success rate of what was counted, None if that is nothing. `total` must be read before."""
        rate = 100.0 * self.successes / self.total if self.total else None
        self.successes = self.total = 0
        return rate


class Detector(Protocol):
    """Whom to tell."""

    settings: Settings

    def on_consecutive(self, monitor: HostMonitor, kind: Kind) -> bool:
        """As many failures in a row as make an outlier; whether counting begins again."""


class HostMonitor:
    """`host.OutlierMonitor`, with the memory of ejections.

    multiplier: how many base times the next ejection lasts, less one; it falls with every tick in good health.
    """

    __slots__ = (
        "host", "external", "local", "num_ejections", "active_ejections", "multiplier", "jitter", "ejected_at", "unejected_at",
        "_detector", "_split", "_consecutive_5xx", "_consecutive_gateway_failure", "_consecutive_local_origin_failure",
    )

    def __init__(self, host: Host, detector: Detector) -> None:
        self.host = host
        self.external = Tally()
        self.local = Tally()
        self.num_ejections = 0
        self.active_ejections = 0  # reasons for which it is ejected now
        self.multiplier = 0
        self.jitter = 0.0
        self.ejected_at: Optional[float] = None
        self.unejected_at: Optional[float] = None
        self._detector = detector
        self._split = detector.settings.split
        self.forget()

    def forget(self) -> None:
        """Nothing has happened in a row."""
        self._consecutive_5xx = 0
        self._consecutive_gateway_failure = 0
        self._consecutive_local_origin_failure = 0

    @property
    def success_rates(self) -> Tuple[float, float]:
        """At the last tick, in percent, -1 for none: of answers, of local origin."""
        return self.external.rate, self.local.rate

    def put_connected(self, final: bool) -> None:
        """A connection came up. final: nothing else will be said of it, as for TCP."""
        if self._split:
            self.local.total += 1
            self.local.successes += 1
            self._consecutive_local_origin_failure = 0
        elif final:
            self.put_response_code(200)

    def put_connect_failed(self, timed_out: bool) -> None:
        """A connection was refused, or took too long."""
        if not self._split:
            self.put_response_code(504 if timed_out else 503)
            return
        self.local.total += 1
        self._consecutive_local_origin_failure += 1
        if self._reached(self._consecutive_local_origin_failure, kinds.CONSECUTIVE_LOCAL_ORIGIN_FAILURE):
            self._consecutive_local_origin_failure = 0

    def put_response_code(self, code: int) -> None:
        """The host answered a request."""
        self.external.total += 1
        if not 500 <= code < 600:
            self.external.successes += 1
            self._consecutive_5xx = self._consecutive_gateway_failure = 0
            return
        if code in GATEWAY_ERRORS:
            self._consecutive_gateway_failure += 1
            if self._reached(self._consecutive_gateway_failure, kinds.CONSECUTIVE_GATEWAY_FAILURE):
                self._consecutive_gateway_failure = 0
        else:
            self._consecutive_gateway_failure = 0
        self._consecutive_5xx += 1
        if self._reached(self._consecutive_5xx, kinds.CONSECUTIVE_5XX):
            self._consecutive_5xx = 0

    def _reached(self, count: int, kind: Kind) -> bool:
        return count == self._detector.settings.number(kind.stat) and self._detector.on_consecutive(self, kind)
