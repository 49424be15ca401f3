"""From a cluster's load balancing settings to its balancer. Mirrors the `TypedLoadBalancerFactory`s."""

from __future__ import annotations

import functools
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ...config.descriptor import Message
from ...config.model import load_balancing as policies
from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.core import Percent, RuntimeDouble
from ...observe.stat_names_balancer import MAGLEV, RING, BalancerStats, declare_table_stats
from ...observe.stats import Scope
from ..priority_load import DEFAULT_PANIC_THRESHOLD
from . import Balancer, HostList, Surroundings, maglev, ring_hash
from .bounded_load import BoundedLoad
from .by_priority import ByPriority, Common
from .criteria import criteria_of
from .hashed import Hashed, Table, Weighed
from .least_request import DEFAULT_CHOICES, Bias, LeastRequest
from .policies import policy_of, supported
from .random_hosts import RandomHosts
from .round_robin import RoundRobin
from .slow_start import SlowStart
from .subset import Selector, SubsetBalancer, SubsetOptions
from .zone_aware import ZoneOptions

DEFAULT_LEAST_WEIGHT = 10  # percent, of a host in slow start


class MadeBalancer(NamedTuple):
    """uses_hash, uses_criteria: what of a `PickContext` can make a difference. can_look_ahead: whether the next picks are known
    before they are asked for."""

    balancer: Balancer
    uses_hash: bool
    uses_criteria: bool
    can_look_ahead: bool


def make_balancer(config: ClusterConfig, scope: Scope, surroundings: Surroundings, active: Callable[[], int]) -> MadeBalancer:
    """The balancer of a cluster whose settings `policies.problems` has nothing against.

    scope: the cluster's stats. active: its connections (requests) now, for bounded loads.
    """
    if config.name == surroundings.local_cluster:
        surroundings = surroundings._replace(local_cluster="")  # the proxies themselves are not balanced by zone
    common_config = config.common_lb_config
    threshold = _percent(common_config.healthy_panic_threshold if common_config is not None else None, DEFAULT_PANIC_THRESHOLD)
    common = Common(surroundings, BalancerStats(scope), threshold)
    policy = policy_of(config)
    assert policy is not None, "policies.problems() was not asked"
    makers = _Makers(common, scope, active)
    return MadeBalancer(
        makers.balancer(policy), _uses_hash(policy), isinstance(policy, policies.Subset),
        isinstance(policy, (policies.RoundRobin, policies.Random)),
    )


class _Makers:
    """Makes balancers of one cluster: one, or one for each subset."""

    def __init__(self, common: Common, scope: Scope, active: Callable[[], int]) -> None:
        self._common = common
        self._scope = scope
        self._active = active
        self._surroundings = common.surroundings

    def balancer(self, policy: Message) -> Balancer:
        """The balancer of a policy."""
        if isinstance(policy, policies.Subset):
            return self.subsets(policy)
        if isinstance(policy, policies.RingHash):
            return self._ring(policy)
        if isinstance(policy, policies.Maglev):
            return self._maglev(policy)
        if isinstance(policy, policies.LeastRequest):
            return self._by_priority(self._least_request(policy), policy.locality_lb_config)
        if isinstance(policy, policies.Random):
            rng = self._surroundings.random
            return self._by_priority(lambda: RandomHosts(rng), policy.locality_lb_config)
        if isinstance(policy, policies.RoundRobin):
            return self._by_priority(self._round_robin(policy), policy.locality_lb_config)
        return self._by_priority(self._round_robin(policies.RoundRobin()), None)  # CLUSTER_PROVIDED: of the hosts it knows

    def subsets(self, policy: policies.Subset) -> SubsetBalancer:
        """A balancer for each subset."""
        child = supported(policy.subset_lb_policy)
        assert child is not None, "policies.problems() was not asked"
        selectors = [
            Selector(
                tuple(sorted(set(each.keys))), each.fallback_policy, tuple(sorted(set(each.fallback_keys_subset))),
                each.single_host_per_subset,
            ) for each in policy.subset_selectors
        ]
        options = SubsetOptions(
            selectors, policy.fallback_policy, criteria_of(policy.default_subset or {}), policy.locality_weight_aware,
            policy.scale_locality_weight, policy.panic_mode_any, policy.list_as_any,
            policy.metadata_fallback_policy == "FALLBACK_LIST", policy.allow_redundant_keys,
        )
        duplicates = self._scope.gauge("lb_subsets_single_host_per_subset_duplicate")
        make = functools.partial(self.balancer, child)
        return SubsetBalancer(options, make, self._common.stats, duplicates)

    def _by_priority(self, make: Callable[[], HostList], localities: Optional[policies.LocalityLbConfig]) -> Balancer:
        weighted = localities is not None and localities.locality_weighted_lb_config is not None
        zones = localities.zone_aware_lb_config if localities is not None else None
        return ByPriority(make, self._common, weighted, _zone_options(zones))

    def _round_robin(self, policy: policies.RoundRobin) -> Callable[[], HostList]:
        slow_start = self._slow_start(policy.slow_start_config)
        return lambda: RoundRobin(self._surroundings.random, slow_start)

    def _least_request(self, policy: policies.LeastRequest) -> Callable[[], HostList]:
        slow_start = self._slow_start(policy.slow_start_config)
        bias = Bias(*_number(policy.active_request_bias, 1.0), self._surroundings)
        choices = 0 if policy.selection_method == "FULL_SCAN" else policy.choice_count or DEFAULT_CHOICES
        return lambda: LeastRequest(choices, bias, self._surroundings.random, slow_start)

    def _slow_start(self, config: Optional[policies.SlowStartConfig]) -> Optional[SlowStart]:
        if config is None or not config.slow_start_window or config.slow_start_window < 0:
            return None
        least = DEFAULT_LEAST_WEIGHT if config.min_weight_percent is None else config.min_weight_percent.value
        return SlowStart(config.slow_start_window, *_number(config.aggression, 1.0), least / 100, self._surroundings)

    def _ring(self, policy: policies.RingHash) -> Balancer:
        options = ring_hash.RingOptions(
            ring_hash.DEFAULT_MINIMUM if policy.minimum_ring_size is None else policy.minimum_ring_size,
            ring_hash.DEFAULT_MAXIMUM if policy.maximum_ring_size is None else policy.maximum_ring_size,
            policy.hash_function == "MURMUR_HASH_2",
        )
        hashing = policy.consistent_hashing_lb_config or policies.ConsistentHashingLbConfig(
            policy.use_hostname_for_hashing, policy.hash_balance_factor
        )
        hashed = self._hashed(
            lambda entries: ring_hash.Ring(entries, options), hashing, policy.locality_weighted_lb_config is not None
        )
        shown = _Shown(hashed, lambda entries: ring_hash.numbers(entries, options))
        declare_table_stats(self._scope.scope("ring_hash_lb"), RING, shown.numbers, shown.is_used)
        return hashed

    def _maglev(self, policy: policies.Maglev) -> Balancer:
        size = maglev.DEFAULT_SIZE if policy.table_size is None else policy.table_size
        hashing = policy.consistent_hashing_lb_config or policies.ConsistentHashingLbConfig()
        hashed = self._hashed(
            lambda entries: maglev.Maglev(entries, size), hashing, policy.locality_weighted_lb_config is not None
        )
        shown = _Shown(hashed, lambda entries: maglev.numbers(entries, size))
        declare_table_stats(self._scope.scope("maglev_lb"), MAGLEV, shown.numbers, shown.is_used)
        return hashed

    def _hashed(
        self, make: Callable[[List[Weighed]], Table], hashing: policies.ConsistentHashingLbConfig, by_locality: bool
    ) -> Hashed:
        factor = hashing.hash_balance_factor
        active = self._active

        def bounded(entries: List[Weighed]) -> Table:
            assert factor is not None
            return BoundedLoad(make(entries), entries, factor, active)
        return Hashed(bounded if factor else make, self._common, hashing.use_hostname_for_hashing, by_locality)


class _Shown:
    """The numbers of the table that the gauges are about, worked out once for the same hosts."""

    def __init__(self, hashed: Hashed, compute: Callable[[List[Weighed]], Sequence[int]]) -> None:
        self._hashed = hashed
        self._compute = compute
        self._entries: Optional[List[Weighed]] = None
        self._numbers: Sequence[int] = ()

    def numbers(self) -> Sequence[int]:
        """Fewest and most of a host, and for a ring its size before."""
        entries = self._hashed.shown()
        if entries is not self._entries or not entries:
            self._entries, self._numbers = entries, self._compute(entries)
        return self._numbers

    def is_used(self) -> bool:
        """Whether there is a table to tell of."""
        return bool(self._hashed.shown())


def _uses_hash(policy: Optional[Message]) -> bool:
    if isinstance(policy, policies.Subset):
        return _uses_hash(supported(policy.subset_lb_policy))
    return isinstance(policy, (policies.RingHash, policies.Maglev))


def _zone_options(config: Optional[policies.ZoneAwareLbConfig]) -> ZoneOptions:
    if config is None:
        return ZoneOptions()
    least_local = None
    if config.force_local_zone is not None:
        least_local = 1 if config.force_local_zone.min_size is None else config.force_local_zone.min_size
    elif config.force_locality_direct_routing:
        least_local = 1
    return ZoneOptions(
        _percent(config.routing_enabled, 100), 6 if config.min_cluster_size is None else config.min_cluster_size,
        config.fail_traffic_on_panic, least_local, config.locality_basis == "HEALTHY_HOSTS_WEIGHT",
    )


def _percent(config: Optional[Percent], default: int) -> int:
    """As whole percent, which is how Envoy counts here."""
    return default if config is None else min(100, int(config.value))


def _number(config: Optional[RuntimeDouble], default: float) -> Tuple[float, str]:
    return (default, "") if config is None else (config.default_value, config.runtime_key)
