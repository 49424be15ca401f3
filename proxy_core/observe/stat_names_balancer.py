"""The stats that load balancers write: the rest of `cluster.<name>.`, and what one policy alone has."""

from __future__ import annotations

from typing import Callable, Sequence

from .stats import Scope


class BalancerStats:
    """`cluster.<name>.lb_*`: panics, subsets, zone-aware routing. scope: the cluster's."""

    __slots__ = (
        "lb_healthy_panic", "lb_local_cluster_not_ok", "lb_recalculate_zone_structures", "lb_subsets_created",
        "lb_subsets_fallback", "lb_subsets_fallback_panic", "lb_subsets_removed", "lb_subsets_selected",
        "lb_zone_cluster_too_small", "lb_zone_no_capacity_left", "lb_zone_routing_all_directly",
        "lb_zone_routing_cross_zone", "lb_zone_routing_sampled", "lb_subsets_active",
    )

    def __init__(self, scope: Scope) -> None:
        counter = scope.counter
        self.lb_healthy_panic = counter("lb_healthy_panic")
        self.lb_local_cluster_not_ok = counter("lb_local_cluster_not_ok")
        self.lb_recalculate_zone_structures = counter("lb_recalculate_zone_structures")
        self.lb_subsets_created = counter("lb_subsets_created")
        self.lb_subsets_fallback = counter("lb_subsets_fallback")
        self.lb_subsets_fallback_panic = counter("lb_subsets_fallback_panic")
        self.lb_subsets_removed = counter("lb_subsets_removed")
        self.lb_subsets_selected = counter("lb_subsets_selected")
        self.lb_zone_cluster_too_small = counter("lb_zone_cluster_too_small")
        self.lb_zone_no_capacity_left = counter("lb_zone_no_capacity_left")
        self.lb_zone_routing_all_directly = counter("lb_zone_routing_all_directly")
        self.lb_zone_routing_cross_zone = counter("lb_zone_routing_cross_zone")
        self.lb_zone_routing_sampled = counter("lb_zone_routing_sampled")
        self.lb_subsets_active = scope.gauge("lb_subsets_active")


RING = ("size", "min_hashes_per_host", "max_hashes_per_host")
MAGLEV = ("min_entries_per_host", "max_entries_per_host")


def declare_table_stats(
    scope: Scope, names: Sequence[str], numbers: Callable[[], Sequence[int]], is_used: Callable[[], bool]
) -> None:
    """`cluster.<name>.ring_hash_lb.*` or `.maglev_lb.*`, worked out when somebody looks: tables are made when they are needed.

    scope: of the table. names: RING or MAGLEV. numbers: their values now. is_used: whether there are hosts.
    """
    for index, name in enumerate(names):
        scope.computed(name, _item(numbers, index), is_used)


def _item(numbers: Callable[[], Sequence[int]], index: int) -> Callable[[], int]:
    return lambda: numbers()[index]
