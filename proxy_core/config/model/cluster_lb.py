"""envoy.config.cluster.v3.Cluster: the fields about load balancing. `load_balancing` has the newer form, by extensions; a message
that has the same fields there under another name inherits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import Bool, Duration, Enum, Struct, UInt32, UInt64
from ..nested import Nested
from . import load_balancing
from .core import Percent, RuntimeDouble
from .load_balancing import MAXIMUM_RING, MAXIMUM_TABLE, METADATA_FALLBACK, SUBSET_FALLBACK

_CLUSTER = "envoy.config.cluster.v3.Cluster"


@message(f"{_CLUSTER}.LbSubsetConfig.LbSubsetSelector")
@dataclass(eq=False, repr=False)
class LbSubsetSelector(load_balancing.SubsetSelector):
    """Keys of host metadata whose values make subsets."""


@message(f"{_CLUSTER}.LbSubsetConfig")
@dataclass(eq=False, repr=False)
class LbSubsetConfig(Message):
    """Only hosts with the metadata that the connection asks for. Without selectors it does nothing."""

    fallback_policy: str = plain(SUBSET_FALLBACK)
    default_subset: Optional[Dict[str, Any]] = optional(Struct())
    subset_selectors: List[LbSubsetSelector] = repeated(Nested(LbSubsetSelector))
    locality_weight_aware: bool = plain(Bool())
    scale_locality_weight: bool = plain(Bool())
    panic_mode_any: bool = plain(Bool(), help="Any host when the fallback finds none.")
    list_as_any: bool = plain(Bool(), help="A list in host metadata matches each of its items.")
    metadata_fallback_policy: str = plain(METADATA_FALLBACK)


@message(f"{_CLUSTER}.SlowStartConfig")
@dataclass(eq=False, repr=False)
class SlowStartConfig(load_balancing.SlowStartConfig):
    """A new host gets its share slowly."""


@message(f"{_CLUSTER}.RoundRobinLbConfig")
@dataclass(eq=False, repr=False)
class RoundRobinLbConfig(Message):
    """For ROUND_ROBIN."""

    slow_start_config: Optional[SlowStartConfig] = optional(Nested(SlowStartConfig))


@message(f"{_CLUSTER}.LeastRequestLbConfig")
@dataclass(eq=False, repr=False)
class LeastRequestLbConfig(Message):
    """For LEAST_REQUEST."""

    choice_count: Optional[int] = optional(UInt32(gte=2), help="How many hosts are drawn; default 2.")
    active_request_bias: Optional[RuntimeDouble] = optional(
        Nested(RuntimeDouble), help="How much connections count among hosts of unequal weight; default 1.0."
    )
    slow_start_config: Optional[SlowStartConfig] = optional(Nested(SlowStartConfig))


@message(f"{_CLUSTER}.RingHashLbConfig")
@dataclass(eq=False, repr=False)
class RingHashLbConfig(Message):
    """For RING_HASH."""

    minimum_ring_size: Optional[int] = optional(UInt64(lte=MAXIMUM_RING), help="Default 1024.")
    hash_function: str = plain(Enum(XX_HASH=0, MURMUR_HASH_2=1))
    maximum_ring_size: Optional[int] = optional(UInt64(lte=MAXIMUM_RING), help="Default 8388608.")


@message(f"{_CLUSTER}.MaglevLbConfig")
@dataclass(eq=False, repr=False)
class MaglevLbConfig(Message):
    """For MAGLEV."""

    table_size: Optional[int] = optional(UInt64(lte=MAXIMUM_TABLE), help="A prime number; default 65537.")


@message(f"{_CLUSTER}.CommonLbConfig.ZoneAwareLbConfig")
@dataclass(eq=False, repr=False)
class ZoneAwareLbConfig(Message):
    """Hosts in the proxy's own zone first. Works with `cluster_manager.local_cluster_name`."""

    routing_enabled: Optional[Percent] = optional(Nested(Percent), help="Default 100.")
    min_cluster_size: Optional[int] = optional(UInt64(), help="Hosts; default 6.")
    fail_traffic_on_panic: bool = plain(Bool(), help="Pick no host in a panic.")


@message(f"{_CLUSTER}.CommonLbConfig.LocalityWeightedLbConfig")
@dataclass(eq=False, repr=False)
class LocalityWeightedLbConfig(Message):
    """The weights of localities count."""


@message(f"{_CLUSTER}.CommonLbConfig.ConsistentHashingLbConfig")
@dataclass(eq=False, repr=False)
class ConsistentHashingLbConfig(load_balancing.ConsistentHashingLbConfig):
    """For RING_HASH and MAGLEV."""


@message(f"{_CLUSTER}.CommonLbConfig", unsupported=("override_host_status",))
@dataclass(eq=False, repr=False)
class CommonLbConfig(Message):
    """For all policies."""

    healthy_panic_threshold: Optional[Percent] = optional(
        Nested(Percent), help="Of usable hosts, below it health is ignored; default 50, 0 = never."
    )
    zone_aware_lb_config: Optional[ZoneAwareLbConfig] = optional(
        Nested(ZoneAwareLbConfig), oneof="locality_config_specifier"
    )
    locality_weighted_lb_config: Optional[LocalityWeightedLbConfig] = optional(
        Nested(LocalityWeightedLbConfig), oneof="locality_config_specifier"
    )
    update_merge_window: Optional[float] = optional(Duration(), help="Changes of health alone wait so long; default 1s.")
    ignore_new_hosts_until_first_hc: bool = plain(Bool(), help="They don't count as ill before.")
    close_connections_on_host_set_change: bool = plain(Bool())
    consistent_hashing_lb_config: Optional[ConsistentHashingLbConfig] = optional(Nested(ConsistentHashingLbConfig))
