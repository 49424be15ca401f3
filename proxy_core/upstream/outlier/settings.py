"""The numbers of one cluster's outlier detection: a runtime key wins over the configuration, that over Envoy's default."""

from __future__ import annotations

import random
from typing import Callable, Final, Optional

from ...config.model.outlier import OutlierDetection

RuntimeInteger = Callable[[str], Optional[int]]

DEFAULTS: Final = {
    "consecutive_5xx": 5, "consecutive_gateway_failure": 5, "consecutive_local_origin_failure": 5,
    "enforcing_consecutive_5xx": 100, "enforcing_consecutive_gateway_failure": 0,
    "enforcing_consecutive_local_origin_failure": 100, "max_ejection_percent": 10,
    "success_rate_minimum_hosts": 5, "success_rate_request_volume": 100, "success_rate_stdev_factor": 1900,
    "enforcing_success_rate": 100, "enforcing_local_origin_success_rate": 100,
    "failure_percentage_threshold": 85, "failure_percentage_minimum_hosts": 5, "failure_percentage_request_volume": 50,
    "enforcing_failure_percentage": 0, "enforcing_failure_percentage_local_origin": 0,
}
DEFAULT_INTERVAL: Final = 10.0
DEFAULT_BASE_EJECTION_TIME: Final = 30.0
DEFAULT_MAX_EJECTION_TIME: Final = 300.0
PREFIX: Final = "outlier_detection."


class Settings:
    """runtime: whole numbers by key. Durations have keys that end with `_ms`."""

    __slots__ = ("_config", "_runtime", "_random", "split", "always_eject_one", "health_check_unejects")

    def __init__(self, config: OutlierDetection, runtime: RuntimeInteger, rng: random.Random) -> None:
        self._config = config
        self._runtime = runtime
        self._random = rng
        self.split = config.split_external_local_origin_errors
        self.always_eject_one = bool(config.always_eject_one_host)
        self.health_check_unejects = config.successful_active_health_check_uneject_host is not False

    def number(self, name: str) -> int:
        """A setting of `DEFAULTS`."""
        overridden = self._runtime(PREFIX + name)
        if overridden is not None:
            return overridden
        configured: Optional[int] = getattr(self._config, name)
        return DEFAULTS[name] if configured is None else configured

    def enforces(self, name: str) -> bool:
        """Whether this time is among the percentage that is acted upon."""
        percent = self.number(name)
        return percent >= 100 or percent > 0 and self._random.random() * 100 < percent

    @property
    def interval(self) -> float:
        """Seconds between two looks at ejected hosts and rates."""
        return self._seconds("interval", DEFAULT_INTERVAL)

    def ejection_time(self, times: int) -> float:
        """Seconds that an ejection lasts, without jitter. times: the multiplier."""
        return min(self.base_ejection_time * times, self.max_ejection_time)

    @property
    def base_ejection_time(self) -> float:
        """Seconds of the first ejection."""
        return self._seconds("base_ejection_time", DEFAULT_BASE_EJECTION_TIME)

    @property
    def max_ejection_time(self) -> float:
        """Seconds of the longest ejection."""
        base = self._config.base_ejection_time
        longest = max(DEFAULT_MAX_EJECTION_TIME, DEFAULT_BASE_EJECTION_TIME if base is None else base)
        return self._seconds("max_ejection_time", longest)

    def jitter(self) -> float:
        """Seconds that are added to one ejection."""
        most = self._seconds("max_ejection_time_jitter", 0.0)
        return self._random.random() * most if most else 0.0

    def _seconds(self, name: str, default: float) -> float:
        overridden = self._runtime(f"{PREFIX}{name}_ms")
        if overridden is not None:
            return overridden / 1000
        configured: Optional[float] = getattr(self._config, name)
        return default if configured is None else configured
