"""envoy.config.endpoint.v3: the hosts of a cluster, by priority and locality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

from ..descriptor import Message, Report, mapping, message, optional, plain, repeated
from ..kinds import Bool, Duration, String, UInt32
from ..nested import Nested
from .address import Address
from .core import HEALTH_STATUS, FractionalPercent, Locality, Metadata


@message("envoy.config.endpoint.v3.Endpoint.HealthCheckConfig")
@dataclass(eq=False, repr=False)
class HealthCheckConfig(Message):
    """How this host is checked, where that differs from its traffic."""

    port_value: int = plain(UInt32(lte=65535), help="0 = the host's own port.")
    hostname: str = plain(String(), help="Host header of HTTP checks.")
    address: Optional[Address] = optional(Nested(Address), help="Default: the host's own address.")
    disable_active_health_check: bool = plain(Bool())


@message("envoy.config.endpoint.v3.Endpoint.AdditionalAddress")
@dataclass(eq=False, repr=False)
class EndpointAddress(Message):
    """One more address of the same host."""

    address: Optional[Address] = optional(Nested(Address))


@message("envoy.config.endpoint.v3.Endpoint", unsupported=("observability_name",))
@dataclass(eq=False, repr=False)
class Endpoint(Message):
    """A host."""

    address: Optional[Address] = optional(Nested(Address))
    health_check_config: Optional[HealthCheckConfig] = optional(Nested(HealthCheckConfig))
    hostname: str = plain(String(), help="Shown in the admin; also for auto host rewrite.")
    additional_addresses: List[EndpointAddress] = repeated(Nested(EndpointAddress))


@message("envoy.config.endpoint.v3.LbEndpoint")
@dataclass(eq=False, repr=False)
class LbEndpoint(Message):
    """A host with what the balancer needs to know of it."""

    endpoint: Optional[Endpoint] = optional(Nested(Endpoint), oneof="host_identifier")
    health_status: str = plain(HEALTH_STATUS, help="As known from outside; UNKNOWN counts as healthy.")
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    load_balancing_weight: Optional[int] = optional(UInt32(gte=1), help="Default 1.")
    endpoint_name: Optional[str] = optional(
        String(), oneof="host_identifier", help="One of the assignment's named_endpoints."
    )


@message(
    "envoy.config.endpoint.v3.LocalityLbEndpoints",
    unsupported=("proximity", "load_balancer_endpoints", "leds_cluster_locality_config"),
)
@dataclass(eq=False, repr=False)
class LocalityLbEndpoints(Message):
    """The hosts of one locality at one priority."""

    locality: Optional[Locality] = optional(Nested(Locality))
    lb_endpoints: List[LbEndpoint] = repeated(Nested(LbEndpoint))
    load_balancing_weight: Optional[int] = optional(UInt32(gte=1), help="Weight of the locality.")
    priority: int = plain(UInt32(lte=128), help="0 is the highest; no number may be left out.")
    metadata: Optional[Metadata] = optional(Nested(Metadata))


@message("envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload")
@dataclass(eq=False, repr=False)
class DropOverload(Message):
    """A share of the traffic that is dropped."""

    category: str = plain(String(min_len=1))
    drop_percentage: Optional[FractionalPercent] = optional(Nested(FractionalPercent))


@message("envoy.config.endpoint.v3.ClusterLoadAssignment.Policy")
@dataclass(eq=False, repr=False)
class LoadAssignmentPolicy(Message):
    """How much health a priority needs."""

    drop_overloads: List[DropOverload] = repeated(
        Nested(DropOverload), help="Of HTTP requests only; at most one."
    )
    overprovisioning_factor: Optional[int] = optional(UInt32(gte=1), help="Percent; default 140.")
    endpoint_stale_after: Optional[float] = optional(Duration(gt=0), help="Only for discovered hosts.")
    weighted_priority_health: bool = plain(Bool())

    def check(self, report: Report) -> None:
        """Envoy's rule."""
        count = len(self.drop_overloads)
        if count > 1:
            report("drop_overloads", f"Cluster drop_overloads config has {count} categories. Envoy only support one.")


@message("envoy.config.endpoint.v3.ClusterLoadAssignment")
@dataclass(eq=False, repr=False)
class ClusterLoadAssignment(Message):
    """All hosts of a cluster."""

    cluster_name: str = plain(String(min_len=1))
    endpoints: List[LocalityLbEndpoints] = repeated(Nested(LocalityLbEndpoints))
    policy: Optional[LoadAssignmentPolicy] = optional(Nested(LoadAssignmentPolicy))
    named_endpoints: Dict[str, Endpoint] = mapping(
        Nested(Endpoint), help="For lb_endpoints with an endpoint_name."
    )

    def endpoint_of(self, member: LbEndpoint) -> Optional[Endpoint]:
        """What a member of this assignment is, given there or by name."""
        name = member.endpoint_name
        return member.endpoint if name is None else self.named_endpoints.get(name)
