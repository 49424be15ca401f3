"""RANDOM: any host, whatever its weight. Mirrors `RandomLoadBalancer`."""

from __future__ import annotations

import random
from typing import Optional, Sequence

from ..host import Host


class RandomHosts:
    """Implements `HostList`."""

    __slots__ = ("_hosts", "_random")

    def __init__(self, rng: random.Random) -> None:
        self._hosts: Sequence[Host] = ()
        self._random = rng.random

    def update(self, hosts: Sequence[Host]) -> None:
        """These are the hosts now."""
        self._hosts = hosts

    def pick(self) -> Optional[Host]:
        """Any of them."""
        hosts = self._hosts
        return hosts[int(self._random() * len(hosts))] if hosts else None
