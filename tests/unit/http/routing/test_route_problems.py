"""Tables that Envoy 1.40.0 refuses are refused, with its sentence; those that it takes are taken."""

from __future__ import annotations

from typing import Any, List

import pytest

from tests.unit.http.routing.routing_kit import Json, forwards, problems

ROUTE = "rc.virtual_hosts[0].routes[0]"
BIG = 2**32 - 1


def one(route: Json, **host: Any) -> Json:
    return {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route], **host}]}


def weighted(*clusters: Json, **fields: Any) -> Json:
    return {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": list(clusters), **fields}}}


def direct(**fields: Any) -> Json:
    return {"match": {"prefix": "/"}, "direct_response": fields}


def hosts(*domains: List[str]) -> Json:
    return {"virtual_hosts": [{"name": f"v{index}", "domains": some} for index, some in enumerate(domains)]}


MIRROR = {"request_mirror_policies": [{"cluster": "ghost"}]}
SUBSTITUTE = {"pattern": {"regex": "a"}, "substitution": "b"}
REFUSED = [
    (one(forwards({"cluster": "ghost"})), f"{ROUTE}.route.cluster: route: unknown cluster 'ghost'"),
    (one(weighted({"name": "ghost", "weight": 1})),
     f"{ROUTE}.route.weighted_clusters.clusters[0].name: route: unknown weighted cluster 'ghost'"),
    (one(forwards(MIRROR)), f"{ROUTE}.route.request_mirror_policies[0].cluster: route: unknown shadow cluster 'ghost'"),
    (one(forwards(), **MIRROR), "rc.virtual_hosts[0].request_mirror_policies[0].cluster: route: unknown shadow cluster 'ghost'"),
    ({**one(forwards()), **MIRROR}, "rc.request_mirror_policies[0].cluster: route: unknown shadow cluster 'ghost'"),
    (hosts(["*"], ["*"]), "rc.virtual_hosts[1].domains[0]: Only a single wildcard domain is permitted in route r"),
    (hosts(["a", "A"]),
     "rc.virtual_hosts[0].domains[1]: Only unique values for domains are permitted. Duplicate entry of domain A in route r"),
    (hosts(["*.a"], ["*.a"]),
     "rc.virtual_hosts[1].domains[0]: Only unique values for domains are permitted. Duplicate entry of domain *.a in route r"),
    (one(weighted({"name": "c", "weight": 0})),
     f"{ROUTE}.route.weighted_clusters: Sum of weights in the weighted_cluster must be greater than 0."),
    (one(weighted({"name": "c", "weight": BIG}, {"name": "c", "weight": 1})),
     f"{ROUTE}.route.weighted_clusters: The sum of weights of all weighted clusters of route exceeds {BIG}"),
    (one(weighted({"name": "c", "cluster_header": "x", "weight": 1})),
     f"{ROUTE}.route.weighted_clusters.clusters[0]: Only one of name or cluster_header can be specified"),
    (one(weighted({"weight": 1})),
     f"{ROUTE}.route.weighted_clusters.clusters[0]: At least one of name or cluster_header need to be specified"),
    (one(forwards({"request_mirror_policies": [{"cluster": "c", "cluster_header": "x"}]})),
     f"{ROUTE}.route.request_mirror_policies[0]: "
     "Only one of cluster or cluster_header in request mirror policy can be specified"),
    (one(forwards({"request_mirror_policies": [{}]})),
     f"{ROUTE}.route.request_mirror_policies[0]: "
     "Exactly one of cluster or cluster_header in request mirror policy need to be specified"),
    (one(direct(status=200, body={"inline_string": "x" * 4097})),
     f"{ROUTE}.direct_response.body: response body size is 4097 bytes; maximum is 4096"),
    (one(direct(status=200, body={"filename": "/nonexistent"})),
     f"{ROUTE}.direct_response.body.filename: Invalid path: /nonexistent"),
    (one(direct(status=200, body_format={"text_format": "%NOPE%"})),
     f"{ROUTE}.direct_response.body_format: Not supported field in StreamInfo: NOPE"),
    (one(forwards({"prefix_rewrite": "/x", "regex_rewrite": SUBSTITUTE})),
     f"{ROUTE}.route: Specify only one of prefix_rewrite, regex_rewrite or path_rewrite"),
    (one(forwards({"host_rewrite": "%NOPE%"})), f"{ROUTE}.route: Not supported field in StreamInfo: NOPE"),
    (one(forwards(request_headers_to_add=[{"header": {"key": "Host", "value": "x"}}])),
     f"{ROUTE}.request_headers_to_add[0]: :-prefixed or host headers may not be modified"),
    (one(forwards(response_headers_to_remove=[":status"])),
     f"{ROUTE}.response_headers_to_remove[0]: :-prefixed or host headers may not be removed"),
    (one(forwards(request_headers_to_add=[{"header": {"key": "x", "value": "100%"}}])),
     f"{ROUTE}.request_headers_to_add[0]: Incorrect configuration: 100%. Couldn't find valid command at position 3"),
    # Of the messages themselves, so without the path of the table.
    (one(direct(status=199)),
     "virtual_hosts[0].routes[0].direct_response.status: expected an integer from 200 to 599, found 199"),
    (one(forwards(request_headers_to_add=[{"header": {"key": "x", "value": "a\r\nb"}}])),
     "virtual_hosts[0].routes[0].request_headers_to_add[0].header.value: a header line has no line breaks and no NUL"),
    (one(forwards({"prefix_rewrite": "/\n"})),
     "virtual_hosts[0].routes[0].route.prefix_rewrite: a header line has no line breaks and no NUL"),
    (one(forwards(match={"safe_regex": {"regex": "(?=a)"}})),
     "virtual_hosts[0].routes[0].match.safe_regex.regex: invalid regular expression: invalid perl operator: (?="),
    (one(forwards({"upgrade_configs": [{"upgrade_type": "a"}, {"upgrade_type": "A"}]})),
     "virtual_hosts[0].routes[0].route.upgrade_configs[1]: Duplicate upgrade A"),
    (one(forwards({"upgrade_configs": [{"upgrade_type": "websocket", "connect_config": {}}]})),
     "virtual_hosts[0].routes[0].route.upgrade_configs[0].connect_config: Non-CONNECT upgrade type websocket has ConnectConfig"),
    (one(forwards({"retry_policy": {"retry_back_off": {"base_interval": "2s", "max_interval": "1s"}}})),
     "virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval: "
     "retry_policy.max_interval must greater than or equal to the base_interval"),
    (one(forwards(), virtual_clusters=[{"name": "x"}]),
     "virtual_hosts[0].virtual_clusters[0].headers: virtual clusters must define 'headers'"),
    (one(forwards({"internal_redirect_policy": {"response_headers_to_copy": [":path"]}})),
     "virtual_hosts[0].routes[0].route.internal_redirect_policy.response_headers_to_copy[0]: "
     ":-prefixed headers or Hosts may not be specified here."),
    (one(forwards({"internal_redirect_policy": {"response_headers_to_copy": ["a", "a"]}})),
     "virtual_hosts[0].routes[0].route.internal_redirect_policy.response_headers_to_copy[1]: 'a' is there twice"),
    (one(forwards({"cluster_specifier_plugin": "x"})),
     "virtual_hosts[0].routes[0].route.cluster_specifier_plugin: "
     "`cluster_specifier_plugin` is a field of Envoy's RouteAction that proxy_core does not support yet"),
]


@pytest.mark.parametrize("tree, problem", REFUSED, ids=[problem for _, problem in REFUSED])
def test_it_is_refused_with_envoys_sentence_and_our_path(tree: Json, problem: str) -> None:
    assert problem in problems(tree)


@pytest.mark.parametrize("prefix", ["/a/", "/a?", "/a#b", "/", ""])
def test_a_separated_prefix_has_a_form(prefix: str) -> None:
    found = problems(one(forwards(match={"path_separated_prefix": prefix})))
    assert len(found) == 1 and "path_separated_prefix: expected a path such as" in found[0]


@pytest.mark.parametrize("tree", [
    one(forwards()), {**one(forwards({"cluster": "ghost"})), "validate_clusters": False}, hosts(["a"], ["b"], [""], ["x*y"]),
    one(weighted({"cluster_header": "x-c", "weight": 1}, header_name=":path")),
    one(weighted({"name": "c", "weight": 1}, total_weight=7)),
    one(direct(status=200, body={"inline_string": "x" * 4096})),
    {**one(direct(status=200, body={"inline_string": "x" * 5000})), "max_direct_response_body_size_bytes": 5000},
    one(forwards({"retry_policy": {"retry_on": "5xx,junk"}})),
    one({"match": {"prefix": "/"}, "redirect": {"port_redirect": 99999}}),
    one(forwards({"regex_rewrite": {"pattern": {"regex": "(a)"}, "substitution": "\\2"}})),
    one(forwards(per_request_buffer_limit_bytes=1, request_body_buffer_limit="2")),
    one(forwards(match={"safe_regex": {"regex": "a{,3}{"}, "case_sensitive": False})),
    one(forwards(decorator={"operation": "x"}, tracing={"random_sampling": {"numerator": 1}})), {"virtual_hosts": []}, {},
])
def test_it_is_taken(tree: Json) -> None:
    assert problems(tree) == []


def test_discovered_tables_may_name_clusters_that_are_not_there_yet() -> None:
    tree = one(forwards({"cluster": "ghost"}))
    assert problems(tree, validates=False) == []
    assert len(problems({**tree, "validate_clusters": True}, validates=False)) == 1


def test_all_problems_are_found_at_once() -> None:
    bad = one(forwards({"cluster": "ghost"}, request_headers_to_remove=["host"]))
    bad["virtual_hosts"].append({"name": "w", "domains": ["*"], "routes": [forwards({"cluster": "ghost"})]})
    assert len(problems(bad)) == 4
