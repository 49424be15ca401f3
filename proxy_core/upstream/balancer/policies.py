"""A cluster's load balancing settings as one policy message, whichever way they were written, and what is wrong with them.

Mirrors `LegacyLbPolicyConfigHelper`: the older fields (`lb_policy`, `common_lb_config`, `ring_hash_lb_config` ...) say the
same as an extension of `load_balancing_policy`, which wins.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Union

from ...config.descriptor import Message
from ...config.model import cluster_lb as fields
from ...config.model import load_balancing as policies
from ...config.model.cluster import Cluster as ClusterConfig
from ...config.nested import TYPE_PREFIX, AnyValue
from ...errors import Problem
from . import maglev, ring_hash

BY_EXTENSION = "LOAD_BALANCING_POLICY_CONFIG"
PROVIDED = "CLUSTER_PROVIDED"
_NOT_PROVIDED = (
    "cluster: LB policy {} is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with "
    "cluster type 'ORIGINAL_DST'"
)
_NOBODY_PROVIDES = (
    "cluster manager: cluster provided LB specified but cluster '{}' did not provide one. Check cluster documentation."
)
PARTIAL = ("zone_aware_lb_config", "locality_weighted_lb_config", "consistent_hashing_lb_config")


def policy_of(config: ClusterConfig) -> Optional[Message]:
    """The policy: one of the messages of `config.model.load_balancing`, None when the list has none that is known here."""
    if config.load_balancing_policy is not None or config.lb_policy == BY_EXTENSION:
        return supported(config.load_balancing_policy)
    policy = _of_fields(config)
    subsets = config.lb_subset_config
    if subsets is None or not subsets.subset_selectors:
        return policy
    selectors = [
        policies.SubsetSelector(
            each.keys, each.fallback_policy, each.fallback_keys_subset, each.single_host_per_subset
        ) for each in subsets.subset_selectors
    ]
    return policies.Subset(
        subsets.fallback_policy, subsets.default_subset, selectors, subsets.locality_weight_aware,
        subsets.scale_locality_weight, subsets.panic_mode_any, subsets.list_as_any, subsets.metadata_fallback_policy,
        _wrapped(policy),
    )


def supported(listed: Optional[policies.LoadBalancingPolicy]) -> Optional[Message]:
    """The first policy of a list that is known here."""
    for entry in listed.policies if listed is not None else []:
        extension = entry.typed_extension_config
        if extension is not None and extension.typed_config is not None:
            if isinstance(extension.typed_config.message, policies.POLICIES):
                return extension.typed_config.message
    return None


def problems(config: ClusterConfig, path: str) -> Iterator[Problem]:
    """What is wrong with the cluster's load balancing settings, besides what one field alone shows."""
    if config.load_balancing_policy is not None:
        yield from _beside_extension(config, path)
    hashing = config.common_lb_config.consistent_hashing_lb_config if config.common_lb_config is not None else None
    if hashing is not None and hashing.use_hostname_for_hashing and config.discovery_type != "STRICT_DNS":
        text = f"cannot use hostname for consistent hashing loadbalancing for cluster of type {config.discovery_type}"
        yield Problem(f"{path}.common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing", text)
    provided = config.discovery_type == "ORIGINAL_DST"
    policy = policy_of(config)
    where = f"{path}.load_balancing_policy" if config.load_balancing_policy is not None else f"{path}.lb_policy"
    if policy is None:
        names = ", ".join(_names(config.load_balancing_policy))
        yield Problem(where, f"didn't find a registered load balancer factory implementation with names from [{names}]")
        return
    subsets = config.lb_subset_config
    if config.lb_policy == PROVIDED and subsets is not None and subsets.subset_selectors:
        yield Problem(f"{path}.lb_subset_config", f"cluster: LB policy {PROVIDED} cannot be combined with lb_subset_config")
        return
    if isinstance(policy, policies.ClusterProvided) != provided:
        text = _NOT_PROVIDED.format(config.lb_policy) if provided else _NOBODY_PROVIDES.format(config.name)
        yield Problem(where, text)
    yield from _of_policy(policy, where)


def _beside_extension(config: ClusterConfig, path: str) -> Iterator[Problem]:
    common = config.common_lb_config
    for name in PARTIAL:
        if common is not None and getattr(common, name) is not None:
            text = f"load_balancing_policy cannot be combined with {name}: the policy has a field for it"
            yield Problem(f"{path}.common_lb_config.{name}", text)
    if config.lb_subset_config is not None:
        yield Problem(f"{path}.lb_subset_config", "load_balancing_policy cannot be combined with lb_subset_config")


def _of_policy(policy: Message, path: str) -> Iterator[Problem]:
    if isinstance(policy, policies.RingHash):
        least = ring_hash.DEFAULT_MINIMUM if policy.minimum_ring_size is None else policy.minimum_ring_size
        most = ring_hash.DEFAULT_MAXIMUM if policy.maximum_ring_size is None else policy.maximum_ring_size
        if least > most:
            yield Problem(path, f"ring hash: minimum_ring_size ({least}) > maximum_ring_size ({most})")
    elif isinstance(policy, policies.Maglev):
        if policy.table_size is not None and not maglev.is_prime(policy.table_size):
            yield Problem(path, f"the table size of maglev must be a prime number, found {policy.table_size}")
    elif isinstance(policy, policies.Subset):
        for selector in policy.subset_selectors:
            wrong = _of_selector(selector)
            if wrong:
                yield Problem(path, wrong)
        child = supported(policy.subset_lb_policy)
        if child is None:
            names = ", ".join(_names(policy.subset_lb_policy))
            text = "didn't find a registered load balancer factory implementation for subset lb with names from"
            yield Problem(path, f"{text} [{names}]")
        elif isinstance(child, policies.ClusterProvided):
            yield Problem(path, "ClusterProvided can't choose the hosts of a subset")
        else:
            yield from _of_policy(child, path)


def _of_selector(selector: policies.SubsetSelector) -> str:
    """What is wrong with it, "" for nothing."""
    keys, fewer = set(selector.keys), set(selector.fallback_keys_subset)
    if selector.fallback_policy != "KEYS_SUBSET":
        return "fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy" if fewer else ""
    if not fewer:
        return "fallback_keys_subset cannot be empty"
    if not fewer <= keys:
        return "fallback_keys_subset must be a subset of selector keys"
    return "fallback_keys_subset cannot be equal to keys" if fewer == keys else ""


def _names(listed: Optional[policies.LoadBalancingPolicy]) -> List[str]:
    entries = [entry.typed_extension_config for entry in listed.policies] if listed is not None else []
    return [entry.name for entry in entries if entry is not None]


def _of_fields(config: ClusterConfig) -> Message:
    common = config.common_lb_config or fields.CommonLbConfig()
    if config.lb_policy == "LEAST_REQUEST":
        least = config.least_request_lb_config or fields.LeastRequestLbConfig()
        return policies.LeastRequest(
            least.choice_count, least.active_request_bias, _slow_start(least), _localities(common)
        )
    if config.lb_policy == "RING_HASH":
        ring = config.ring_hash_lb_config or fields.RingHashLbConfig()
        return policies.RingHash(
            ring.hash_function, ring.minimum_ring_size, ring.maximum_ring_size,
            consistent_hashing_lb_config=_hashing(common), locality_weighted_lb_config=_weighted(common),
        )
    if config.lb_policy == "MAGLEV":
        table = config.maglev_lb_config or fields.MaglevLbConfig()
        return policies.Maglev(table.table_size, _hashing(common), _weighted(common))
    if config.lb_policy == "RANDOM":
        return policies.Random(_localities(common))
    if config.lb_policy == PROVIDED:
        return policies.ClusterProvided()
    return policies.RoundRobin(
        _slow_start(config.round_robin_lb_config or fields.RoundRobinLbConfig()), _localities(common)
    )


def _slow_start(
    of: Union[fields.RoundRobinLbConfig, fields.LeastRequestLbConfig]
) -> Optional[policies.SlowStartConfig]:
    slow = of.slow_start_config
    if slow is None:
        return None
    return policies.SlowStartConfig(slow.slow_start_window, slow.aggression, slow.min_weight_percent)


def _localities(common: fields.CommonLbConfig) -> Optional[policies.LocalityLbConfig]:
    if common.locality_weighted_lb_config is not None:
        return policies.LocalityLbConfig(locality_weighted_lb_config=_weighted(common))
    zone = common.zone_aware_lb_config
    if zone is None:
        return None
    return policies.LocalityLbConfig(
        policies.ZoneAwareLbConfig(zone.routing_enabled, zone.min_cluster_size, zone.fail_traffic_on_panic)
    )


def _weighted(common: fields.CommonLbConfig) -> Optional[policies.LocalityWeightedLbConfig]:
    return None if common.locality_weighted_lb_config is None else policies.LocalityWeightedLbConfig()


def _hashing(common: fields.CommonLbConfig) -> Optional[policies.ConsistentHashingLbConfig]:
    hashing = common.consistent_hashing_lb_config
    if hashing is None:
        return None
    return policies.ConsistentHashingLbConfig(hashing.use_hostname_for_hashing, hashing.hash_balance_factor)


def _wrapped(policy: Message) -> policies.LoadBalancingPolicy:
    """A list of this one policy."""
    name = policy.DESCRIPTOR.full_name
    extension = policies.PolicyExtension(name, AnyValue(f"{TYPE_PREFIX}{name}", policy))
    return policies.LoadBalancingPolicy([policies.Policy(extension)])
