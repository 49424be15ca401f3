"""Field masks of /config_dump."""

from __future__ import annotations

import pytest

from proxy_core.admin.field_mask import fits, parse_mask, trim
from proxy_core.config.model.cluster import Cluster

SHAPE = {"cluster": Cluster, "last_updated": None}
TREE = {
    "@type": "t", "last_updated": "now",
    "cluster": {"@type": "u", "name": "c", "load_assignment": {"cluster_name": "c", "endpoints": [1]}},
}


@pytest.mark.parametrize("mask", [
    "", "last_updated", "cluster", "cluster.name", "cluster.load_assignment.endpoints",
    "cluster.name,last_updated",
    "cluster.dns_resolvers",  # Envoy's, not supported here: never set
])
def test_paths_that_exist_fit(mask: str) -> None:
    assert fits(parse_mask(mask), SHAPE)


@pytest.mark.parametrize("mask", [
    "bogus", "cluster.bogus", "cluster.name.more", "last_updated.seconds",
    "cluster.load_assignment.endpoints.priority",
    "cluster.name,bogus", "*", "cluster..name", ".", "cluster.",
])
def test_paths_that_do_not_exist_or_lead_through_a_list_do_not_fit(mask: str) -> None:
    assert not fits(parse_mask(mask), SHAPE)


@pytest.mark.parametrize(("mask", "expected"), [
    ("last_updated", {"@type": "t", "last_updated": "now"}),
    ("cluster.name", {"@type": "t", "cluster": {"@type": "u", "name": "c"}}),
    ("cluster.name,cluster", {"@type": "t", "cluster": TREE["cluster"]}),
    ("cluster.load_assignment.cluster_name,cluster.name",
     {"@type": "t", "cluster": {"@type": "u", "name": "c", "load_assignment": {"cluster_name": "c"}}}),
    ("cluster.lb_policy", {"@type": "t", "cluster": {"@type": "u"}}),
])
def test_trimming_keeps_what_is_named_and_the_type(mask: str, expected: object) -> None:
    assert trim(TREE, parse_mask(mask)) == expected
