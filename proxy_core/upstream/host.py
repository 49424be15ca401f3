"""One upstream host of a cluster: where it is, how much it should get, and what became of the connections to it.

The per-host numbers are plain ints, not stats: Envoy shows them only in /clusters. Mirrors `Upstream::HostImpl`.
"""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Protocol, Sequence, Tuple

from ..network.address import Address


# What has been found out about a host, as bits of `Host.flags`: Envoy's `HealthFlag` without those of EDS, which `Host.health`
# tells. Ints and no IntFlag: balancers ask for every host.
FAILED_ACTIVE_HC: Final = 1
FAILED_OUTLIER_CHECK: Final = 2
DEGRADED_ACTIVE_HC: Final = 4
PENDING_DYNAMIC_REMOVAL: Final = 8
PENDING_ACTIVE_HC: Final = 16
EXCLUDED_VIA_IMMEDIATE_HC_FAIL: Final = 32
ACTIVE_HC_TIMEOUT: Final = 64

FAILED: Final = FAILED_ACTIVE_HC | FAILED_OUTLIER_CHECK
EXCLUDED: Final = PENDING_ACTIVE_HC | EXCLUDED_VIA_IMMEDIATE_HC_FAIL

FLAG_NAMES: Final = {
    "/failed_active_hc": FAILED_ACTIVE_HC,
    "/failed_outlier_check": FAILED_OUTLIER_CHECK,
    "/degraded_active_hc": DEGRADED_ACTIVE_HC,
    "/pending_dynamic_removal": PENDING_DYNAMIC_REMOVAL,
    "/pending_active_hc": PENDING_ACTIVE_HC,
    "/excluded_via_immediate_hc_fail": EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
    "/active_hc_timeout": ACTIVE_HC_TIMEOUT,
}
# What /clusters says of a host whose health was configured or discovered. Others have failed.
EDS_FLAG_NAMES: Final = {
    "UNKNOWN": "", "HEALTHY": "", "DEGRADED": "/degraded_eds_health", "DRAINING": "/eds_status_draining",
}
# All names in the order of /clusters.
FLAG_ORDER: Final = (
    "/failed_active_hc", "/failed_outlier_check", "/failed_eds_health", "/degraded_active_hc", "/degraded_eds_health",
    "/pending_dynamic_removal", "/pending_active_hc", "/excluded_via_immediate_hc_fail", "/active_hc_timeout",
    "/eds_status_draining",
)


class OutlierMonitor(Protocol):
    """Takes down how a host answers; `upstream.outlier` has it."""

    @property
    def success_rates(self) -> Tuple[float, float]:
        """At the last tick, in percent, -1 for none: of answers, of local origin."""

    def put_connected(self, final: bool) -> None:
        """A connection came up. final: nothing else will be said of it, as for TCP."""

    def put_connect_failed(self, timed_out: bool) -> None:
        """A connection was refused, or reset before anything came back; or that took too long."""

    def put_response_code(self, code: int) -> None:
        """The host answered a request."""


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
    """weight: its share in balancing, at least 1. health: Envoy's HealthStatus name, as configured.

    flags: what health checks and outlier detection have found out, bits of this module. outlier: takes the results of
    connections where outlier detection is on, else None. health_check: the endpoint's `HealthCheckConfig`, or None.
    """

    __slots__ = ("address", "more_addresses", "hostname", "weight", "health", "metadata", "typed_metadata",
                 "region", "zone", "sub_zone", "locality_weight",
                 "priority", "last_hc_pass_time", "counters", "flags", "outlier", "health_check")

    def __init__(self, address: Address, weight: int = 1, health: str = "UNKNOWN", hostname: str = "") -> None:
        self.address = address
        self.more_addresses: Sequence[Address] = ()  # of the same host, for `network.happy_eyeballs`
        self.hostname = hostname
        self.weight = weight
        self.health = health
        self.metadata: Dict[str, Any] = {}
        self.typed_metadata: Dict[str, Any] = {}
        self.region = ""
        self.zone = ""
        self.sub_zone = ""
        self.locality_weight = 0  # of all hosts of its locality and priority; 0 = none
        self.priority = 0
        self.last_hc_pass_time: Optional[float] = None  # when it became healthy, by the reactor's clock: for slow start
        self.counters = HostCounters()
        self.flags = 0
        self.outlier: Optional[OutlierMonitor] = None
        self.health_check: Optional[Any] = None

    @property
    def is_healthy(self) -> bool:
        """Whether balancing may pick it. A host that nobody called ill is healthy."""
        return self.health in ("UNKNOWN", "HEALTHY") and not self.flags & (FAILED | DEGRADED_ACTIVE_HC)

    @property
    def is_degraded(self) -> bool:
        """Whether balancing should pick it only for what the healthy hosts can't take."""
        if self.flags & FAILED:
            return False
        return self.health == "DEGRADED" or self.flags & DEGRADED_ACTIVE_HC != 0 and self.health in ("UNKNOWN", "HEALTHY")

    @property
    def is_excluded(self) -> bool:
        """Whether it does not even count as a host that should be healthy: it is leaving, or nobody has asked it yet."""
        return self.health == "DRAINING" or self.flags & EXCLUDED != 0

    def health_flags(self) -> str:
        """The flags as /clusters prints them."""
        eds = EDS_FLAG_NAMES.get(self.health, "/failed_eds_health")
        if not self.flags:
            return eds or "healthy"
        shown = {eds, *(name for name, bit in FLAG_NAMES.items() if self.flags & bit)}
        return "".join(name for name in FLAG_ORDER if name in shown)

    def __repr__(self) -> str:
        return f"<Host {self.address} {self.health_flags()}>"
