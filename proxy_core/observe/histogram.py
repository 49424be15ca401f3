"""A histogram with log-linear bins of two significant digits, as Envoy's circllhist.

Values fall into bins like [10, 11), [11, 12) ... [100, 110): the error is at most ten percent and the memory
is a few small dicts, whatever the number of values. Envoy merges its per-thread histograms every 5 s, and a
reader sees the merged state only. Here the merge is lazy: values wait in `_pending` with the number of the
period they were recorded in, and the first touch in a later period moves them on. An idle process has no
timer to wake up for this.
"""

from __future__ import annotations

import math
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

Number = Union[int, float]

QUANTILES: Tuple[float, ...] = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100)

# Upper bounds that Envoy reports for every histogram without a bucket setting of its own.
BOUNDS: Tuple[float, ...] = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000,
    1800000, 3600000,
)

_ZERO_BIN = -100000  # below the key of every other bin, so that sorted keys are sorted values
_MAX_EXPONENT = 127
_MOST_PENDING = 1000  # different values


class Bin(NamedTuple):
    """One non-empty bin: so many values v with lower_bound <= v < lower_bound + width."""

    lower_bound: float
    width: float
    values: int


def bin_key(value: Number) -> int:
    """The bin of a value: exponent * 100 + two leading digits. Zero and below share one bin."""
    if value <= 0:
        return _ZERO_BIN
    exponent = int(f"{value:.15e}".split("e")[1])
    if exponent > _MAX_EXPONENT:
        return _MAX_EXPONENT * 100 + 99
    if exponent < -_MAX_EXPONENT:
        return _ZERO_BIN
    if exponent >= 1:
        digits = int(value / 10 ** (exponent - 1))
    else:  # the small factor keeps 0.29 * 100 = 28.999999999999996 in the bin of 29
        digits = int(value * 10 ** (1 - exponent) * (1 + 1e-12))
    return exponent * 100 + min(max(digits, 10), 99)


def bin_lower_bound(key: int) -> float:
    """The smallest value of a bin."""
    if key == _ZERO_BIN:
        return 0.0
    exponent, digits = divmod(key, 100)
    return float(digits * 10 ** (exponent - 1)) if exponent >= 1 else digits / 10 ** (1 - exponent)


def bin_width(key: int) -> float:
    """How far a bin reaches above its lower bound; 0 for the bin of zero."""
    if key == _ZERO_BIN:
        return 0.0
    exponent = key // 100
    return float(10 ** (exponent - 1)) if exponent >= 1 else 1 / 10 ** (1 - exponent)


class Distribution:
    """A set of recorded values, already binned: a read-only view for the renderers."""

    __slots__ = ("_bins",)

    def __init__(self, bins: Dict[int, int]) -> None:
        self._bins = bins

    @property
    def count(self) -> int:
        return sum(self._bins.values())

    def bins(self) -> List[Bin]:
        """The non-empty bins, smallest values first."""
        return [Bin(bin_lower_bound(key), bin_width(key), self._bins[key]) for key in sorted(self._bins)]

    def sum(self) -> float:
        """The approximate sum: each value counts as the harmonic middle of its bin, as circllhist does it."""
        total = 0.0
        for lower, width, count in self.bins():
            if lower:
                upper = lower + width
                total += count * (2 * lower * upper / (lower + upper))
        return total

    def quantiles(self, percents: Sequence[float] = QUANTILES) -> List[Optional[float]]:
        """The values at these percentages, rising; all None when nothing was recorded.

        The n values of a bin are taken as spread evenly inside it, so one value of 1 reads 1.05 (the middle
        of [1, 1.1)) and three read 1.025, 1.05 and 1.075.
        """
        total = self.count
        if not total:
            return [None] * len(percents)
        bins = self.bins()
        index, below = 0, 0
        answers: List[Optional[float]] = []
        for percent in percents:
            rank = max(1, math.ceil(percent / 100 * total))
            while below + bins[index].values < rank and index + 1 < len(bins):
                below += bins[index].values
                index += 1
            lower, width, count = bins[index]
            answers.append(lower + width * (rank - below) / (count + 1))
        return answers

    def counts_up_to(self, bounds: Sequence[float] = BOUNDS) -> List[int]:
        """For each bound the number of values in bins that begin at or below it (cumulative)."""
        bins = self.bins()
        return [sum(item.values for item in bins if item.lower_bound <= bound) for bound in bounds]


class Periods:
    """The merge periods of all histograms, `length` seconds each; the first one begins at once. clock: seconds."""

    __slots__ = ("clock", "_started", "_length")

    def __init__(self, clock: Callable[[], float], length: float) -> None:
        self.clock = clock
        self._started = clock()
        self._length = length

    def present(self) -> int:
        """The number of the present one, from 0."""
        return int((self.clock() - self._started) // self._length)

    def end(self) -> float:
        """When it will be over, by the clock."""
        return self._started + (self.present() + 1) * self._length


class Histogram:
    """A named histogram. `record` is the writer's side; `interval` and `cumulative` are the reader's.

    name: the full dotted name. unit: "ms", "bytes", "" (for people only).
    family, tags: see `stats.Scope`.
    """

    __slots__ = ("name", "unit", "family", "tags", "_periods", "_clock", "_recorded_in", "_until", "_pending", "_merged",
                 "_interval", "_cumulative")

    def __init__(self, name: str, unit: str, family: str, tags: Tuple[Tuple[str, str], ...], periods: Periods) -> None:
        self.name = name
        self.unit = unit
        self.family = family
        self.tags = tags
        self._periods = periods
        self._clock = periods.clock
        self._recorded_in = periods.present()
        self._until = periods.end()
        self._pending: Dict[Number, int] = {}  # values as recorded: finding their bins can wait until the period ends
        self._merged: Dict[int, int] = {}  # bins of this period's earlier values, when there were many different ones
        self._interval: Dict[int, int] = {}
        self._cumulative: Dict[int, int] = {}

    def record(self, value: Number) -> None:
        """Count one value. Negative values count as 0."""
        if self._clock() >= self._until:
            self._rotate()
        pending = self._pending
        pending[value] = pending.get(value, 0) + 1
        if len(pending) > _MOST_PENDING:
            self._merge()

    @property
    def used(self) -> bool:
        """Whether a value was recorded and merged."""
        return bool(self.cumulative().count)

    def interval(self) -> Distribution:
        """The values of the last complete period."""
        self._rotate()
        return Distribution(self._interval)

    def cumulative(self) -> Distribution:
        """All values of complete periods."""
        self._rotate()
        return Distribution(self._cumulative)

    def _rotate(self) -> None:
        period = self._periods.present()
        if period == self._recorded_in:
            return
        self._until = self._periods.end()
        self._merge()
        for key, count in self._merged.items():
            self._cumulative[key] = self._cumulative.get(key, 0) + count
        # After two or more periods without a touch the last complete one was empty.
        self._interval = self._merged if period == self._recorded_in + 1 else {}
        self._merged = {}
        self._recorded_in = period

    def _merge(self) -> None:
        """Sort the pending values into their bins."""
        for value, count in self._pending.items():
            key = bin_key(value)
            self._merged[key] = self._merged.get(key, 0) + count
        self._pending.clear()
