"""/stats as text and as JSON, byte for byte in Envoy's shapes.

Order: text readouts, then counters and gauges sorted together, then histograms. Mirrors `StatsTextRender` and
`StatsJsonRender` of Envoy's admin. Prometheus has a module of its own.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Callable, Dict, Iterator, List, Optional, Tuple, Union

from .histogram import BOUNDS, QUANTILES, Bin, Distribution, Histogram
from .query import StatsQuery
from .stats import ComputedGauge, Counter, Gauge, StatsStore, TextReadout

Scalar = Union[Counter, Gauge, ComputedGauge]


def stats_text(store: StatsStore, query: StatsQuery) -> str:
    """The body of /stats: one stat a line."""
    lines = [f'{text.name}: "{text.value}"' for text in _texts(store, query)]
    lines += [f"{stat.name}: {stat.value}" for stat in scalars(store, query)]
    buckets = query.buckets or "summary"
    lines += [_histogram_text(histogram, buckets) for histogram in histograms(store, query)]
    return "".join(line + "\n" for line in lines)


def stats_json(store: StatsStore, query: StatsQuery) -> str:
    """The body of /stats?format=json: compact, no spaces."""
    items = [_name_value(text.name, json.dumps(text.value)) for text in _texts(store, query)]
    items += [_name_value(stat.name, str(stat.value)) for stat in scalars(store, query)]
    found = histograms(store, query)
    if found:
        items.append('{"histograms":' + _HISTOGRAMS_JSON[query.buckets or "summary"](found) + "}")
    return '{"stats":[' + ",".join(items) + "]}"


def scalars(store: StatsStore, query: StatsQuery) -> List[Scalar]:
    """Counters and gauges that the query asks for, sorted by name."""
    chosen: List[Scalar] = []
    if query.wants("Counters"):
        chosen += store.counters.values()
    if query.wants("Gauges"):
        chosen += store.gauges.values()
    return query.select(chosen)


def histograms(store: StatsStore, query: StatsQuery) -> List[Histogram]:
    """Histograms that the query asks for, sorted by name."""
    return query.select(store.histograms.values()) if query.wants("Histograms") else []


def shortest(number: Optional[float]) -> str:
    """A JSON number as C++'s std::to_chars writes it: the shorter of plain and scientific; None is null.

    300000 becomes 3e+05, 1800000 stays (both have seven characters).
    """
    if number is None:
        return "null"
    sign, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    plain = format(Decimal(repr(float(number))).normalize(), "f")
    if not isinstance(exponent, int):  # not a finite number
        return "null"
    power = exponent + len(digits) - 1
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    scientific = f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return scientific if len(scientific) < len(plain) else plain


def _texts(store: StatsStore, query: StatsQuery) -> List[TextReadout]:
    return query.select(store.texts.values()) if query.wants("TextReadouts") else []


def _name_value(name: str, value: str) -> str:
    return f'{{"name":{json.dumps(name, ensure_ascii=False)},"value":{value}}}'


def _pairs(histogram: Histogram) -> Iterator[Tuple[Optional[float], Optional[float]]]:
    """(interval, cumulative) for each of QUANTILES."""
    return zip(histogram.interval().quantiles(), histogram.cumulative().quantiles())


def _counts(distribution: Distribution, disjoint: bool) -> List[int]:
    counts = distribution.counts_up_to()
    if not disjoint:
        return counts
    return [count - before for before, count in zip([0] + counts, counts)]


def _histogram_text(histogram: Histogram, buckets: str) -> str:
    if not histogram.cumulative().count:
        return f"{histogram.name}: No recorded values"
    summary = " ".join(
        f"P{percent:g}({_g(interval)},{_g(cumulative)})"
        for percent, (interval, cumulative) in zip(QUANTILES, _pairs(histogram))
    )
    if buckets == "summary":
        return f"{histogram.name}: {summary}"
    if buckets == "detailed":
        totals, intervals = _bins_text(histogram.cumulative().bins()), _bins_text(histogram.interval().bins())
        return f"{histogram.name}:\n  totals={totals}\n  intervals={intervals}\n  summary={summary}"
    rows = zip(
        BOUNDS, _counts(histogram.interval(), buckets == "disjoint"),
        _counts(histogram.cumulative(), buckets == "disjoint"),
    )
    return f"{histogram.name}: " + " ".join(f"B{bound:g}({new},{total})" for bound, new, total in rows)


def _g(number: Optional[float]) -> str:
    """As C++'s fmt prints a double: all digits that are needed, and no ".0"."""
    if number is None:
        return "nan"
    text = repr(float(number))
    return text[:-2] if text.endswith(".0") else text


def _bins_text(bins: List[Bin]) -> str:
    return ", ".join(f"{lower:g},{width:g}:{count}" for lower, width, count in bins)


def _bins_json(bins: List[Bin]) -> str:
    return "[" + ",".join(
        f'{{"lower_bound":{shortest(lower)},"width":{shortest(width)},"count":{count}}}'
        for lower, width, count in bins
    ) + "]"


def _quantiles_json(histogram: Histogram) -> str:
    return "[" + ",".join(
        f'{{"cumulative":{shortest(cumulative)},"interval":{shortest(interval)}}}'
        for interval, cumulative in _pairs(histogram)
    ) + "]"


def _summary_json(found: List[Histogram]) -> str:
    rows = ",".join(f'{{"name":{json.dumps(h.name)},"values":{_quantiles_json(h)}}}' for h in found)
    return f'{{"supported_quantiles":{_percents()},"computed_quantiles":[{rows}]}}'


def _detailed_json(found: List[Histogram]) -> str:
    rows = ",".join(
        f'{{"name":{json.dumps(h.name)},"totals":{_bins_json(h.cumulative().bins())},'
        f'"intervals":{_bins_json(h.interval().bins())},"percentiles":{_quantiles_json(h)}}}'
        for h in found
    )
    return f'{{"supported_percentiles":{_percents()},"details":[{rows}]}}'


def _buckets_json(found: List[Histogram], disjoint: bool) -> str:
    rows = []
    for h in found:
        triples = zip(BOUNDS, _counts(h.interval(), disjoint), _counts(h.cumulative(), disjoint))
        buckets = ",".join(
            f'{{"upper_bound":{shortest(bound)},"interval":{new},"cumulative":{total}}}'
            for bound, new, total in triples
        )
        rows.append(f'{{"name":{json.dumps(h.name)},"buckets":[{buckets}]}}')
    return "[" + ",".join(rows) + "]"


def _percents() -> str:
    return "[" + ",".join(f"{percent:g}" for percent in QUANTILES) + "]"


_HISTOGRAMS_JSON: Dict[str, Callable[[List[Histogram]], str]] = {
    "summary": _summary_json,
    "detailed": _detailed_json,
    "cumulative": lambda found: _buckets_json(found, disjoint=False),
    "disjoint": lambda found: _buckets_json(found, disjoint=True),
}
