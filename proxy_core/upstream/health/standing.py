"""A host in the eyes of one check: healthy or failing, degraded or not, and how close to the next change.

    failing  --first probe ever passes, or `healthy_threshold` in a row-->                   healthy
    healthy  --an answer that is bad, or `unhealthy_threshold` network failures in a row-->  failing

A host starts as failing. Mirrors the counting in `ActiveHealthCheckSession`.
"""

from __future__ import annotations

import enum
from typing import Final, List, NamedTuple, Sequence

from .outcome import NETWORK_TIMEOUT, Outcome


class Transition(enum.Enum):
    """What a result did to the standing."""

    UNCHANGED = "unchanged"
    PENDING = "pending"  # more of the same will change it: the edge intervals apply
    CHANGED = "changed"


UNCHANGED: Final = Transition.UNCHANGED
PENDING: Final = Transition.PENDING
CHANGED: Final = Transition.CHANGED

# Events, named as the fields of Envoy's HealthCheckEvent.
ADD_HEALTHY: Final = "add_healthy_event"
EJECT_UNHEALTHY: Final = "eject_unhealthy_event"
FAILURE: Final = "health_check_failure_event"
SUCCESS: Final = "successful_health_check_event"
DEGRADED: Final = "degraded_healthy_host"
NO_LONGER_DEGRADED: Final = "no_longer_degraded_host"


class Rules(NamedTuple):
    """What a check's configuration says about counting and telling."""

    healthy_threshold: int
    unhealthy_threshold: int
    tell_failures: bool = False
    tell_successes: bool = False


class Judgement(NamedTuple):
    """What came of one result. first: it was the first one. events: to be logged, in this order."""

    transition: Transition
    first: bool
    events: Sequence[str]


class Standing:
    """See the module docstring."""

    __slots__ = ("failing", "degraded", "timed_out", "excluded", "first", "_passes", "_failures")

    def __init__(self) -> None:
        self.failing = True
        self.degraded = False
        self.timed_out = False
        self.excluded = False
        self.first = True
        self._passes = 0
        self._failures = 0

    def judge(self, outcome: Outcome, rules: Rules) -> Judgement:
        """Take one result down."""
        first = self.first
        self.first = False
        events: List[str] = []
        if outcome.failure:
            transition = self._failed(outcome, rules, events)
            if first or rules.tell_failures:
                events.append(FAILURE)
        else:
            transition = self._passed(outcome, rules, first, events)
            if transition is UNCHANGED and rules.tell_successes:
                events.append(SUCCESS)
        return Judgement(transition, first, events)

    def _passed(self, outcome: Outcome, rules: Rules, first: bool, events: List[str]) -> Transition:
        self._failures = 0
        transition = UNCHANGED
        if self.failing:
            self._passes += 1
            if first or self._passes == rules.healthy_threshold:
                self.failing = self.timed_out = self.excluded = False
                events.append(ADD_HEALTHY)
                transition = CHANGED
            else:
                transition = PENDING
        if outcome.degraded is not self.degraded:
            self.degraded = outcome.degraded
            events.append(DEGRADED if self.degraded else NO_LONGER_DEGRADED)
            if transition is UNCHANGED:
                transition = CHANGED
        return transition

    def _failed(self, outcome: Outcome, rules: Rules, events: List[str]) -> Transition:
        self._passes = 0
        self.excluded = self.excluded or outcome.excluded
        if self.failing:
            self.timed_out = outcome.failure == NETWORK_TIMEOUT
            return UNCHANGED
        self._failures += 1
        if outcome.waits_for_threshold and self._failures != rules.unhealthy_threshold:
            return PENDING
        self.failing = True
        self.timed_out = outcome.failure == NETWORK_TIMEOUT
        events.append(EJECT_UNHEALTHY)
        return CHANGED
