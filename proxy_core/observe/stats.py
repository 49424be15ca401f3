"""Counters, gauges, histograms and text readouts under Envoy's dotted names, and the store that holds them.

Writers bind their stats once (see `stat_names`) and then touch plain attributes: `counter.value += n` is the
whole cost on the byte path. Readers (`render`, `prometheus`) walk the store. Mirrors `Envoy::Stats::Store`,
`Scope` and `TagProducer`; the values of one process live in one thread, so there is nothing to merge but the
histograms.

A scope is a name prefix that also remembers which part of it a user supplied. Envoy finds that part again
later with regular expressions, and splits names with dots in them at the wrong place; here the scope knows
it: the *family* is the name without the user's part ("cluster.upstream_cx_total") and the *tags* are the
parts ("envoy_cluster_name", "c").
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, TypeVar, Union

from .histogram import Histogram, Number, Periods

__all__ = [
    "ComputedGauge", "Counter", "Gauge", "Histogram", "Number", "Scope", "Stat", "StatsStore", "Tags",
    "TextReadout",
]

Tags = Tuple[Tuple[str, str], ...]

# First piece of a root scope -> the label that its second piece becomes (Envoy's well_known_names.cc).
_TAGGED_ROOTS = {
    "cluster": "envoy_cluster_name",
    "connection_limit": "envoy_connection_limit_prefix",
    "http": "envoy_http_conn_manager_prefix",
    "listener": "envoy_listener_address",
    "listener_local_ratelimit": "envoy_local_listener_ratelimit_prefix",
    "local_rate_limit": "envoy_local_network_ratelimit_prefix",
    "redis": "envoy_redis_prefix",
    "tcp": "envoy_tcp_prefix",
    "vhost": "envoy_virtual_host",
}
_UNTAGGED_SCOPES = ("listener.admin",)

# The other places where a user's word sits in a scope name: which part stays the family, which becomes the
# label.
_TAGGED_SCOPES = tuple(
    (label, re.compile(pattern))
    for label, pattern in (
        ("envoy_worker_id", r"(?P<family>(?:.+\.)?worker)_(?P<value>\d+)"),
        ("envoy_http_conn_manager_prefix", r"(?P<family>listener(?:\.admin)?\.http)\.(?P<value>.+)"),
        ("envoy_virtual_cluster", r"(?P<family>vhost\.vcluster)\.(?P<value>.+)"),
        ("envoy_route", r"(?P<family>vhost\.route)\.(?P<value>.+)"),
        ("envoy_proxy_protocol_version", r"(?P<family>proxy_proto)\.versions\.v(?P<value>\d)"),
        ("envoy_proxy_protocol_prefix", r"(?P<family>proxy_proto)\.(?!versions\b)(?P<value>.+)"),
        ("envoy_rbac_prefix", r"(?P<value>.+)\.(?P<family>rbac)"),
    )
)


class Counter:
    """A number that only grows (until the operator resets it). The byte path writes `value` directly."""

    __slots__ = ("name", "family", "tags", "value", "_used_before_reset")

    def __init__(self, name: str, family: str = "", tags: Tags = ()) -> None:
        self.name = name
        self.family = family or name
        self.tags = tags
        self.value = 0
        self._used_before_reset = False

    def inc(self, n: int = 1) -> None:
        self.value += n

    def reset(self) -> None:
        """Back to 0. The counter stays used, as in Envoy."""
        self._used_before_reset = self.used
        self.value = 0

    @property
    def used(self) -> bool:
        """Whether it was ever counted up."""
        return self._used_before_reset or self.value != 0


class Gauge:
    """A number that goes up and down. Who counts it down again with `dec` may add to `value` directly."""

    __slots__ = ("name", "family", "tags", "value", "_written")

    def __init__(self, name: str, family: str = "", tags: Tags = ()) -> None:
        self.name = name
        self.family = family or name
        self.tags = tags
        self.value = 0
        self._written = False

    def set(self, value: int) -> None:
        self.value = value
        self._written = True

    def inc(self, n: int = 1) -> None:
        self.value += n
        self._written = True

    def dec(self, n: int = 1) -> None:
        self.value -= n
        self._written = True

    @property
    def used(self) -> bool:
        """Whether it was ever written."""
        return self._written or self.value != 0


class ComputedGauge:
    """A gauge that is worked out when somebody looks: uptime, memory, what another object counts anyway."""

    __slots__ = ("name", "family", "tags", "_compute", "_is_used")

    def __init__(
        self, name: str, family: str, tags: Tags, compute: Callable[[], int], is_used: Callable[[], bool]
    ) -> None:
        self.name = name
        self.family = family
        self.tags = tags
        self._compute = compute
        self._is_used = is_used

    @property
    def value(self) -> int:
        return self._compute()

    @property
    def used(self) -> bool:
        """Whether there was ever something to work out."""
        return self._is_used()


class TextReadout:
    """A short text, such as the version of a dynamic resource."""

    __slots__ = ("name", "family", "tags", "value", "_written")

    def __init__(self, name: str, family: str = "", tags: Tags = ()) -> None:
        self.name = name
        self.family = family or name
        self.tags = tags
        self.value = ""
        self._written = False

    def set(self, value: str) -> None:
        self.value = value
        self._written = True

    @property
    def used(self) -> bool:
        return self._written


AnyGauge = Union[Gauge, ComputedGauge]
Stat = Union[Counter, Gauge, ComputedGauge, TextReadout, Histogram]
_S = TypeVar("_S")


class Scope:
    """A name prefix in a store. Everything is get-or-create: one full name is one object.

    prefix: the dotted prefix without a trailing dot ("cluster.c"; "" = the root).
    """

    __slots__ = ("prefix", "_store", "_family", "_tags")

    def __init__(self, store: StatsStore, prefix: str, family: str, tags: Tags) -> None:
        self.prefix = prefix
        self._store = store
        self._family = family
        self._tags = tags

    def scope(self, sub: str) -> Scope:
        """The scope `<this>.<sub>`; ":" becomes "_" as in Envoy.

        Pass one level a call. Below the root, a known first piece ("cluster.", "listener.", "tcp.", "http."
        ...) makes all of the rest the user's part: `store.scope("cluster.my.db")` is the cluster "my.db".
        """
        sub = sub.replace(":", "_")
        prefix = _join(self.prefix, sub)
        if self.prefix and self.prefix not in _TAGGED_ROOTS:
            family, tags = _family_and_tags(_join(self._family, sub))
            return Scope(self._store, prefix, family, tags + self._tags)
        root, _, rest = prefix.partition(".")
        if rest and root in _TAGGED_ROOTS and prefix not in _UNTAGGED_SCOPES:
            return Scope(self._store, prefix, root, ((_TAGGED_ROOTS[root], rest),))
        family, tags = _family_and_tags(prefix)
        return Scope(self._store, prefix, family, tags)

    def elsewhere(self, name: str) -> Scope:
        """The scope with this full name in the same store."""
        return self._store.scope(name)

    def counter(self, name: str) -> Counter:
        return _get_or_create(self._store.counters, Counter, self._full(name))

    def gauge(self, name: str) -> Gauge:
        gauge = _get_or_create(self._store.gauges, Gauge, self._full(name))
        if not isinstance(gauge, Gauge):
            raise TypeError(f"{gauge.name} is computed, nobody can write it")
        return gauge

    def text(self, name: str) -> TextReadout:
        return _get_or_create(self._store.texts, TextReadout, self._full(name))

    def histogram(self, name: str, unit: str = "") -> Histogram:
        """unit: "ms", "bytes" or "" (a plain number)."""
        def make(full: str, family: str, tags: Tags) -> Histogram:
            return Histogram(full, unit, family, tags, self._store.periods)

        return _get_or_create(self._store.histograms, make, self._full(name))

    def computed(
        self, name: str, compute: Callable[[], int], is_used: Callable[[], bool] = lambda: True
    ) -> ComputedGauge:
        """A gauge read through `compute` each time it is rendered. A later call replaces an earlier one."""
        full, family, tags = self._full(name)
        gauge = ComputedGauge(full, family, tags, compute, is_used)
        self._store.gauges[full] = gauge
        return gauge

    def zeros(
        self, counters: Iterable[str] = (), gauges: Iterable[str] = (), histograms: Iterable[str] = ()
    ) -> None:
        """Create stats that nobody writes yet, so that they are listed with 0 from config load on."""
        for name in counters:
            self.counter(name)
        for name in gauges:
            if _join(self.prefix, name) not in self._store.gauges:
                self.gauge(name)
        for name in histograms:
            self.histogram(name)

    def _full(self, name: str) -> Tuple[str, str, Tags]:
        return _join(self.prefix, name), _join(self._family, name), self._tags


class StatsStore:
    """All stats of one process.

    clock: gives monotonic seconds; the store never asks the system for the time.
    flush_interval: seconds between two merges of the histograms (`stats_flush_interval` of the bootstrap).
    """

    __slots__ = ("counters", "gauges", "histograms", "texts", "periods")

    def __init__(self, clock: Callable[[], float], flush_interval: float = 5.0) -> None:
        self.counters: Dict[str, Counter] = {}
        self.gauges: Dict[str, AnyGauge] = {}
        self.histograms: Dict[str, Histogram] = {}
        self.texts: Dict[str, TextReadout] = {}
        self.periods = Periods(clock, flush_interval)

    def scope(self, name: str = "") -> Scope:
        """A scope by its name: "server", "listener.127.0.0.1:21001", "cluster.c"; "" is the root."""
        root = Scope(self, "", "", ())
        return root.scope(name) if name else root

    def find(self, name: str) -> Optional[Stat]:
        """The stat with this full name, or None."""
        for table in self._tables():
            stat: Optional[Stat] = table.get(name)
            if stat is not None:
                return stat
        return None

    def reset_counters(self) -> None:
        """All counters to 0; gauges and histograms stay (POST /reset_counters)."""
        for counter in self.counters.values():
            counter.reset()

    def remove_scope(self, prefix: str) -> None:
        """Forget every stat below a prefix, as when a cluster or listener is removed.

        Objects already bound keep working for connections that still drain; they are only no longer listed.
        """
        below = prefix.replace(":", "_").rstrip(".") + "."
        for table in self._tables():
            for name in [name for name in table if name.startswith(below)]:
                del table[name]

    def _tables(self) -> List[Dict[str, Any]]:
        return [self.counters, self.gauges, self.histograms, self.texts]


def _get_or_create(
    table: Dict[str, _S], make: Callable[[str, str, Tags], _S], name: Tuple[str, str, Tags]
) -> _S:
    stat = table.get(name[0])
    if stat is None:
        stat = table[name[0]] = make(*name)
    return stat


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _family_and_tags(name: str) -> Tuple[str, Tags]:
    for label, pattern in _TAGGED_SCOPES:
        found = pattern.fullmatch(name)
        if found:
            return found.group("family"), ((label, found.group("value")),)
    return name, ()
