"""Ejects the outliers of one cluster and brings them back. Mirrors `DetectorImpl`.

    host in rotation  --enough failures in a row, or a rate too bad-->             detected
    detected          --not too many ejected already, and enforced this time-->    ejected, for multiplier x base time
    ejected           --that time is over at a tick, or a health check passes-->   in rotation

A tick comes every `interval`: it ends ejections, compares the rates of the hosts over the interval that is over, and lowers
the multipliers of the hosts in rotation.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Mapping, Optional, Sequence, Tuple

from ...event.reactor import Reactor
from ...event.timers import Timer
from ..host import FAILED_OUTLIER_CHECK, Host
from . import kinds
from .events import BY_FAILURE_PERCENTAGE, BY_SUCCESS_RATE, CONSECUTIVE, EventLog
from .kinds import Kind
from .monitor import NO_RATE, HostMonitor, Tally
from .rates import Rated, by_failure_percentage, by_success_rate
from .settings import Settings
from .stats import OutlierStats

# (what is counted, kind of ejection by success rate, by failure percentage)
_ORIGINS: Final[Sequence[Tuple[Callable[[HostMonitor], Tally], Kind, Kind]]] = (
    (lambda monitor: monitor.external, kinds.SUCCESS_RATE, kinds.FAILURE_PERCENTAGE),
    (lambda monitor: monitor.local, kinds.SUCCESS_RATE_LOCAL_ORIGIN, kinds.FAILURE_PERCENTAGE_LOCAL_ORIGIN),
)


class OutlierDetector:
    """on_changed: told of each host that was ejected (True) or brought back (False)."""

    def __init__(
        self, cluster_name: str, settings: Settings, reactor: Reactor, stats: OutlierStats, log: EventLog,
        on_changed: Callable[[Host, bool], None],
    ) -> None:
        self.settings = settings
        # Average and threshold of the success rates at the last tick: of answers, of local origin.
        self.rates: List[Tuple[float, float]] = [(NO_RATE, NO_RATE), (NO_RATE, NO_RATE)]
        self._cluster_name = cluster_name
        self._reactor = reactor
        self._stats = stats
        self._log = log
        self._on_changed = on_changed
        self._monitors: Dict[Host, HostMonitor] = {}
        self._ejected = 0  # ejections that are not over; a host may be ejected for two reasons at once
        self._timer: Optional[Timer] = None

    def add(self, hosts: Sequence[Host]) -> None:
        """Watch new hosts."""
        for host in hosts:
            host.outlier = self._monitors[host] = HostMonitor(host, self)

    def remove(self, hosts: Sequence[Host]) -> None:
        """They are gone."""
        for host in hosts:
            monitor = self._monitors.pop(host, None)
            if monitor is not None:
                host.outlier = None
                host.flags &= ~FAILED_OUTLIER_CHECK
                self._end_ejections(monitor)

    def start(self) -> None:
        """Tick from now on."""
        self._timer = self._reactor.after(self.settings.interval, self._on_interval, self)

    def close(self) -> None:
        """Tick no more; nobody stays ejected on account of this detector."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.remove(list(self._monitors))

    def monitor(self, host: Host) -> Optional[HostMonitor]:
        """What is known of a host."""
        return self._monitors.get(host)

    def on_health_check_passed(self, host: Host) -> None:
        """An active health check says that this host is well."""
        monitor = self._monitors.get(host)
        if monitor is not None and host.flags & FAILED_OUTLIER_CHECK and self.settings.health_check_unejects:
            self._bring_back(monitor)

    def on_consecutive(self, monitor: HostMonitor, kind: Kind) -> bool:
        """As many failures in a row as make an outlier; whether counting begins again. One that is ejected already goes on
        counting, and so is not found again while everybody fails."""
        if monitor.host not in self._monitors or monitor.host.flags & FAILED_OUTLIER_CHECK:
            return False
        self._detected(monitor, kind, CONSECUTIVE, {})
        return True

    def on_ready(self, mask: int) -> None:
        """A detector watches no descriptor."""

    def on_failure(self, error: Exception) -> None:
        """A bug in a tick: there will be another one."""
        self.start()

    # -- ticks -----------------------------------------------------------------------------------------------------

    def _on_interval(self) -> None:
        self._timer = None
        now = self._reactor.now
        monitors = list(self._monitors.values())
        for monitor in monitors:
            if monitor.host.flags & FAILED_OUTLIER_CHECK and monitor.ejected_at is not None:
                if now - monitor.ejected_at >= self.settings.ejection_time(monitor.multiplier) + monitor.jitter:
                    self._bring_back(monitor)
        for which in range(len(_ORIGINS)):
            self._compare(which, monitors)
        for monitor in monitors:
            if monitor.multiplier and not monitor.host.flags & FAILED_OUTLIER_CHECK:
                monitor.multiplier -= 1
        self.start()

    def _compare(self, which: int, monitors: Sequence[HostMonitor]) -> None:
        tally_of, rate_kind, percentage_kind = _ORIGINS[which]
        number = self.settings.number
        rate_volume, percentage_volume = number("success_rate_request_volume"), number("failure_percentage_request_volume")
        rated = []
        for monitor in monitors:
            tally = tally_of(monitor)
            volume, rate = tally.total, tally.take()
            tally.rate = NO_RATE
            if rate is not None and not monitor.host.flags & FAILED_OUTLIER_CHECK:
                rated.append(Rated(monitor, rate, volume))
                if volume >= min(rate_volume, percentage_volume):
                    tally.rate = rate
        self.rates[which] = (NO_RATE, NO_RATE)
        verdict = by_success_rate(
            rated, number("success_rate_minimum_hosts"), rate_volume, number("success_rate_stdev_factor")
        )
        if verdict is not None:
            self.rates[which] = (verdict.average, verdict.threshold)
            for one in verdict.outliers:
                self._detected(one.monitor, rate_kind, BY_SUCCESS_RATE, {
                    "host_success_rate": int(one.rate), "cluster_average_success_rate": int(verdict.average),
                    "cluster_success_rate_ejection_threshold": int(verdict.threshold),
                })
        for one in by_failure_percentage(
            rated, number("failure_percentage_minimum_hosts"), percentage_volume, number("failure_percentage_threshold")
        ):
            self._detected(one.monitor, percentage_kind, BY_FAILURE_PERCENTAGE, {"host_success_rate": int(one.rate)})

    # -- ejecting --------------------------------------------------------------------------------------------------

    def _detected(self, monitor: HostMonitor, kind: Kind, what: str, details: Mapping[str, Any]) -> None:
        self._stats.detected(kind)
        percent = 100.0 * (self._ejected + 1) / len(self._monitors)
        allowed = percent <= min(100, self.settings.number("max_ejection_percent"))
        if not allowed and not (self.settings.always_eject_one and not self._ejected):
            self._stats.ejections_overflow.inc()
            return
        self._stats.permitted(kind)
        enforced = self.settings.enforces(kind.enforcing)
        if enforced:
            self._eject(monitor, kind)
        self._log.ejected(self._cluster_name, monitor, kind, enforced, what, details)

    def _eject(self, monitor: HostMonitor, kind: Kind) -> None:
        settings = self.settings
        self._ejected += 1
        monitor.active_ejections += 1
        self._stats.enforced(kind)
        monitor.host.flags |= FAILED_OUTLIER_CHECK
        monitor.num_ejections += 1
        monitor.ejected_at = self._reactor.now
        if monitor.multiplier * settings.base_ejection_time < settings.max_ejection_time + settings.base_ejection_time:
            monitor.multiplier += 1
        monitor.jitter = settings.jitter()
        self._on_changed(monitor.host, True)

    def _bring_back(self, monitor: HostMonitor) -> None:
        self._end_ejections(monitor)
        monitor.host.flags &= ~FAILED_OUTLIER_CHECK
        monitor.forget()  # in a panic it may have gone on to fail, and must not be ejected for the next failure alone
        monitor.unejected_at = self._reactor.now
        self._on_changed(monitor.host, False)
        self._log.unejected(self._cluster_name, monitor)

    def _end_ejections(self, monitor: HostMonitor) -> None:
        """Envoy takes one off here even if two reasons had ejected the host at once, and forgets the other for ever."""
        self._ejected -= monitor.active_ejections
        self._stats.ejections_active.dec(monitor.active_ejections)
        monitor.active_ejections = 0
