"""LEAST_REQUEST: of some hosts drawn at random the one with the fewest requests; for TCP a request is a connection.

Mirrors `LeastRequestLoadBalancer`. Hosts that differ in weight are picked earliest deadline first instead, with the weight
divided by (requests + 1) ^ active_request_bias.

A request that still waits for its connection counts: a host that does not answer would else look idle and get nearly all
connections. In Envoy 1.40 that is a switch, `envoy.reloadable_features.least_request_lb_count_pending_requests`, which is off
unless set; here on.
"""

from __future__ import annotations

import math
import random
from typing import Callable, Final, Optional, Sequence

from ..host import Host
from . import Surroundings
from .rotation import Picks, Rotation
from .slow_start import SlowStart

DEFAULT_CHOICES: Final = 2
COUNT_PENDING_KEY: Final = "envoy.reloadable_features.least_request_lb_count_pending_requests"


class Bias:
    """What counts as a request, and how much requests weigh (`active_request_bias`): `value`, `active`. key: the runtime's,
    "" = none; the runtime is read when the hosts change."""

    __slots__ = ("value", "active", "_default", "_key", "_surroundings")

    def __init__(self, default: float, key: str, surroundings: Surroundings) -> None:
        self._default = default
        self._key = key
        self._surroundings = surroundings
        self.value = default
        self.active: Callable[[Host], int] = _with_pending

    def refresh(self) -> None:
        """Read the runtime."""
        value = self._surroundings.number(self._key, self._default)
        self.value = 1.0 if value < 0.0 or math.isnan(value) else value
        counts = self._surroundings.runtime(COUNT_PENDING_KEY)
        self.active = _without_pending if counts is not None and str(counts).lower() in ("false", "0") else _with_pending

    def weight(self, host: Host) -> float:
        """What the host weighs with its requests of now."""
        busy = self.active(host) + 1
        return host.weight / (busy if self.value == 1.0 else float(busy) ** self.value)


class LeastRequest:
    """Implements `HostList`. choices: how many hosts are drawn, with replacement; 0 = look at all of them."""

    __slots__ = ("_hosts", "_choices", "_random", "_is_new", "_bias", "_rotation", "_schedule")

    def __init__(
        self, choices: int, bias: Bias, rng: random.Random, slow_start: Optional[SlowStart] = None
    ) -> None:
        self._hosts: Sequence[Host] = ()
        self._choices = choices
        self._random = rng.random
        self._is_new = False
        self._bias = bias
        self._rotation = Rotation(rng, slow_start, bias.weight)
        self._schedule: Optional[Picks] = None

    def update(self, hosts: Sequence[Host]) -> None:
        """These are the hosts now."""
        self._hosts = hosts
        self._is_new = True
        self._bias.refresh()
        self._rotation.note(hosts)

    def pick(self) -> Optional[Host]:
        """The least busy of those drawn."""
        if self._is_new:
            self._is_new = False
            self._schedule = self._rotation.schedule(self._hosts)
        if self._schedule is not None:
            return self._schedule.pick()
        hosts = self._hosts
        if not hosts:
            return None
        return self._draw(hosts) if self._choices else self._scan(hosts)

    def _draw(self, hosts: Sequence[Host]) -> Host:
        number, active_of = self._random, self._bias.active
        count = len(hosts)
        best = hosts[int(number() * count)]
        fewest = active_of(best)
        for _ in range(self._choices - 1):
            host = hosts[int(number() * count)]
            active = active_of(host)
            if active < fewest:
                best, fewest = host, active
        return best

    def _scan(self, hosts: Sequence[Host]) -> Host:
        """Of those that share the least, each is as likely as the others."""
        active_of = self._bias.active
        fewest = min(map(active_of, hosts))
        tied = [host for host in hosts if active_of(host) == fewest]
        return tied[int(self._random() * len(tied))]


def _with_pending(host: Host) -> int:
    counters = host.counters
    return counters.rq_active + counters.rq_pending_active


def _without_pending(host: Host) -> int:
    return host.counters.rq_active
