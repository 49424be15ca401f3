"""Which of several clusters a request gets: measured on Envoy 1.40.0."""

from __future__ import annotations

from typing import List

import pytest

from proxy_core.hashing import xxhash64
from tests.unit.http.routing.routing_kit import Around, Json, of_routes, request, route_of


def weighted(*weights: int, **fields: object) -> Json:
    clusters = [{"name": f"c{index}", "weight": weight} for index, weight in enumerate(weights)]
    return {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters, **fields}}}


def cluster(route: Json, random_value: int = 0, context: "Around | None" = None, **headers: str) -> str:
    head = request(headers=[(name.replace("_", "-"), value) for name, value in headers.items()])
    found = route_of(of_routes(route, context=context), head, random_value)
    assert found is not None and found.action is not None
    return found.action.cluster_name(head)


@pytest.mark.parametrize("number, name", [(0, "c0"), (9, "c0"), (10, "c1"), (39, "c1"), (40, "c0"), (49, "c0"), (79, "c1")])
def test_clusters_share_a_range_of_numbers_in_their_order(number: int, name: str) -> None:
    assert cluster(weighted(10, 30), number) == name
    assert cluster(weighted(10, 30, header_name="X-N"), 0, x_n=str(number)) == name


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "99999999999999999999999", "\u0661"])
def test_what_is_no_number_leaves_it_to_chance(value: str) -> None:
    assert cluster(weighted(10, 30, header_name="x-n"), 10, x_n=value) == "c1"


def test_a_cluster_of_no_weight_gets_nothing() -> None:
    assert {cluster(weighted(0, 1, 0), number) for number in range(5)} == {"c1"}


def test_the_hash_may_decide() -> None:
    route = weighted(50, 50, use_hash_policy=True)
    route["route"]["hash_policy"] = [{"header": {"header_name": "x-a"}}]
    for value in ("a", "b", "c", "d"):
        assert cluster(route, x_a=value) == ("c0" if xxhash64(value.encode()) % 100 < 50 else "c1")
    assert cluster(route, 70) == "c1"


def test_the_runtime_may_have_other_weights() -> None:
    context = Around(**{"w.c0": 0, "w.c1": 1})
    route = weighted(10, 0, runtime_key_prefix="w")
    assert {cluster(route, number, context) for number in range(5)} == {"c1"}
    context = Around(**{"w.c0": 0, "w.c1": "x"})
    assert cluster(route, 3, context) == "c0"  # all weights are 0 now


def test_a_cluster_may_be_named_by_a_header() -> None:
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"cluster_header": "X-C", "weight": 1}]}}}
    assert [cluster(route, x_c="named"), cluster(route)] == ["named", ""]


def test_each_cluster_has_its_own_metadata_over_that_of_the_route() -> None:
    route = weighted(1, 1)
    clusters: List[Json] = route["route"]["weighted_clusters"]["clusters"]
    clusters[1]["metadata_match"] = {"filter_metadata": {"envoy.lb": {"v": "2", "w": "3"}}}
    route["route"]["metadata_match"] = {"filter_metadata": {"envoy.lb": {"v": "1", "u": "0"}}}
    found = [route_of(of_routes(route), request(), number) for number in (0, 1)]
    matches = [one.action.metadata_match for one in found if one is not None and one.action is not None]
    assert matches == [{"v": "1", "u": "0"}, {"v": "2", "w": "3", "u": "0"}]
