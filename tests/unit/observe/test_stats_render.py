"""/stats in text, JSON and for Prometheus: the shapes measured on Envoy 1.40."""

from __future__ import annotations

import json
from typing import Dict, List

import pytest

from proxy_core.observe.prometheus import stats_prometheus
from proxy_core.observe.query import StatsQuery, compile_filter
from proxy_core.observe.render import shortest, stats_json, stats_text
from proxy_core.observe.stats import StatsStore


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_store() -> "tuple[Clock, StatsStore]":
    clock = Clock()
    store = StatsStore(clock)
    cluster = store.scope("cluster.c")
    cluster.counter("upstream_cx_total").value = 1
    cluster.gauge("upstream_cx_active").set(1)
    cluster.counter("upstream_cx_overflow")
    store.scope("listener_manager.lds").text("version_text").set('v"1')
    histogram = cluster.histogram("upstream_cx_length_ms", "ms")
    cluster.histogram("upstream_rq_per_cx")
    for value in (1, 105, 205):
        histogram.record(value)
    clock.now = 5.0
    return clock, store


def query(**params: str) -> StatsQuery:
    return StatsQuery.from_params(params)


SUMMARY = (
    "cluster.c.upstream_cx_length_ms: P0(1.05,1.05) P25(1.05,1.05) P50(105,105) P75(205,205) P90(205,205) "
    "P95(205,205) P99(205,205) P99.5(205,205) P99.9(205,205) P100(205,205)\n"
)


def test_text_lists_readouts_then_counters_and_gauges_together_then_histograms() -> None:
    _, store = make_store()
    assert stats_text(store, query()) == (
        'listener_manager.lds.version_text: "v"1"\n'
        "cluster.c.upstream_cx_active: 1\n"
        "cluster.c.upstream_cx_overflow: 0\n"
        "cluster.c.upstream_cx_total: 1\n" + SUMMARY + "cluster.c.upstream_rq_per_cx: No recorded values\n"
    )


def test_the_interval_part_is_nan_when_nothing_new_came() -> None:
    clock, store = make_store()
    clock.now += 50
    text = stats_text(store, query(filter="length_ms"))
    assert text.startswith("cluster.c.upstream_cx_length_ms: P0(nan,1.05) P25(nan,1.05) P50(nan,105)")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (
            {"filter": r"^cluster\.c\.upstream_cx_(total|active)$"},
            ["upstream_cx_active", "upstream_cx_total"],
        ),
        ({"usedonly": "", "filter": "upstream_cx_o"}, []),
        ({"type": "Gauges"}, ["upstream_cx_active"]),
        ({"type": "Counters", "usedonly": ""}, ["upstream_cx_total"]),
        ({"type": "Histograms", "usedonly": ""}, ["upstream_cx_length_ms"]),
        ({"type": "TextReadouts"}, ["version_text"]),
        ({"filter": "upstream", "invert_filter": ""}, ["version_text"]),
        ({"filter": "nothing"}, []),
    ],
)
def test_what_a_query_selects(params: Dict[str, str], names: List[str]) -> None:
    _, store = make_store()
    lines = stats_text(store, query(**params)).splitlines()
    assert [line.partition(": ")[0].rpartition(".")[2] for line in lines] == names


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"filter": "*("}, "Invalid re2 regex: no argument for repetition operator: *("),
        ({"filter": "("}, "Invalid re2 regex: missing ): ("),
        ({"filter": "[a"}, "Invalid re2 regex: missing ]: [a"),
        ({"filter": "a)"}, "Invalid re2 regex: unexpected ): )"),
        ({"filter": "a{99999999999999}"}, "Invalid re2 regex: pattern too large: a{99999999999999}"),
        ({"filter": "(?P<n"}, "Invalid re2 regex: "),
        ({"format": "xml"}, "usage: /stats?format=(json|prometheus|text)\n\n"),
        ({"type": "counters"}, "invalid &type= param"),
        (
            {"histogram_buckets": "x"},
            "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n",
        ),
    ],
)
def test_a_bad_query_is_refused_with_envoys_words(params: Dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        query(**params)
    assert str(caught.value).startswith(message)


def test_a_filter_matches_anywhere_in_the_name() -> None:
    assert compile_filter("cx").search("upstream_cx_total")


def test_json_is_compact_and_ends_with_the_histograms() -> None:
    _, store = make_store()
    assert stats_json(store, query(filter="total|version|active", format="json")) == (
        '{"stats":[{"name":"listener_manager.lds.version_text","value":"v\\"1"},'
        '{"name":"cluster.c.upstream_cx_active","value":1},{"name":"cluster.c.upstream_cx_total","value":1}]}'
    )
    text = stats_json(store, query(filter="length_ms"))
    assert text.startswith(
        '{"stats":[{"histograms":{"supported_quantiles":[0,25,50,75,90,95,99,99.5,99.9,100],'
        '"computed_quantiles":'
        '[{"name":"cluster.c.upstream_cx_length_ms","values":[{"cumulative":1.05,"interval":1.05},'
    )
    json.loads(text)


def test_json_without_a_match_is_an_empty_list() -> None:
    _, store = make_store()
    assert stats_json(store, query(filter="nothing")) == '{"stats":[]}'


def test_unrecorded_histograms_are_null_in_json() -> None:
    _, store = make_store()
    tree = json.loads(stats_json(store, query(filter="per_cx")))
    assert tree["stats"][0]["histograms"]["computed_quantiles"][0]["values"][0] == {
        "cumulative": None,
        "interval": None,
    }


def test_cumulative_and_disjoint_buckets() -> None:
    _, store = make_store()
    text = stats_text(store, query(filter="length_ms", histogram_buckets="cumulative"))
    assert text.startswith(
        "cluster.c.upstream_cx_length_ms: B0.5(0,0) B1(1,1) B5(1,1) B10(1,1) B25(1,1) B50(1,1) B100(2,2)"
    )
    assert text.endswith("B600000(3,3) B1.8e+06(3,3) B3.6e+06(3,3)\n")
    text = stats_text(store, query(filter="length_ms", histogram_buckets="disjoint"))
    assert "B1(1,1) B5(0,0)" in text and "B100(1,1) B250(1,1) B500(0,0)" in text
    tree = json.loads(stats_json(store, query(filter="length_ms", histogram_buckets="disjoint")))
    assert tree["stats"][0]["histograms"][0]["buckets"][1] == {
        "upper_bound": 1,
        "interval": 1,
        "cumulative": 1,
    }


def test_detailed_buckets() -> None:
    _, store = make_store()
    text = stats_text(store, query(filter="length_ms", histogram_buckets="detailed"))
    assert text.startswith(
        "cluster.c.upstream_cx_length_ms:\n  totals=1,0.1:1, 100,10:1, 200,10:1\n"
        "  intervals=1,0.1:1, 100,10:1, 200,10:1\n  summary=P0(1.05,1.05)"
    )
    tree = json.loads(stats_json(store, query(filter="length_ms", histogram_buckets="detailed")))
    assert tree["stats"][0]["histograms"]["details"][0]["totals"][0] == {
        "lower_bound": 1,
        "width": 0.1,
        "count": 1,
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (300000.0, "3e+05"),
        (1800000.0, "1800000"),
        (0.5, "0.5"),
        (1.05, "1.05"),
        (0.0, "0"),
        (None, "null"),
        (10000.0, "10000"),
        (105.0, "105"),
    ],
)
def test_json_numbers_are_the_shorter_of_plain_and_scientific(number: float, text: str) -> None:
    assert shortest(number) == text


def test_prometheus_cuts_the_users_part_out_of_the_name() -> None:
    _, store = make_store()
    assert stats_prometheus(store, query(filter=r"cluster\.c\.upstream_cx_(total|active)$")) == (
        "# TYPE envoy_cluster_upstream_cx_total counter\n"
        'envoy_cluster_upstream_cx_total{envoy_cluster_name="c"} 1\n'
        "# TYPE envoy_cluster_upstream_cx_active gauge\n"
        'envoy_cluster_upstream_cx_active{envoy_cluster_name="c"} 1\n'
    )


def test_prometheus_help_lines_come_on_demand_once_per_family() -> None:
    _, store = make_store()
    store.scope("cluster.d").counter("upstream_cx_total")
    text = stats_prometheus(store, query(filter="upstream_cx_total", help="1"))
    assert text.count("# HELP envoy_cluster_upstream_cx_total Envoy stat cluster.upstream_cx_total\n") == 1
    assert text.count("# TYPE envoy_cluster_upstream_cx_total counter\n") == 1


def test_prometheus_histograms_have_buckets_sum_and_count() -> None:
    _, store = make_store()
    lines = stats_prometheus(store, query(filter="length_ms")).splitlines()
    name = "envoy_cluster_upstream_cx_length_ms"
    assert lines[0] == f"# TYPE {name} histogram"
    assert lines[1] == f'{name}_bucket{{envoy_cluster_name="c",le="0.5"}} 0'
    assert lines[16] == f'{name}_bucket{{envoy_cluster_name="c",le="300000"}} 3'
    assert lines[-3] == f'{name}_bucket{{envoy_cluster_name="c",le="+Inf"}} 3'
    assert lines[-2].startswith(f'{name}_sum{{envoy_cluster_name="c"}} 310.6875725900')
    assert lines[-1] == f'{name}_count{{envoy_cluster_name="c"}} 3'


def test_prometheus_summaries_on_demand() -> None:
    _, store = make_store()
    text = stats_prometheus(store, query(filter="length_ms", histogram_buckets="summary"))
    assert 'envoy_cluster_upstream_cx_length_ms{envoy_cluster_name="c",quantile="0.5"} 105\n' in text
    assert "# TYPE envoy_cluster_upstream_cx_length_ms summary\n" in text


def test_prometheus_response_codes_are_labels() -> None:
    store = StatsStore(lambda: 0.0)
    store.scope("cluster.c").zeros(counters=("upstream_rq_503", "upstream_rq_5xx", "upstream_rq_2xx"))
    assert stats_prometheus(store, query()).splitlines() == [
        "# TYPE envoy_cluster_upstream_rq counter",
        'envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="c"} 0',
        "# TYPE envoy_cluster_upstream_rq_xx counter",
        'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="c"} 0',
        'envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="c"} 0',
    ]


def test_prometheus_escapes_label_values_and_prints_empty_braces() -> None:
    store = StatsStore(lambda: 0.0)
    store.scope('cluster.a"b\\c\nd').counter("x")
    store.scope("server").counter("y")
    assert stats_prometheus(store, query()).splitlines()[1::2] == [
        'envoy_cluster_x{envoy_cluster_name="a\\"b\\\\c\\nd"} 0',
        "envoy_server_y{} 0",
    ]


def test_prometheus_never_prints_a_sample_twice_nor_a_family_with_two_types() -> None:
    store = StatsStore(lambda: 0.0)
    store.scope("a").zeros(counters=("x-y", "x_y", "z"), gauges=("z",))
    lines = stats_prometheus(store, query()).splitlines()
    assert "envoy_a_x_y{} 0" in lines and 'envoy_a_x_y{stat="a.x_y"} 0' in lines
    assert "# TYPE envoy_a_z counter" in lines and "# TYPE envoy_a_z_gauge gauge" in lines


def test_prometheus_families_are_contiguous_over_several_scopes() -> None:
    store = StatsStore(lambda: 0.0)
    for name in ("c1", "c2", "c3"):
        store.scope(f"cluster.{name}").zeros(counters=("a", "b"), gauges=("g",), histograms=("h",))
    seen: List[str] = []
    for line in stats_prometheus(store, query()).splitlines():
        if line.startswith("# TYPE"):
            assert line.split()[2] not in seen
            seen.append(line.split()[2])
        else:
            assert line.startswith(seen[-1])
