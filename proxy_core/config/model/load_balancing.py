"""envoy.extensions.load_balancing_policies and envoy.config.cluster.v3.LoadBalancingPolicy: how a host is chosen, as extensions.

`cluster_lb` has the older form of the same, as fields of the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, cast

from ..context import Context, Json, Wrong
from ..descriptor import Message, message, optional, plain, repeated
from ..envoy_types import ENVOY_TYPES
from ..kinds import Bool, Duration, Enum, String, Struct, UInt32, UInt64
from ..nested import TYPE_KEY, AnyOf, AnyValue, Nested
from .core import Percent, RuntimeDouble, TypedExtensionConfig

_PACKAGE = "envoy.extensions.load_balancing_policies"
MAXIMUM_RING = 8 * 1024 * 1024
MAXIMUM_TABLE = 5_000_011

SUBSET_FALLBACK = Enum(NO_FALLBACK=0, ANY_ENDPOINT=1, DEFAULT_SUBSET=2)
SELECTOR_FALLBACK = Enum(NOT_DEFINED=0, NO_FALLBACK=1, ANY_ENDPOINT=2, DEFAULT_SUBSET=3, KEYS_SUBSET=4)
METADATA_FALLBACK = Enum(METADATA_NO_FALLBACK=0, FALLBACK_LIST=1)


@message("proxy_core.OtherPolicy")
@dataclass(eq=False, repr=False)
class OtherPolicy(Message):
    """A policy that this package does not have: the next one of the list is taken. `config` = what was written."""

    def __post_init__(self) -> None:
        self.config: Dict[str, Any] = {}

    def to_json(self) -> Dict[str, Json]:
        """The keys as they were written."""
        return self.config


class AnyPolicy(AnyOf):
    """A policy's message. One of Envoy's that is not supported here is kept unread, since a list names policies in order of
    preference and the first that is known counts."""

    def decode(self, value: Json, path: str, context: Context) -> AnyValue:
        type_url = value.get(TYPE_KEY) if isinstance(value, dict) else None
        if not isinstance(type_url, str) or type_url.rpartition("/")[2] not in ENVOY_TYPES:
            return super().decode(value, path, context)
        body = {key: item for key, item in value.items() if key != TYPE_KEY}
        try:
            return AnyValue(type_url, cast(Message, context.types.decode_any(type_url, body, path, context)))
        except Wrong:
            other = OtherPolicy()
            other.config = body
            return AnyValue(type_url, other)


@message("envoy.config.core.v3.TypedExtensionConfig")
@dataclass(eq=False, repr=False)
class PolicyExtension(TypedExtensionConfig):
    """A policy by its type."""

    typed_config: Optional[AnyValue] = optional(AnyPolicy(), required=True)


@message("envoy.config.cluster.v3.LoadBalancingPolicy.Policy")
@dataclass(eq=False, repr=False)
class Policy(Message):
    """One policy of the list."""

    typed_extension_config: Optional[PolicyExtension] = optional(Nested(PolicyExtension))


@message("envoy.config.cluster.v3.LoadBalancingPolicy")
@dataclass(eq=False, repr=False)
class LoadBalancingPolicy(Message):
    """Policies in order of preference."""

    policies: List[Policy] = repeated(Nested(Policy), help="The first one that is supported counts.")


# -- parts of several policies ---------------------------------------------------------------------------------------------

@message(f"{_PACKAGE}.common.v3.SlowStartConfig")
@dataclass(eq=False, repr=False)
class SlowStartConfig(Message):
    """A new host gets its share slowly."""

    slow_start_window: Optional[float] = optional(Duration(), help="How long; default none.")
    aggression: Optional[RuntimeDouble] = optional(Nested(RuntimeDouble), help="Above 1: faster at first. Default 1.0.")
    min_weight_percent: Optional[Percent] = optional(Nested(Percent), help="Of the weight, at first. Default 10.")


@message(f"{_PACKAGE}.common.v3.LocalityLbConfig.ZoneAwareLbConfig.ForceLocalZone")
@dataclass(eq=False, repr=False)
class ForceLocalZone(Message):
    """The own zone gets everything once it is large enough."""

    min_size: Optional[int] = optional(UInt32(), help="Hosts; default 1.")


@message(f"{_PACKAGE}.common.v3.LocalityLbConfig.ZoneAwareLbConfig")
@dataclass(eq=False, repr=False)
class ZoneAwareLbConfig(Message):
    """Hosts in the proxy's own zone first. Works with `cluster_manager.local_cluster_name`."""

    routing_enabled: Optional[Percent] = optional(Nested(Percent), help="Default 100.")
    min_cluster_size: Optional[int] = optional(UInt64(), help="Hosts; default 6.")
    fail_traffic_on_panic: bool = plain(Bool(), help="Pick no host in a panic.")
    force_locality_direct_routing: bool = plain(Bool(), deprecated=True, help="As force_local_zone.")
    force_local_zone: Optional[ForceLocalZone] = optional(Nested(ForceLocalZone))
    locality_basis: str = plain(Enum(HEALTHY_HOSTS_NUM=0, HEALTHY_HOSTS_WEIGHT=1))


@message(f"{_PACKAGE}.common.v3.LocalityLbConfig.LocalityWeightedLbConfig")
@dataclass(eq=False, repr=False)
class LocalityWeightedLbConfig(Message):
    """The weights of localities count."""


@message(f"{_PACKAGE}.common.v3.LocalityLbConfig", required_oneofs=("locality_config_specifier",))
@dataclass(eq=False, repr=False)
class LocalityLbConfig(Message):
    """What localities mean."""

    zone_aware_lb_config: Optional[ZoneAwareLbConfig] = optional(
        Nested(ZoneAwareLbConfig), oneof="locality_config_specifier"
    )
    locality_weighted_lb_config: Optional[LocalityWeightedLbConfig] = optional(
        Nested(LocalityWeightedLbConfig), oneof="locality_config_specifier"
    )


@message(f"{_PACKAGE}.common.v3.ConsistentHashingLbConfig", unsupported=("hash_policy",))
@dataclass(eq=False, repr=False)
class ConsistentHashingLbConfig(Message):
    """Common to RING_HASH and MAGLEV."""

    use_hostname_for_hashing: bool = plain(Bool(), help="Hash the host's name, not its address.")
    hash_balance_factor: Optional[int] = optional(
        UInt32(gte=100), help="Percent of the average load that a host may have; default no bound."
    )


# -- the policies ----------------------------------------------------------------------------------------------------------

@message(f"{_PACKAGE}.round_robin.v3.RoundRobin")
@dataclass(eq=False, repr=False)
class RoundRobin(Message):
    """Hosts take turns, by weight."""

    slow_start_config: Optional[SlowStartConfig] = optional(Nested(SlowStartConfig))
    locality_lb_config: Optional[LocalityLbConfig] = optional(Nested(LocalityLbConfig))


@message(f"{_PACKAGE}.least_request.v3.LeastRequest", unsupported=("enable_full_scan",))
@dataclass(eq=False, repr=False)
class LeastRequest(Message):
    """The host with the fewest connections (requests) of some drawn at random."""

    choice_count: Optional[int] = optional(UInt32(gte=2), help="How many are drawn; default 2.")
    active_request_bias: Optional[RuntimeDouble] = optional(
        Nested(RuntimeDouble), help="How much connections count among hosts of unequal weight; default 1.0."
    )
    slow_start_config: Optional[SlowStartConfig] = optional(Nested(SlowStartConfig))
    locality_lb_config: Optional[LocalityLbConfig] = optional(Nested(LocalityLbConfig))
    selection_method: str = plain(Enum(N_CHOICES=0, FULL_SCAN=1))


@message(f"{_PACKAGE}.random.v3.Random")
@dataclass(eq=False, repr=False)
class Random(Message):
    """Any host."""

    locality_lb_config: Optional[LocalityLbConfig] = optional(Nested(LocalityLbConfig))


@message(f"{_PACKAGE}.ring_hash.v3.RingHash")
@dataclass(eq=False, repr=False)
class RingHash(Message):
    """The same hash meets the same host: ketama."""

    hash_function: str = plain(Enum(DEFAULT_HASH=0, XX_HASH=1, MURMUR_HASH_2=2))
    minimum_ring_size: Optional[int] = optional(UInt64(gte=1, lte=MAXIMUM_RING), help="Default 1024.")
    maximum_ring_size: Optional[int] = optional(UInt64(lte=MAXIMUM_RING), help="Default 8388608.")
    use_hostname_for_hashing: bool = plain(Bool(), deprecated=True)
    hash_balance_factor: Optional[int] = optional(UInt32(gte=100), deprecated=True)
    consistent_hashing_lb_config: Optional[ConsistentHashingLbConfig] = optional(Nested(ConsistentHashingLbConfig))
    locality_weighted_lb_config: Optional[LocalityWeightedLbConfig] = optional(Nested(LocalityWeightedLbConfig))


@message(f"{_PACKAGE}.maglev.v3.Maglev")
@dataclass(eq=False, repr=False)
class Maglev(Message):
    """The same hash meets the same host: a table."""

    table_size: Optional[int] = optional(UInt64(lte=MAXIMUM_TABLE), help="A prime number; default 65537.")
    consistent_hashing_lb_config: Optional[ConsistentHashingLbConfig] = optional(Nested(ConsistentHashingLbConfig))
    locality_weighted_lb_config: Optional[LocalityWeightedLbConfig] = optional(Nested(LocalityWeightedLbConfig))


@message(f"{_PACKAGE}.cluster_provided.v3.ClusterProvided")
@dataclass(eq=False, repr=False)
class ClusterProvided(Message):
    """The cluster's own way."""


@message(f"{_PACKAGE}.subset.v3.Subset.LbSubsetSelector")
@dataclass(eq=False, repr=False)
class SubsetSelector(Message):
    """Keys of host metadata whose values make subsets."""

    keys: List[str] = repeated(String(), help="Below the namespace envoy.lb.")
    fallback_policy: str = plain(SELECTOR_FALLBACK)
    fallback_keys_subset: List[str] = repeated(String(), help="The keys to try then, for KEYS_SUBSET.")
    single_host_per_subset: bool = plain(Bool())


@message(f"{_PACKAGE}.subset.v3.Subset")
@dataclass(eq=False, repr=False)
class Subset(Message):
    """Only hosts with the metadata that the connection asks for."""

    fallback_policy: str = plain(SUBSET_FALLBACK)
    default_subset: Optional[Dict[str, Any]] = optional(Struct())
    subset_selectors: List[SubsetSelector] = repeated(Nested(SubsetSelector))
    locality_weight_aware: bool = plain(Bool())
    scale_locality_weight: bool = plain(Bool())
    panic_mode_any: bool = plain(Bool(), help="Any host when the fallback finds none.")
    list_as_any: bool = plain(Bool(), help="A list in host metadata matches each of its items.")
    metadata_fallback_policy: str = plain(METADATA_FALLBACK)
    subset_lb_policy: Optional[LoadBalancingPolicy] = optional(Nested(LoadBalancingPolicy), required=True)
    allow_redundant_keys: bool = plain(Bool())


POLICIES = (RoundRobin, LeastRequest, Random, RingHash, Maglev, ClusterProvided, Subset)
