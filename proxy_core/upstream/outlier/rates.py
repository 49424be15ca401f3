"""Who is worse than the others: the two statistics over the hosts of a cluster. Pure functions.

Mirrors `DetectorImpl::processSuccessRateEjections` and `successRateEjectionThreshold`.
"""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional, Sequence

from .monitor import HostMonitor


class Rated(NamedTuple):
    """One host's requests of the last interval. rate: successes in percent."""

    monitor: HostMonitor
    rate: float
    volume: int


class Verdict(NamedTuple):
    """average and threshold in percent; outliers: those below the threshold."""

    average: float
    threshold: float
    outliers: List[Rated]


def by_success_rate(
    rated: Sequence[Rated], minimum_hosts: int, request_volume: int, stdev_factor: int
) -> Optional[Verdict]:
    """Hosts that are further below the mean than so many standard deviations. stdev_factor: in thousandths.

    Only hosts with `request_volume` requests take part; None if there are fewer of these than `minimum_hosts`.
    """
    rates = [one.rate for one in rated if one.volume >= request_volume]
    if not rates or len(rates) < minimum_hosts:
        return None
    average = sum(rates) / len(rates)
    deviation = math.sqrt(sum((rate - average) ** 2 for rate in rates) / len(rates))
    threshold = average - deviation * stdev_factor / 1000
    outliers = [one for one in rated if one.volume >= request_volume and one.rate < threshold]
    return Verdict(average, threshold, outliers)


def by_failure_percentage(
    rated: Sequence[Rated], minimum_hosts: int, request_volume: int, threshold: int
) -> List[Rated]:
    """Hosts that fail at least `threshold` percent of their requests, under the same conditions."""
    taking_part = [one for one in rated if one.volume >= request_volume]
    if len(taking_part) < minimum_hosts:
        return []
    return [one for one in taking_part if 100.0 - one.rate >= threshold]
