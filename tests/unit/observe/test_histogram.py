"""Histogram bins, quantiles and the lazy five-second merge."""

from __future__ import annotations

import random

import pytest

from proxy_core.observe.histogram import BOUNDS, Histogram, bin_key, bin_lower_bound, bin_width
from proxy_core.observe.stats import StatsStore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make() -> "tuple[Clock, Histogram]":
    clock = Clock()
    return clock, StatsStore(clock).scope("s").histogram("h", "ms")


@pytest.mark.parametrize(
    ("value", "lower", "width"),
    [
        (0, 0, 0),
        (-3, 0, 0),
        (1, 1, 0.1),
        (0.29, 0.29, 0.01),
        (0.5, 0.5, 0.01),
        (9.99, 9.9, 0.1),
        (10, 10, 1),
        (99, 99, 1),
        (100, 100, 10),
        (109, 100, 10),
        (999, 990, 10),
        (1000, 1000, 100),
        (500, 500, 10),
        (123456789, 120000000, 10000000),
    ],
)
def test_a_value_falls_into_the_bin_of_its_two_leading_digits(
    value: float, lower: float, width: float
) -> None:
    assert bin_lower_bound(bin_key(value)) == pytest.approx(lower)
    assert bin_width(bin_key(value)) == pytest.approx(width)


def test_every_value_lies_in_its_bin_and_bins_sort_like_values() -> None:
    rng = random.Random(5)
    values = [rng.randrange(1, 10 ** rng.randrange(1, 12)) for _ in range(3000)]
    for value in values:
        key = bin_key(value)
        assert bin_lower_bound(key) <= value < bin_lower_bound(key) + bin_width(key)
    ordered = sorted(values)
    assert [bin_key(value) for value in ordered] == sorted(bin_key(value) for value in values)


def test_absurd_values_stay_in_the_outermost_bins() -> None:
    assert bin_key(1e300) == bin_key(1e200)
    assert bin_lower_bound(bin_key(1e-300)) == 0


def test_nothing_is_seen_before_the_first_merge() -> None:
    clock, histogram = make()
    histogram.record(1)
    assert histogram.cumulative().count == 0 and not histogram.used
    clock.now += 5
    assert histogram.cumulative().count == 1 and histogram.used


def test_the_interval_is_the_last_complete_period_only() -> None:
    clock, histogram = make()
    histogram.record(1)
    clock.now += 5
    histogram.record(500)
    assert histogram.interval().quantiles([50]) == [1.05]
    clock.now += 5
    assert histogram.interval().quantiles([50]) == [505]
    assert histogram.cumulative().count == 2
    clock.now += 5
    assert histogram.interval().quantiles([50]) == [None]
    assert histogram.cumulative().count == 2


def test_a_long_silence_empties_the_interval_at_once() -> None:
    clock, histogram = make()
    histogram.record(1)
    clock.now += 3600
    assert histogram.interval().count == 0
    assert histogram.cumulative().count == 1


def test_a_record_after_a_silence_does_not_join_the_old_period() -> None:
    clock, histogram = make()
    histogram.record(1)
    clock.now += 5
    histogram.record(2)
    clock.now += 5
    assert histogram.interval().count == 1


def test_values_of_one_bin_are_spread_inside_it_as_measured_on_envoy() -> None:
    clock, histogram = make()
    for _ in range(3):
        histogram.record(1)
    clock.now += 5
    assert histogram.cumulative().quantiles([0, 25, 50, 75, 100]) == pytest.approx(
        [1.025, 1.025, 1.05, 1.075, 1.075]
    )


def test_quantiles_over_several_bins_as_measured_on_envoy() -> None:
    clock, histogram = make()
    for value in (1, 105, 205):
        histogram.record(value)
    clock.now += 5
    assert histogram.cumulative().quantiles([0, 25, 50, 75, 100]) == pytest.approx(
        [1.05, 1.05, 105, 205, 205]
    )
    assert histogram.cumulative().sum() == pytest.approx(310.68757259001159809, rel=1e-12)


def test_bucket_counts_include_the_bin_that_begins_at_the_bound() -> None:
    clock, histogram = make()
    for value in (0, 1, 105, 4000000):
        histogram.record(value)
    clock.now += 5
    counts = dict(zip(BOUNDS, histogram.cumulative().counts_up_to()))
    assert (counts[0.5], counts[1], counts[50], counts[100], counts[3600000]) == (1, 2, 2, 3, 3)
