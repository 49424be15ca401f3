"""ip_tagging: which requests get which tags, and where. Measured on Envoy 1.40, where only the order of tags is another one."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.ip_tagging.v3.IPTagging"


def tag(name: str, *networks: Tuple[str, int]) -> Dict[str, Any]:
    return {"ip_tag_name": name, "ip_list": [{"address_prefix": ip, "prefix_len": bits} for ip, bits in networks]}


TAGS = [tag("wide", ("10.0.0.0", 8)), tag("one", ("10.1.1.1", 32), ("::1", 128)), tag("six", ("::", 0))]


def tagging(tags: Any = TAGS, **fields: Any) -> Dict[str, Any]:
    return {"name": "ip_tagging", "typed_config": {"@type": TYPE, "ip_tags": tags, **fields}}


def seen(harness: HttpHarness, name: str = "x-envoy-ip-tags") -> List[str]:
    assert harness.upstream.head is not None
    return harness.upstream.head.headers.get_all(name)


@pytest.mark.parametrize(
    ("client", "tags"),
    [("10.1.1.1", ["wide,one"]), ("10.1.1.2", ["wide"]), ("11.0.0.0", []), ("9.255.255.255", []), ("::1", ["one,six"]),
    ("fe80::2", ["six"])],
)
def test_the_tags_of_the_clients_address(client: str, tags: List[str]) -> None:
    with HttpHarness([tagging()], manager={"use_remote_address": False}) as harness:
        harness.request(headers=[("x-forwarded-for", client)])
        assert seen(harness) == tags
        assert harness.stat("ip_tagging.total") == 1
        for name in tags[0].split(",") if tags else ["no_hit"]:
            assert harness.stat(f"ip_tagging.{name}.hit" if tags else f"ip_tagging.{name}") == 1


def test_tags_go_to_the_usual_header_or_replace_what_a_client_put_into_ones_own() -> None:
    forwarded = ("x-forwarded-for", "10.1.1.2")
    for fields, header, sent, wanted in (
        ({}, "x-envoy-ip-tags", "evil", ["wide"]),  # the manager takes it out
        ({"ip_tag_header": {"header": "X-Tags"}}, "x-tags", "evil", ["wide"]),
        ({"ip_tag_header": {"header": "X-Tags", "action": "APPEND_IF_EXISTS_OR_ADD"}}, "x-tags", "other", ["other,wide"]),
    ):
        with HttpHarness([tagging(**fields)]) as harness:
            harness.request(headers=[forwarded, ("x-envoy-internal", "true"), (header, sent)])
            assert seen(harness, header) == wanted
    with HttpHarness([tagging(ip_tag_header={"header": "x-tags"})]) as harness:
        harness.request(headers=[("x-forwarded-for", "11.0.0.0"), ("x-tags", "evil")])
        assert seen(harness, "x-tags") == []


@pytest.mark.parametrize(("kind", "wanted"), [("BOTH", [True, True]), ("INTERNAL", [True, False]), ("EXTERNAL", [False, True])])
def test_only_requests_of_the_wanted_kind(kind: str, wanted: List[bool]) -> None:
    tags = [tag("all", ("0.0.0.0", 0))]
    ours = {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    manager = {"use_remote_address": True, "internal_address_config": ours}
    found = []
    for client in ("10.0.0.1", "8.8.8.8"):
        with HttpHarness([tagging(tags, request_type=kind)], manager=manager, remote=f"{client}:1") as harness:
            harness.request()
            found.append(seen(harness) == ["all"])
    assert found == wanted


def test_the_runtime_can_switch_it_off() -> None:
    with HttpHarness([tagging()], runtime={"ip_tagging.http_filter_enabled": 0}) as harness:
        harness.request(headers=[("x-forwarded-for", "10.1.1.1")])
        assert seen(harness) == []


def test_the_route_is_chosen_by_the_tags() -> None:
    matcher = [{"name": "x-envoy-ip-tags", "string_match": {"exact": "wide"}}]
    routes = [
        {"match": {"prefix": "/", "headers": matcher}, "route": {"cluster": "near"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]
    with HttpHarness([tagging()], routes=routes, answer=None) as harness:
        harness.open(headers=[("x-forwarded-for", "10.1.1.2")])
        assert harness.upstream.decoder.route is not None and harness.upstream.decoder.route.action is not None
        assert harness.upstream.decoder.route.action.cluster_name(harness.upstream.decoder.request) == "near"
        harness.act(harness.upstream.respond)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"tags": []}, "requires either ip_tags or ip_tags_datasource"),
        ({"ip_tags_datasource": {"inline_string": "x"}}, "does not support yet"),
        ({"ip_tag_header": {"header": ":path"}}, "may not be modified"),
        ({"tags": [tag("x", ("abc", 8))]}, "malformed IP address: abc"),
    ],
)
def test_bad_configurations_are_refused(fields: Dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        HttpHarness([tagging(**fields)])
