"""Whether the hosts of a list take their turns by weight, and where in the rotation they are when the list changes.

The part of Envoy's `EdfLoadBalancerBase` that ROUND_ROBIN and LEAST_REQUEST share: equal hosts need no schedule. A change of
the list goes on where the rotation stood: with frequent changes the hosts at the start would be favoured. (Envoy starts
over.)
"""

from __future__ import annotations

import random
from typing import Callable, Optional, Protocol, Sequence

from ..host import Host
from .edf import Schedule
from .slow_start import SlowStart
from .turns import Place, Turns, random_place


class Picks(Protocol):
    """A schedule."""

    def pick(self) -> Host:
        """The next in turn."""


class Rotation:
    """weight: what a host weighs now, without slow start; None = its own weight, which does not change between picks."""

    __slots__ = ("_weight", "_random", "_slow_start", "_place", "_turns")

    def __init__(
        self, rng: random.Random, slow_start: Optional[SlowStart] = None, weight: Optional[Callable[[Host], float]] = None
    ) -> None:
        self._weight = weight
        self._random = rng
        self._slow_start = slow_start
        self._place: Optional[Place] = None
        self._turns: Optional[Turns] = None

    def note(self, hosts: Sequence[Host]) -> None:
        """These will be the hosts: slow start counts from now, and not from when one of them is asked for."""
        if self._slow_start is not None:
            self._slow_start.note(hosts)

    def schedule(self, hosts: Sequence[Host]) -> Optional[Picks]:
        """The schedule of these hosts; None when they are equal."""
        if self._turns is not None:
            self._place = self._turns.place
            self._turns = None
        slow = self._slow_start is not None and self._slow_start.is_on
        if len(hosts) < 2 or not (slow or _differ(hosts)):
            return None
        if slow or self._weight is not None:
            weight = self._weight if self._weight is not None else _own_weight
            return Schedule(hosts, weight if self._slow_start is None else self._slowed(weight), self._random.random())
        self._turns = Turns(hosts, self._place if self._place is not None else random_place(hosts, self._random))
        return self._turns

    def _slowed(self, weight: Callable[[Host], float]) -> Callable[[Host], float]:
        slow_start = self._slow_start
        assert slow_start is not None
        factor = slow_start.factor
        return lambda host: weight(host) * factor(host)


def _differ(hosts: Sequence[Host]) -> bool:
    weight = hosts[0].weight
    return any(host.weight != weight for host in hosts)


def _own_weight(host: Host) -> float:
    return host.weight
