"""One upstream host of a cluster: where it is, how much it should get, and what became of the connections to it.

The per-host numbers are plain ints, not stats: Envoy shows them only in /clusters. Mirrors `Upstream::HostImpl`.
"""

from __future__ import annotations

from typing import Any, Dict, Final

from ..network.address import Address


# What /clusters says of a host whose health was configured or discovered. Others have failed.
HEALTH_FLAGS: Final = {
    "UNKNOWN": "healthy",
    "HEALTHY": "healthy",
    "DEGRADED": "/degraded_eds_health",
    "DRAINING": "/eds_status_draining",
}


class HostCounters:
    """What /clusters prints of a host, named as there."""

    __slots__ = ("cx_active", "cx_connect_fail", "cx_total", "rq_active", "rq_error", "rq_pending_active",
                 "rq_success", "rq_timeout", "rq_total")

    def __init__(self) -> None:
        self.cx_active = 0
        self.cx_connect_fail = 0
        self.cx_total = 0
        self.rq_active = 0
        self.rq_error = 0
        self.rq_pending_active = 0
        self.rq_success = 0
        self.rq_timeout = 0
        self.rq_total = 0


class Host:
    """weight: its share in balancing, at least 1. health: Envoy's HealthStatus name, as configured."""

    __slots__ = ("address", "hostname", "weight", "health", "metadata", "region", "zone", "sub_zone", "priority",
                 "counters")

    def __init__(self, address: Address, weight: int = 1, health: str = "UNKNOWN", hostname: str = "") -> None:
        self.address = address
        self.hostname = hostname
        self.weight = weight
        self.health = health
        self.metadata: Dict[str, Any] = {}
        self.region = ""
        self.zone = ""
        self.sub_zone = ""
        self.priority = 0
        self.counters = HostCounters()

    @property
    def is_healthy(self) -> bool:
        """Whether balancing may pick it. A host that nobody called ill is healthy."""
        return self.health in ("UNKNOWN", "HEALTHY")

    @property
    def is_degraded(self) -> bool:
        """Whether balancing should pick it only for what the healthy hosts can't take."""
        return self.health == "DEGRADED"

    @property
    def is_excluded(self) -> bool:
        """Whether it does not even count as a host that should be healthy: it is leaving."""
        return self.health == "DRAINING"

    def health_flags(self) -> str:
        """The flags as /clusters prints them."""
        return HEALTH_FLAGS.get(self.health, "/failed_eds_health")

    def __repr__(self) -> str:
        return f"<Host {self.address} {self.health_flags()}>"
