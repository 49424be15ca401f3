"""Draining a listener: which of its connections want to leave, and when. Mirrors `Server::DrainManagerImpl`.

A connection takes part by registering (tcp_proxy does when `check_drain_close` is set); the others stay until they end by
themselves. Under the gradual strategy the departures are spread over the first quarter of the drain time, so that the clients do
not come back all at once.
"""

from __future__ import annotations

import random
from typing import Protocol, Set

SPREAD_OVER = 0.25  # of the drain time


class Drainable(Protocol):
    """A connection that leaves when asked."""

    def on_drain(self, delay: float) -> None:
        """Leave at the first quiet moment after `delay` seconds."""


class DrainManager:
    """One per listener. drain_time in seconds (`--drain-time-s`); gradual: `--drain-strategy`."""

    def __init__(self, drain_time: float, gradual: bool, rng: random.Random) -> None:
        self.draining = False
        self._spread = drain_time * SPREAD_OVER if gradual else 0.0
        self._random = rng
        self._members: Set[Drainable] = set()

    def add(self, member: Drainable) -> None:
        """Register; told at once if the listener drains already."""
        self._members.add(member)
        if self.draining:
            member.on_drain(self._delay())

    def discard(self, member: Drainable) -> None:
        """This connection is over."""
        self._members.discard(member)

    def start(self, at_once: bool = False) -> None:
        """Begin to drain. at_once: no spreading (a failed health check)."""
        self.draining = True
        for member in tuple(self._members):
            member.on_drain(0.0 if at_once else self._delay())

    def stop(self) -> None:
        """The health check is good again: connections that have not left stay."""
        self.draining = False

    def _delay(self) -> float:
        return self._random.random() * self._spread
