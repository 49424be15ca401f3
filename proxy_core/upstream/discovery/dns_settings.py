"""The settings of a DNS cluster: from the fields of the cluster, or from the DNS cluster extension. Mirrors
`createDnsClusterFromLegacyFields`.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple, Optional, Tuple

from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.core import TypedExtensionConfig
from ...config.model.discovery import RefreshRate

DEFAULT_REFRESH: Final = 5.0
MAX_OF_BASE: Final = 10  # the default of max_interval, in base intervals


class DnsSettings(NamedTuple):
    """Times in seconds. failure_intervals: (first, longest); None = a failure waits for `refresh` like a
    success."""

    refresh: float
    failure_intervals: Optional[Tuple[float, float]]
    jitter: float
    family: str
    resolver: Optional[TypedExtensionConfig]


def dns_settings(config: ClusterConfig) -> DnsSettings:
    """What holds for this cluster. The extension hides the fields of the cluster, as in Envoy."""
    extension = config.dns_cluster
    if extension is not None:
        rate: Optional[RefreshRate] = extension.dns_failure_refresh_rate
        refresh, jitter = extension.dns_refresh_rate, extension.dns_jitter
        family, resolver = extension.dns_lookup_family, extension.typed_dns_resolver_config
    else:
        rate = config.dns_failure_refresh_rate
        refresh, jitter = config.dns_refresh_rate, config.dns_jitter
        family, resolver = config.dns_lookup_family, config.typed_dns_resolver_config
    return DnsSettings(refresh or DEFAULT_REFRESH, _intervals(rate), jitter or 0.0, family, resolver)


def _intervals(rate: Optional[RefreshRate]) -> Optional[Tuple[float, float]]:
    if rate is None or rate.base_interval is None:
        return None
    longest = rate.base_interval * MAX_OF_BASE if rate.max_interval is None else rate.max_interval
    return rate.base_interval, longest


class Pace:
    """How long to wait before the next question. rng: the source of jitter."""

    __slots__ = ("_settings", "_random", "_interval")

    def __init__(self, settings: DnsSettings, rng: random.Random) -> None:
        self._settings = settings
        self._random = rng
        self._interval = 0.0

    def after_success(self) -> float:
        """Seconds; the next failure is the first again."""
        self._interval = 0.0
        return self._settings.refresh + self._random.random() * self._settings.jitter

    def after_failure(self) -> float:
        """Seconds: at random below an interval that doubles, as `JitteredExponentialBackOffStrategy`."""
        if self._settings.failure_intervals is None:
            return self._settings.refresh
        first, longest = self._settings.failure_intervals
        self._interval = min(self._interval * 2, longest) if self._interval else first
        return self._random.random() * self._interval
