"""How much of their time requests take: `upstream_rq_timeout_budget_*`.

Place in the data's way: a cluster whose `track_cluster_stats` has `timeout_budgets` has one; the router tells it.
"""

from __future__ import annotations

from ...observe.histogram import Histogram
from ...observe.stats import Scope


class TimeoutBudget:
    """Of one cluster. Times in seconds; without a timeout nothing is used of it, as in Envoy's
    `FilterUtility::percentageOfTimeout`."""

    __slots__ = ("_overall", "_per_try")

    def __init__(self, scope: Scope) -> None:
        self._overall: Histogram = scope.histogram("upstream_rq_timeout_budget_percent_used")
        self._per_try: Histogram = scope.histogram("upstream_rq_timeout_budget_per_try_percent_used")

    def answered(self, taken: float, timeout: float) -> None:
        """A request was answered by its upstream, or because its time was over. taken: from its end on."""
        self._overall.record(_percent(taken, timeout))

    def tried(self, taken: float, timeout: float) -> None:
        """An attempt is over. taken: from its beginning on, the wait for a connection too."""
        self._per_try.record(_percent(taken, timeout))


def _percent(taken: float, timeout: float) -> int:
    return int(int(taken * 1000) * 100 / (timeout * 1000)) if timeout else 0
