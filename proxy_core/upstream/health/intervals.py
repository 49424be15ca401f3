"""When the next probe is due. Mirrors `HealthCheckerImplBase::interval`.

    traffic yet?  result   more needed to change?   interval
    no            passed   no                       no_traffic_healthy_interval
    no            other                             no_traffic_interval
    yes           passed   no                       interval
    yes           passed   yes                      healthy_edge_interval
    yes           failed   no                       unhealthy_interval
    yes           failed   yes                      unhealthy_edge_interval

All in seconds. "Traffic" is a connection that was ever made for the sake of a client.
"""

from __future__ import annotations

import random
from typing import Callable, Final, Optional

from ...config.model.health_check import HealthCheck

DEFAULT_NO_TRAFFIC_INTERVAL: Final = 60.0
LEAST: Final = 0.001  # no probe follows another without a pause

RuntimeInteger = Callable[[str], Optional[int]]


def no_runtime(key: str) -> Optional[int]:
    """A runtime without keys."""
    return None


class Intervals:
    """The intervals of one check. runtime: whole numbers by key; `health_check.min_interval` and `max_interval` (milliseconds)
    bound what the configuration says."""

    def __init__(self, config: HealthCheck, rng: random.Random, runtime: RuntimeInteger = no_runtime) -> None:
        assert config.interval is not None  # required
        self._random = rng
        self._runtime = runtime
        self._interval = config.interval
        self._unhealthy = _first(config.unhealthy_interval, config.interval)
        self._healthy_edge = _first(config.healthy_edge_interval, config.interval)
        self._unhealthy_edge = _first(config.unhealthy_edge_interval, self._unhealthy)
        self._no_traffic = _first(config.no_traffic_interval, DEFAULT_NO_TRAFFIC_INTERVAL)
        self._no_traffic_healthy = _first(config.no_traffic_healthy_interval, self._no_traffic)
        self._jitter = config.interval_jitter or 0.0
        self._jitter_share = config.interval_jitter_percent / 100
        self._initial_jitter = config.initial_jitter or 0.0

    def before_first(self) -> float:
        """How long the first probe of a host waits; 0 for not at all."""
        return self._bounded(self._random.random() * self._initial_jitter) if self._initial_jitter else 0.0

    def after(self, passed: bool, pending: bool, had_traffic: bool) -> float:
        """How long the next probe waits after a result."""
        if not had_traffic:
            base = self._no_traffic_healthy if passed and not pending else self._no_traffic
        elif passed:
            base = self._healthy_edge if pending else self._interval
        else:
            base = self._unhealthy_edge if pending else self._unhealthy
        extra = base * self._jitter_share + self._jitter
        return self._bounded(base + (self._random.random() * extra if extra else 0.0))

    def _bounded(self, seconds: float) -> float:
        most, least = self._runtime("health_check.max_interval"), self._runtime("health_check.min_interval")
        if most is not None:
            seconds = min(seconds, most / 1000)
        return max(seconds, LEAST, (least or 0) / 1000)


def _first(value: Optional[float], default: float) -> float:
    return default if value is None else value
