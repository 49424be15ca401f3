"""Subsets: only hosts whose metadata is what the connection asks for. Mirrors `SubsetLoadBalancer`.

Selectors say which keys of a host's metadata (below "envoy.lb") make subsets: each combination of their values is one, with a
balancer of its own. A connection's criteria must have the keys of a selector and the values of a subset; else a fallback decides:
no host, any host, or those of a default subset. The balancer of a subset is made when it is first asked.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...observe.stat_names_balancer import BalancerStats
from ...observe.stats import Gauge
from ..host import Host
from ..host_set import HostSet, LocalityName
from . import Balancer, Criteria, PickContext
from .criteria import LIST, NAMESPACE, STRUCT, combinations, matches, merged, only

NO_FALLBACK = "NO_FALLBACK"
ANY_ENDPOINT = "ANY_ENDPOINT"
DEFAULT_SUBSET = "DEFAULT_SUBSET"
KEYS_SUBSET = "KEYS_SUBSET"
NOT_DEFINED = "NOT_DEFINED"
FALLBACK_LIST = "fallback_list"  # the key of the criteria that other criteria are found in

THREADS = 2  # Envoy counts a subset for its main thread and for each worker: so do we, as one with one worker

Keys = Tuple[str, ...]


class Selector(NamedTuple):
    """keys, fallback_keys: sorted. fallback: one of the five names above. single: each subset has one host, the first."""

    keys: Keys
    fallback: str = NOT_DEFINED
    fallback_keys: Keys = ()
    single: bool = False


class SubsetOptions(NamedTuple):
    """`LbSubsetConfig`. metadata_fallback: whether criteria may bring a `fallback_list`."""

    selectors: Sequence[Selector]
    fallback: str = NO_FALLBACK
    default_subset: Criteria = ()
    locality_weight_aware: bool = False
    scale_locality_weight: bool = False
    panic_mode_any: bool = False
    list_as_any: bool = False
    metadata_fallback: bool = False
    allow_redundant_keys: bool = False


class _Subset:
    """The hosts of one subset by priority, and their balancer once somebody asked for it."""

    __slots__ = ("hosts", "single", "_balancer", "_is_new")

    def __init__(self, single: bool = False) -> None:
        self.hosts: Dict[int, List[Host]] = {}
        self.single = single
        self._balancer: Optional[Balancer] = None
        self._is_new = True

    def begin(self) -> None:
        """Forget the hosts: new ones are about to be added."""
        self.hosts = {}
        self._is_new = True

    def pick(self, context: Optional[PickContext], owner: SubsetBalancer) -> Optional[Host]:
        if self.single:
            return self.hosts[min(self.hosts)][0] if self.hosts else None
        if self._balancer is None:
            self._balancer = owner.make()
        if self._is_new:
            self._is_new = False
            self._balancer.update(owner.host_sets_of(self.hosts))
        return self._balancer.pick(context)


class SubsetBalancer:
    """Implements `Balancer`. make: the balancer of one subset. duplicates: counts hosts that a `single` subset has no use for."""

    __slots__ = ("make", "_options", "_stats", "_duplicates", "_host_sets", "_subsets", "_any", "_default", "_by_keys",
                 "_longest_first")

    def __init__(
        self, options: SubsetOptions, make: Callable[[], Balancer], stats: BalancerStats, duplicates: Gauge
    ) -> None:
        self.make = make
        self._options = options
        self._stats = stats
        self._duplicates = duplicates
        self._host_sets: Sequence[HostSet] = ()
        self._subsets: Dict[Criteria, _Subset] = {}
        self._any = _Subset()
        self._default = _Subset()
        self._by_keys: Dict[Keys, Selector] = {}
        self._longest_first = sorted(options.selectors, key=_fewer_keys)
        for selector in options.selectors:
            self._by_keys.setdefault(selector.keys, selector)

    # -- the hosts --------------------------------------------------------------------------------------------------------

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """These are the hosts now."""
        self._host_sets = host_sets
        for subset in (self._any, self._default, *self._subsets.values()):
            subset.begin()
        for host_set in host_sets:
            self._any.hosts[host_set.priority] = host_set.hosts
            self._default.hosts[host_set.priority] = [host for host in host_set.hosts if self._is_default(host)]
            self._sort_in(host_set)
        for criteria in [criteria for criteria, subset in self._subsets.items() if not subset.hosts]:
            del self._subsets[criteria]
            self._stats.lb_subsets_active.dec(THREADS)
            self._stats.lb_subsets_removed.inc(THREADS)

    def _sort_in(self, host_set: HostSet) -> None:
        priority, subsets = host_set.priority, self._subsets
        filled: Set[Criteria] = set()
        duplicates = 0
        for host in host_set.hosts:
            values = host.metadata.get(NAMESPACE)
            if values is None:
                continue
            for selector in self._options.selectors:
                for criteria in combinations(values, selector.keys, self._options.list_as_any):
                    subset = subsets.get(criteria)
                    if subset is None:
                        subset = self._add(criteria, selector.single)
                    if subset.single:
                        if criteria in filled:
                            duplicates += 1
                            continue
                        filled.add(criteria)
                    subset.hosts.setdefault(priority, []).append(host)
        self._duplicates.set(duplicates)

    def _add(self, criteria: Criteria, single: bool) -> _Subset:
        subset = self._subsets[criteria] = _Subset(single)
        self._stats.lb_subsets_active.inc(THREADS)
        self._stats.lb_subsets_created.inc(THREADS)
        return subset

    def _is_default(self, host: Host) -> bool:
        return matches(host.metadata.get(NAMESPACE) or {}, self._options.default_subset, self._options.list_as_any)

    def host_sets_of(self, hosts: Dict[int, List[Host]]) -> List[HostSet]:
        """The sets of a subset: its hosts by priority, with the weights of localities that the options leave."""
        return [
            host_set.only(hosts.get(host_set.priority, []), self._locality_weights(host_set, hosts))
            for host_set in self._host_sets
        ]

    def _locality_weights(self, host_set: HostSet, hosts: Dict[int, List[Host]]) -> Optional[Dict[LocalityName, int]]:
        options = self._options
        if not options.locality_weight_aware:
            return {}
        if not options.scale_locality_weight:
            return None
        left: Dict[LocalityName, int] = {}
        for host in hosts.get(host_set.priority, []):
            name = (host.region, host.zone, host.sub_zone)
            left[name] = left.get(name, 0) + 1
        return {
            each.name: int(each.weight * left.get(each.name, 0) / len(each.hosts) + 0.5) for each in host_set.localities()
        }

    # -- a pick -----------------------------------------------------------------------------------------------------------

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """A host of the subset that the context's criteria name, or of the fallback."""
        criteria = context.criteria if context is not None else None
        if context is not None and criteria is not None and self._options.metadata_fallback:
            variants = dict(criteria).get(FALLBACK_LIST)
            if isinstance(variants, tuple) and variants[0] == LIST:
                return self._pick_variant(context, criteria, variants[1])
        return self._pick(context)

    def _pick_variant(self, context: PickContext, criteria: Criteria, variants: Sequence[Tuple[str, Criteria]]) -> Optional[Host]:
        """The first of the listed criteria that finds a host, each put over the rest of the context's."""
        rest = tuple(item for item in criteria if item[0] != FALLBACK_LIST)
        if not variants:
            return self._pick(context.with_criteria(rest))
        for variant in variants:
            over = variant[1] if isinstance(variant, tuple) and variant[0] == STRUCT else ()
            host = self._pick(context.with_criteria(merged(rest, over) or ()))
            if host is not None:
                return host
        return None

    def _pick(self, context: Optional[PickContext]) -> Optional[Host]:
        if context is not None and context.criteria is not None:
            criteria = self._without_redundant(context.criteria)
            subset = self._subsets.get(criteria)
            if subset is not None:
                self._stats.lb_subsets_selected.inc()
                return subset.pick(context, self)
            selector = self._by_keys.get(tuple(key for key, _ in criteria))
            if selector is not None and selector.fallback != NOT_DEFINED:
                return self._pick_for(selector, context.with_criteria(criteria))
        return self._fall_back(context)

    def _pick_for(self, selector: Selector, context: PickContext) -> Optional[Host]:
        """By the selector's own fallback, which no counter tells of."""
        if selector.fallback == ANY_ENDPOINT:
            return self._any.pick(context, self)
        if selector.fallback == DEFAULT_SUBSET:
            return self._default.pick(context, self)
        if selector.fallback == KEYS_SUBSET:
            assert context.criteria is not None
            return self._pick(context.with_criteria(only(context.criteria, selector.fallback_keys)))
        return None

    def _fall_back(self, context: Optional[PickContext]) -> Optional[Host]:
        if self._options.fallback == NO_FALLBACK:
            return None
        fallback = self._any if self._options.fallback == ANY_ENDPOINT else self._default
        host = fallback.pick(context, self)
        if host is not None:
            self._stats.lb_subsets_fallback.inc()
        elif self._options.panic_mode_any:
            host = self._any.pick(context, self)
            if host is not None:
                self._stats.lb_subsets_fallback_panic.inc()
        return host

    def _without_redundant(self, criteria: Criteria) -> Criteria:
        """With `allow_redundant_keys` those that a selector asks for whose keys are all there: the one with the most keys."""
        if self._options.allow_redundant_keys:
            keys = {key for key, _ in criteria}
            for selector in self._longest_first:
                if keys.issuperset(selector.keys):
                    return only(criteria, selector.keys)
        return criteria


def _fewer_keys(selector: Selector) -> int:
    return -len(selector.keys)
