"""How many connections are made before they are needed: the arithmetic of `preconnect_policy`, for pools of any protocol.

Mirrors `ConnPoolImplBase::shouldConnect` and `connectingConnectionIsExcess`. The measure is a stream: what one client needs,
a whole connection for TCP, a request for HTTP. A pool wants another connection while

    (pending + active) * ratio  >  capacity + active

pending: streams that wait for a connection. active: those that have one. capacity: how many more the connections can take, those
that are still being made as well. With ratio 1 that is: one connection for each stream that waits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..config.model.cluster import Cluster as ClusterConfig

MOST_AT_ONCE: Final = 3  # connections that one new stream may cause, beside its own


class Ratios(NamedTuple):
    """per_upstream: for the host that a stream goes to. predictive: for the hosts that the next streams will go to; up to 1
    means no such prediction."""

    per_upstream: float
    predictive: float

    @property
    def look_ahead(self) -> bool:
        """Whether hosts are picked for streams that are not there yet."""
        return self.predictive > 1

    @property
    def ask_for_more(self) -> bool:
        """Whether there is ever a connection before its stream."""
        return self.per_upstream > 1 or self.look_ahead


def ratios_of(config: ClusterConfig) -> Ratios:
    """What the cluster says, or that there are none but the needed ones."""
    policy = config.preconnect_policy
    if policy is None:
        return Ratios(1.0, 0.0)
    return Ratios(policy.per_upstream_preconnect_ratio or 1.0, policy.predictive_preconnect_ratio or 0.0)


def wants_another(pending: int, active: int, capacity: int, ratio: float, anticipated: int = 0) -> bool:
    """Whether one more connection is to be made. anticipated: streams that are about to come; 1 when the ratio is the
    predictive one, because it is asked before the stream is there."""
    return (pending + active + anticipated) * ratio > capacity + active


def is_excess(pending: int, active: int, capacity: int, ratio: float) -> bool:
    """Whether the streams would have enough without one of the connections that are being made, each of which takes one."""
    return (pending + active) * ratio <= capacity - 1 + active
