"""ROUND_ROBIN: strict turns among equal hosts, shares in proportion among weighted ones.

Mirrors `RoundRobinLoadBalancer`: the first host is a random one, and a change of the list does not begin a new round.
"""

from __future__ import annotations

import operator
import random
from typing import Iterator, Optional, Sequence

from ..host import Host
from .rotation import Picks, Rotation
from .slow_start import SlowStart


class RoundRobin:
    """Implements `HostList`."""

    __slots__ = ("_hosts", "_turn", "_start", "_is_new", "_rotation", "_schedule")

    def __init__(self, rng: random.Random, slow_start: Optional[SlowStart] = None) -> None:
        self._hosts: Sequence[Host] = ()
        self._turn: Iterator[Host] = iter(())  # an iterator and not an index: no int is made for a pick among thousands
        self._start = rng.random()
        self._is_new = False
        self._rotation = Rotation(rng, slow_start)
        self._schedule: Optional[Picks] = None

    def update(self, hosts: Sequence[Host]) -> None:
        """These are the hosts now; the turn goes on at the place where it was."""
        if self._hosts:
            place = len(self._hosts) - operator.length_hint(self._turn)
        else:
            place = int(self._start * len(hosts))
        self._hosts = hosts
        self._turn = iter(hosts[place % len(hosts):]) if hosts else iter(())
        self._is_new = True
        self._rotation.note(hosts)

    def pick(self) -> Optional[Host]:
        """The next in turn."""
        if self._is_new:
            self._is_new = False
            self._schedule = self._rotation.schedule(self._hosts)
        if self._schedule is not None:
            return self._schedule.pick()
        for host in self._turn:
            return host
        self._turn = iter(self._hosts)
        return next(self._turn, None)
