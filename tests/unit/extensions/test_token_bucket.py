"""The token bucket against exact rational arithmetic, over seeded histories."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from proxy_core.extensions.token_bucket import TokenBucket
from proxy_core.testing.clock import SimulatedClock


class Model:
    """The same bucket with fractions: what is in it now, and nothing else."""

    def __init__(self, most: int, per_fill: int, interval: Fraction) -> None:
        self.most = Fraction(most)
        self.rate = per_fill / interval
        self.content = self.most

    def pass_time(self, seconds: Fraction) -> None:
        self.content = min(self.most, self.content + seconds * self.rate)

    def take_up_to(self, count: int) -> int:
        taken = min(count, int(self.content))
        self.content -= taken
        return taken


@pytest.mark.parametrize("seed", range(60))
def test_a_bucket_agrees_with_exact_arithmetic(seed: int) -> None:
    rng = random.Random(seed)
    most, per_fill = rng.choice((0, 1, 2, 7, 1000, 10**9)), rng.choice((1, 2, 3, 1000, 10**6))
    milliseconds = rng.choice((50, 70, 333, 1000, 60_000, 3_600_000))
    clock = SimulatedClock(rng.choice((0.0, 1000.0, 123456.789)))
    bucket = TokenBucket(clock, most, per_fill, milliseconds / 1000)
    model = Model(most, per_fill, Fraction(milliseconds, 1000))
    nanoseconds = round(clock.now * 10**9)
    for _ in range(400):
        step = rng.choice((0, 1, 10**6, 10**7, 10**9, rng.randrange(10**10), milliseconds * 10**6))
        before = nanoseconds
        clock.now = (before + step) / 10**9
        nanoseconds = round(clock.now * 10**9)  # what a float of this size can say
        model.pass_time(Fraction(nanoseconds - before, 10**9))
        if rng.random() < 0.5:
            assert bucket.take() is (model.take_up_to(1) == 1)
        else:
            count = rng.choice((0, 1, 2, 100, 10**10))
            assert bucket.take_up_to(count) == model.take_up_to(count)


def test_a_bucket_starts_full_and_never_holds_more() -> None:
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 3, 1, 1.0)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.advance(1000.0)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_tokens_come_by_and_by_and_are_given_whole() -> None:
    """10 tokens in 4 seconds are one every 0.4 seconds, not ten at the end."""
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 10, 10, 4.0)
    assert bucket.take_up_to(100) == 10
    given = []
    for _ in range(8):
        clock.advance(0.5)
        given.append(bucket.take_up_to(100))
    assert given == [1, 1, 1, 2, 1, 1, 1, 2]


def test_an_empty_bucket_gives_nothing_for_ever() -> None:
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 0, 5, 0.05)
    clock.advance(10_000.0)
    assert not bucket.take() and bucket.take_up_to(5) == 0


def test_nothing_drifts_in_a_hundred_thousand_small_steps() -> None:
    clock = SimulatedClock(0.0)
    bucket = TokenBucket(clock, 1, 1, 1.0)
    taken = 0
    for step in range(1, 100_001):
        clock.now = step / 10
        taken += bucket.take()
    assert taken == 1 + 100_000 // 10 - 1  # a full bucket loses what comes meanwhile: the first second's token


def test_a_clock_that_stands_still_or_goes_back_brings_nothing() -> None:
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 1, 1, 1.0)
    assert bucket.take() and not bucket.take()
    clock.now -= 100.0
    assert not bucket.take()
    clock.now += 100.5
    assert not bucket.take()
    clock.now += 0.5
    assert bucket.take()


def test_how_many_tokens_there_are_and_when_the_next_one_comes() -> None:
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 3, 2, 10.0)
    assert (bucket.whole(), bucket.seconds_to_next()) == (3, 0.0)
    assert bucket.take_up_to(3) == 3 and (bucket.whole(), bucket.seconds_to_next()) == (0, 5.0)
    clock.advance(3)
    assert (bucket.whole(), bucket.seconds_to_next()) == (0, 2.0)
    clock.advance(3)
    assert (bucket.whole(), bucket.seconds_to_next()) == (1, 0.0)


def test_a_bucket_may_start_with_fewer() -> None:
    clock = SimulatedClock()
    bucket = TokenBucket(clock, 20, 20, 1.0)
    bucket.start_with(1)
    assert bucket.take_up_to(5) == 1
    clock.advance(0.05)
    assert bucket.take_up_to(5) == 1
