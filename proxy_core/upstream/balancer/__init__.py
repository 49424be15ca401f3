"""Who is next: one file per policy. A balancer is given the hosts when they change and asked once per connection."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence

from ..host import Host


class Balancer(Protocol):
    """One cluster's policy."""

    def update(self, hosts: Sequence[Host]) -> None:
        """These are the hosts to choose from now."""

    def pick(self) -> Optional[Host]:
        """The host for the next connection; None when there is none."""
