"""Why a connection went to its host: the policy, and the hosts it had to choose from. Worked out when somebody asks, from the
hosts as they are then.
"""

from __future__ import annotations

from typing import Final, List, Optional, Tuple, Type

from ..config.descriptor import Message
from ..config.model import load_balancing as lb
from .balancer.policies import policy_of, supported
from .cluster import Cluster
from .host import Host

# How each policy chooses.
_RULES: Final[Tuple[Tuple[Type[Message], str], ...]] = (
    (lb.RoundRobin, "ROUND_ROBIN: it was its turn"),
    (lb.LeastRequest, "LEAST_REQUEST: the fewest connections of those looked at"),
    (lb.Random, "RANDOM: by chance"),
    (lb.RingHash, "RING_HASH: its place on the ring follows the connection's hash"),
    (lb.Maglev, "MAGLEV: the table has it at the connection's hash"),
)


def why_host(cluster: Cluster, host: Host) -> str:
    """One sentence without its stop: "ROUND_ROBIN: it was its turn, among 2 healthy hosts of 3, priority 0"."""
    if host not in cluster.hosts:
        if cluster.uses_info:
            return "ORIGINAL_DST: where the client wanted to go"
        return f"{_rule(policy_of(cluster.config))}; it has left the cluster since"
    return ", ".join([_rule(policy_of(cluster.config)), *_choice(cluster, host)])


def _rule(policy: Optional[Message]) -> str:
    if isinstance(policy, lb.Subset):
        inner = supported(policy.subset_lb_policy)
        return f"of the subset its metadata is in, {_rule(inner)}"
    for kind, rule in _RULES:
        if isinstance(policy, kind):
            return rule
    return "CLUSTER_PROVIDED: the one the cluster knows"


def _choice(cluster: Cluster, host: Host) -> List[str]:
    """Whom it was chosen from, and what is special about it."""
    if cluster.uses_info:
        return []
    host_set = cluster.host_sets[host.priority]
    parts = [f"among {len(host_set.healthy)} healthy of {len(host_set.hosts)} hosts"]
    if len(cluster.host_sets) > 1:
        parts.append(f"priority {host.priority} of 0 to {len(cluster.host_sets) - 1}")
    if host.weight != 1:
        parts.append(f"weight {host.weight}")
    place = "/".join(part for part in (host.region, host.zone, host.sub_zone) if part)
    if place:
        parts.append(f"locality {place}")
    if not host.is_healthy:
        parts.append(f"it is {host.health_flags()} now")
    return parts
