"""The counting of a health check: which result changes what, and what is told of it."""

from __future__ import annotations

import itertools
from typing import List, Tuple

import pytest

from proxy_core.upstream.health.outcome import FAILED, LOST, PASSED, TIMED_OUT, Outcome
from proxy_core.upstream.health.standing import CHANGED, PENDING, UNCHANGED, Judgement, Rules, Standing

RETRIABLE = Outcome("ACTIVE", retriable=True, status=500)
DEGRADED = Outcome(degraded=True)
RESULTS = {"p": PASSED, "d": DEGRADED, "f": FAILED, "r": RETRIABLE, "l": LOST, "t": TIMED_OUT}
EVENTS = {
    "add_healthy_event": "A", "eject_unhealthy_event": "E", "health_check_failure_event": "F",
    "successful_health_check_event": "S", "degraded_healthy_host": "D", "no_longer_degraded_host": "N",
}
SIGNS = {UNCHANGED: ".", PENDING: "?", CHANGED: "!"}


def play(results: str, rules: Rules) -> Tuple[Standing, List[Judgement]]:
    standing = Standing()
    return standing, [standing.judge(RESULTS[one], rules) for one in results]


@pytest.mark.parametrize(("results", "thresholds", "transitions", "events"), [
    ("p", (3, 2), "!", "A"),  # the first success is enough
    ("ppp", (3, 2), "!..", "A"),
    ("l", (1, 1), ".", "F"),  # it had failed all along; the first failure is told
    ("lpp", (2, 2), ".?!", "F,,A"),
    ("lppp", (3, 2), ".??!", "F,,,A"),
    ("lplpp", (2, 2), ".?.?!", "F,,,,A"),  # in a row
    ("pll", (1, 2), "!?!", "A,,E"),
    ("plpll", (1, 2), "!?.?!", "A,,,,E"),
    ("pf", (1, 9), "!!", "A,E"),  # a bad answer acts at once
    ("prrr", (1, 3), "!??!", "A,,,E"),
    ("ptlr", (1, 3), "!??!", "A,,,E"),  # whatever counts, counts together
    ("plf", (1, 9), "!?!", "A,,E"),
    ("pfff", (1, 1), "!!..", "A,E"),
    ("d", (1, 1), "!", "AD"),
    ("pddp", (1, 1), "!!.!", "A,D,,N"),
    ("fd", (2, 1), ".?", "F,D"),  # a degraded host that is not well yet
    ("df", (1, 1), "!!", "AD,E"),
])
def test_results_and_what_they_change(results: str, thresholds: Tuple[int, int], transitions: str, events: str) -> None:
    _, judgements = play(results, Rules(*thresholds))
    assert "".join(SIGNS[one.transition] for one in judgements) == transitions
    told = ["".join(EVENTS[name] for name in one.events) for one in judgements]
    assert told == (events.split(",") + [""] * len(told))[:len(told)]
    assert [one.first for one in judgements] == [True] + [False] * (len(results) - 1)


def test_all_failures_and_successes_are_told_where_that_is_asked_for() -> None:
    _, judgements = play("ppllpp", Rules(1, 2, tell_failures=True, tell_successes=True))
    told = ["".join(EVENTS[name] for name in one.events) for one in judgements]
    assert told == ["A", "S", "F", "EF", "A", "S"]


@pytest.mark.parametrize(("results", "timed_out"), [
    ("t", True), ("tl", False), ("tlt", True), ("pt", False), ("ptt", True), ("pttp", False), ("pttf", False), ("tp", True),
    ("tpp", False),
])
def test_the_flag_of_a_timeout_is_that_of_the_last_failure_of_a_host_that_is_failing(results: str, timed_out: bool) -> None:
    standing, _ = play(results, Rules(1 if results.startswith("p") else 2, 2))
    assert standing.timed_out is timed_out


def test_a_host_that_asks_not_to_be_counted_is_left_out_until_it_is_well_again() -> None:
    rules = Rules(2, 2)
    standing, _ = play("p", rules)
    standing.judge(Outcome("ACTIVE", status=503, excluded=True), rules)
    assert standing.failing and standing.excluded
    standing.judge(PASSED, rules)
    assert standing.excluded
    standing.judge(PASSED, rules)
    assert not standing.excluded


def reference(results: str, healthy: int, unhealthy: int) -> bool:
    """Whether a host is failing after these results: the rule written down another way."""
    failing, seen_any = True, False
    row = ""
    for one in results:
        good = one in "pd"
        row = row + one if row and (row[-1] in "pd") is good else one
        if failing and good and (not seen_any or len(row) >= healthy):
            failing, row = False, ""
        elif not failing and not good and (one == "f" or len(row) >= unhealthy):
            failing, row = True, ""
        seen_any = True
    return failing


@pytest.mark.parametrize("healthy", [1, 2, 3])
@pytest.mark.parametrize("unhealthy", [1, 2, 3])
def test_every_sequence_of_six_results_ends_as_a_plain_reading_of_the_rule_says(healthy: int, unhealthy: int) -> None:
    for letters in itertools.product("pfl", repeat=6):
        results = "".join(letters)
        standing, _ = play(results, Rules(healthy, unhealthy))
        assert standing.failing is reference(results, healthy, unhealthy), results
