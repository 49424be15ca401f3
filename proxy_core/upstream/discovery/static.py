"""STATIC: the hosts of the configuration, known at once. Every entry is a host, also the second one of an
address."""

from __future__ import annotations

from typing import Callable

from ..host import Host
from . import Target
from .members import all_new, host_of, members_of


class StaticDiscovery:
    """Implements `Discovery`."""

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """All there is to know."""
        hosts = [host_of(member) for member in members_of(target.config.load_assignment)]
        target.apply(all_new(hosts))
        on_initialized()

    def release(self, host: Host) -> None:
        """No host ever leaves."""

    def close(self) -> None:
        """There is nothing to give back."""
