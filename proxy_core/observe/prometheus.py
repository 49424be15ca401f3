"""/stats/prometheus: the same stats in the text exposition format of Prometheus, version 0.0.4.

A name is "envoy_" plus the stat's family with everything but letters and digits as "_"; what a user named
(listener address, cluster, prefix) is a label. Mirrors `PrometheusStatsFormatter`: no `# HELP` unless asked
with `help=1` (the help is then the dotted family name, so the two views can be mapped on each other),
counters first, then gauges, then histograms. All samples of a family stand together, and no sample comes
twice.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple, Union

from .histogram import BOUNDS, QUANTILES, Histogram
from .query import StatsQuery
from .stats import ComputedGauge, Counter, Gauge, StatsStore, Tags

_Any = Union[Counter, Gauge, ComputedGauge, Histogram]

_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
# The end of a name that is a value too: upstream_rq_503 and upstream_rq_5xx (Envoy's well_known_names.cc).
_RESPONSE_CODE = re.compile(r"_rq_(\d{3})$")
_RESPONSE_CLASS = re.compile(r"_rq_(\d)xx$")


def stats_prometheus(store: StatsStore, query: StatsQuery) -> str:
    """The body of /stats/prometheus, content type "text/plain; version=0.0.4"."""
    writer = _Writer(query)
    if query.wants("Counters"):
        writer.add("counter", query.select(store.counters.values()))
    if query.wants("Gauges"):
        writer.add("gauge", query.select(store.gauges.values()))
    if query.wants("Histograms"):
        kind = "summary" if query.buckets == "summary" else "histogram"
        writer.add(kind, query.select(store.histograms.values()))
    return "".join(line + "\n" for line in writer.lines)


class _Writer:
    """Collects families, so that each gets one TYPE line and stands in one piece."""

    def __init__(self, query: StatsQuery) -> None:
        self.lines: List[str] = []
        self._help = query.help
        self._names: Set[str] = set()

    def add(self, kind: str, stats: Sequence[_Any]) -> None:
        families: Dict[str, List[Tuple[Tags, _Any]]] = {}
        for stat in stats:
            family, tags = _split(stat)
            families.setdefault(family, []).append((tags, stat))
        by_name: Dict[str, List[str]] = {}
        for family in sorted(families):  # by dotted name: cluster.x stands before cluster_manager.x
            by_name.setdefault(metric_name(family), []).append(family)
        for name, dotted in by_name.items():
            samples = [sample for family in dotted for sample in families[family]]
            self._family(name, kind, dotted[0], samples)

    def _family(self, name: str, kind: str, dotted: str, samples: List[Tuple[Tags, _Any]]) -> None:
        if name in self._names:
            # A counter and a gauge of one name: a family has one type, so the later one gives way.
            name = f"{name}_{kind}"
        self._names.add(name)
        if self._help:
            self.lines.append(f"# HELP {name} Envoy stat {_escape_help(dotted)}")
        self.lines.append(f"# TYPE {name} {kind}")
        seen: Set[Tags] = set()
        for tags, stat in samples:
            if tags in seen:  # names that differ only in characters that Prometheus does not have
                tags += (("stat", stat.name),)
            seen.add(tags)
            if not isinstance(stat, Histogram):
                self.lines.append(f"{name}{labels(tags)} {stat.value}")
            elif kind == "summary":
                self.lines += _summary(name, tags, stat)
            else:
                self.lines += _histogram(name, tags, stat)


def metric_name(family: str) -> str:
    """The metric name of a dotted family."""
    return "envoy_" + _NOT_A_NAME.sub("_", family)


def labels(tags: Iterable[Tuple[str, str]]) -> str:
    """A label set in braces, values escaped; "{}" when there are none, as Envoy prints it."""
    return "{" + ",".join(f'{_NOT_A_NAME.sub("_", name)}="{_escape(value)}"' for name, value in tags) + "}"


def _split(stat: _Any) -> Tuple[str, Tags]:
    """The dotted family and the labels of a stat."""
    family = stat.family
    code = _RESPONSE_CODE.search(family)
    if code:
        return family[: code.start()] + "_rq", (("envoy_response_code", code.group(1)),) + stat.tags
    response_class = _RESPONSE_CLASS.search(family)
    if response_class:
        tags = (("envoy_response_code_class", response_class.group(1)),)
        return family[: response_class.start()] + "_rq_xx", tags + stat.tags
    return family, stat.tags


def _histogram(name: str, tags: Tags, histogram: Histogram) -> List[str]:
    values = histogram.cumulative()
    lines = [
        f"{name}_bucket{labels(tags + (('le', f'{bound:.32g}'),))} {count}"
        for bound, count in zip(BOUNDS, values.counts_up_to())
    ]
    lines.append(f"{name}_bucket{labels(tags + (('le', '+Inf'),))} {values.count}")
    return lines + _sum_and_count(name, tags, histogram)


def _summary(name: str, tags: Tags, histogram: Histogram) -> List[str]:
    lines = [
        f"{name}{labels(tags + (('quantile', f'{percent / 100:.10g}'),))} {_number(value)}"
        for percent, value in zip(QUANTILES, histogram.interval().quantiles())
    ]
    return lines + _sum_and_count(name, tags, histogram)


def _sum_and_count(name: str, tags: Tags, histogram: Histogram) -> List[str]:
    values = histogram.cumulative()
    return [f"{name}_sum{labels(tags)} {_number(values.sum())}", f"{name}_count{labels(tags)} {values.count}"]


def _number(value: Optional[float]) -> str:
    return "nan" if value is None else f"{value:.32g}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
