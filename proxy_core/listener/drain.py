"""Draining: which connections want to leave, and when. Mirrors `Server::DrainManagerImpl`.

A connection takes part by registering (tcp_proxy does when `check_drain_close` is set); the others stay until
they end by themselves or are closed (`departure`). Under the gradual strategy the departures are spread over
the first quarter of the drain time, so that the clients do not come back all at once.

A listener has one drain manager and each of its filter chains a child of it: a chain that an update takes
away drains alone, a listener that drains takes all of its chains along.
"""

from __future__ import annotations

import random
from typing import Optional, Protocol, Set

SPREAD_OVER = 0.25  # of the drain time


class Drainable(Protocol):
    """A connection that leaves when asked."""

    def on_drain(self, delay: float) -> None:
        """Leave at the first quiet moment after `delay` seconds."""


class DrainManager:
    """drain_time in seconds (`--drain-time-s`); gradual: `--drain-strategy`; parent: drains with it (see
    `child`)."""

    def __init__(
        self, drain_time: float, gradual: bool, rng: random.Random, parent: Optional[DrainManager] = None
    ) -> None:
        self._drain_time = drain_time
        self._gradual = gradual
        self._random = rng
        self._parent = parent
        self._is_draining = False
        self._at_once = False
        self._members: Set[Drainable] = set()
        self._children: Set[DrainManager] = set()

    def child(self) -> DrainManager:
        """A drain manager that drains when this one does, or before. Call its `detach` when it is not needed
        any more."""
        one = DrainManager(self._drain_time, self._gradual, self._random, self)
        self._children.add(one)
        return one

    def detach(self) -> None:
        """Leave the parent; what it does from now on changes nothing here."""
        if self._parent is not None:
            self._parent._children.discard(self)
            self._is_draining, self._at_once = self.draining, self._drains_at_once
            self._parent = None

    @property
    def draining(self) -> bool:
        """Whether connections are asked to leave."""
        return self._is_draining or (self._parent is not None and self._parent.draining)

    def add(self, member: Drainable) -> None:
        """Register; told at once if draining is under way."""
        self._members.add(member)
        if self.draining:
            member.on_drain(0.0 if self._drains_at_once else self._delay())

    def discard(self, member: Drainable) -> None:
        """This connection is over."""
        self._members.discard(member)

    def start(self, at_once: bool = False) -> None:
        """Begin to drain. at_once: no spreading (a failed health check)."""
        self._is_draining = True
        self._at_once = at_once
        self._tell(at_once)

    def stop(self) -> None:
        """The health check is good again: connections that have not left stay."""
        self._is_draining = False

    def _tell(self, at_once: bool) -> None:
        for member in tuple(self._members):
            member.on_drain(0.0 if at_once else self._delay())
        for child in tuple(self._children):
            child._tell(at_once)

    @property
    def _drains_at_once(self) -> bool:
        if self._is_draining:
            return self._at_once
        return self._parent is not None and self._parent._drains_at_once

    def _delay(self) -> float:
        return self._random.random() * self._drain_time * SPREAD_OVER if self._gradual else 0.0
