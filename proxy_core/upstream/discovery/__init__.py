"""How a cluster learns its hosts: one file per type of cluster.

    members.py       an assignment as a flat list; hosts made of it; what an update changes
    static.py        STATIC: the hosts of the configuration
    dns_settings.py  the settings of a DNS cluster, from either place where they may stand
    lookup.py        one name that is asked for again and again
    strict_dns.py    STRICT_DNS: every address of every name is a host
    logical_dns.py   LOGICAL_DNS: one host, whose address is the first of the newest answer
    eds.py           EDS: the hosts that a subscription delivers
    original_dst.py  ORIGINAL_DST: the address that the client dialled
    check.py         what is wrong with a cluster's discovery settings
"""

from __future__ import annotations

from typing import Callable, Protocol, Sequence

from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.endpoint import LoadAssignmentPolicy
from ...observe.stat_names import ClusterStats
from ..host import Host
from .members import Change


class Target(Protocol):
    """The cluster, as its discovery sees it."""

    @property
    def name(self) -> str:
        """As configured."""

    @property
    def config(self) -> ClusterConfig:
        """The whole configuration."""

    @property
    def stats(self) -> ClusterStats:
        """`cluster.<name>.`"""

    @property
    def hosts(self) -> Sequence[Host]:
        """Its hosts now."""

    def apply(self, change: Change) -> None:
        """These are the hosts now."""

    def keeps(self, host: Host) -> bool:
        """Whether a host that was discovered no more stays, since it passes its health checks. It is marked
        then."""

    def set_policy(self, policy: LoadAssignmentPolicy) -> None:
        """How much health a priority needs, from now on."""


class Discovery(Protocol):
    """One cluster's way to its hosts."""

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """Begin. on_initialized: called once, when the first hosts are known, or it is known that there are
        none for now."""

    def release(self, host: Host) -> None:
        """A host that was kept (`Target.keeps`) has become ill: drop it. One that is discovered stays."""

    def close(self) -> None:
        """The cluster is gone: ask no more, and change nothing any more."""
