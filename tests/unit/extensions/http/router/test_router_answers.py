"""What a route adds to the responses of its requests, and what is counted of them beside the responses: as measured on Envoy
1.40.0."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional

import pytest

from tests.support.engine import address, cluster
from tests.support.peers import RefusedPort, Server
from tests.unit.extensions.http.router.router_kit import Routed, answer

Json = Dict[str, Any]
NO_PENDING = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
BUDGETS = {"track_cluster_stats": {"timeout_budgets": True}}
GROUPS = {"virtual_clusters": [{"name": "a", "headers": [{"name": ":path", "string_match": {"prefix": "/a"}}]}]}


@contextlib.contextmanager
def routed(**fields: Any) -> Iterator[Routed]:
    """See `Routed`."""
    one = Routed(**fields)
    try:
        yield one
    finally:
        one.close()


def adding(value: str) -> Json:
    """A virtual host that adds one header to its responses and tells attempts."""
    return {
        "response_headers_to_add": [{"header": {"key": "x-s", "value": value}}], "include_attempt_count_in_response": True,
    }


def names(head: bytes) -> List[str]:
    """Of the lines of a head."""
    return [line.partition(b":")[0].decode() for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]


def total(one: Routed, name: str) -> Optional[int]:
    """A counter, None if there is none."""
    found: Any = one.engine.stats.find(name)
    return None if found is None else int(found.value)


def test_added_headers_may_speak_of_the_response_of_the_upstream() -> None:
    said = "%RESP(x-up)% %RESP(:status)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%"
    with routed(vhost=adding(said)) as one:
        client = one.get()
        one.reply(one.host(), answer(201, "x-up: yes"))
        assert b"\r\nx-s: yes 201 201 via_upstream\r\nx-envoy-attempt-count: 1\r\n" in one.hear(client, b"\r\n\r\n")


def test_the_mark_of_an_overload_stands_behind_what_the_route_adds_and_is_not_removed_by_it() -> None:
    vhost = {**adding("v%RESP(x-envoy-overloaded)%"), "response_headers_to_remove": ["x-envoy-overloaded"]}
    with routed(c=NO_PENDING, vhost=vhost) as one:
        heard = one.hear(one.get(), b"overflow")
        assert names(heard)[:3] == ["x-s", "x-envoy-overloaded", "x-envoy-attempt-count"] and b"x-s: v\r\n" in heard


def test_who_is_turned_away_has_made_no_attempt() -> None:
    overload = {"policy": {"drop_overloads": [{"category": "x", "drop_percentage": {"numerator": 100}}]}}
    turning = cluster(address(1), name="full")
    turning["load_assignment"] = {**turning["load_assignment"], **overload}
    with routed(vhost=adding("v"), others=[turning], more=[{"match": {"prefix": "/full"}, "route": {"cluster": "full"}}]) as one:
        heard = one.hear(one.get("/full"), b"overload")
        assert names(heard)[:3] == ["x-s", "x-envoy-unconditional-drop-overload", "content-length"]


def test_the_answer_for_want_of_a_cluster_has_the_headers_of_its_route() -> None:
    with routed(vhost=adding("v"), more=[{"match": {"prefix": "/n"}, "route": {"cluster_header": "x-c"}}]) as one:
        assert names(one.hear(one.get("/n", "x-c: nope"), b"\r\n\r\n"))[:2] == ["x-s", "date"]


def test_a_virtual_cluster_counts_the_requests_that_hosts_were_sent() -> None:
    with routed(vhost=GROUPS, retry_policy={"retry_on": "5xx"}) as one:
        client = one.get("/a")
        host = one.host()
        one.reply(host, answer(503, body=b"x"))
        one.engine.until(lambda: host.over)  # the response was not read to its end
        one.engine.advance(0.03)
        one.reply(one.host(), answer(200, body=b"done"))
        one.hear(client, b"done")
        assert total(one, "vhost.v.vcluster.a.upstream_rq_total") == 2
    with contextlib.closing(RefusedPort()) as closed, routed(hosts=0, refused=[closed.port], vhost=GROUPS) as one:
        one.hear(one.get("/a"), b"failure")
        assert total(one, "vhost.v.vcluster.a.upstream_rq_total") == 0
        per_connection: Any = one.engine.stats.find("cluster.c.upstream_rq_per_cx")
        one.engine.advance(5)  # the interval is over
        assert not per_connection.used  # it never was one


def test_the_counters_of_a_codec_are_there_once_it_is_used() -> None:
    with routed() as one:
        assert total(one, "cluster.c.http1.response_flood") is None
        client = one.get()
        one.reply(one.host())
        one.hear(client, b"ok")
        assert total(one, "cluster.c.http1.response_flood") == 0


def test_a_mirrored_request_counts_as_one_of_the_proxy_itself() -> None:
    with contextlib.closing(Server()) as mirror:
        copy = {"request_mirror_policies": [{"cluster": "m"}]}
        with routed(others=[cluster(address(mirror.port), name="m")], **copy) as one:
            client = one.get()
            one.engine.accepted(mirror)
            one.reply(one.host())
            one.hear(client, b"ok")
            assert total(one, "http.async-client.rq_total") == 1 and total(one, "http.web.rq_total") == 1


@pytest.mark.parametrize("action", ["DROP_HEADER", "REJECT_REQUEST"])
def test_names_of_a_server_may_have_underscores_whatever_the_cluster_says_of_requests(action: str) -> None:
    message = {
        "@type": f"type.googleapis.com/{OPTIONS}", "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"headers_with_underscores_action": action},
    }
    with routed(c={"typed_extension_protocol_options": {OPTIONS: message}}) as one:
        client = one.get()
        one.reply(one.host(), answer(200, "x_y: 1", body=b"ok"))
        assert b"\r\nx_y: 1\r\n" in one.hear(client, b"ok")


def budget(one: Routed) -> Dict[str, List[int]]:
    """The percentages that were recorded, of requests and of attempts."""
    recorded = {}
    for name in ("", "per_try_"):
        histogram: Any = one.engine.stats.find(f"cluster.c.upstream_rq_timeout_budget_{name}percent_used")
        one.engine.advance(5)  # the interval is over
        recorded[name] = [int(bin.lower_bound) for bin in histogram.cumulative().bins() for _ in range(bin.values)]
    return recorded


def test_timeout_budgets_tell_how_much_of_their_time_requests_and_attempts_take() -> None:
    policy = {"retry_on": "5xx", "per_try_timeout": "0.2s"}
    with routed(c=BUDGETS, timeout="1s", retry_policy=policy) as one:
        client = one.get()
        host = one.host()
        one.engine.advance(0.1)
        one.reply(host)
        one.hear(client, b"ok")
        assert budget(one) == {"": [10], "per_try_": [50]}


def test_a_request_whose_time_is_over_counts_and_its_last_attempt_does_not() -> None:
    with routed(c=BUDGETS, timeout="0.5s") as one:
        client = one.get()
        one.host()
        one.engine.advance(0.5)
        one.hear(client, b"timeout")
        assert budget(one) == {"": [100], "per_try_": []}


def test_a_request_that_its_host_drops_counts_as_an_attempt_only() -> None:
    with routed(c=BUDGETS) as one:
        client = one.get()
        one.host().finish()
        one.engine.turn(3)
        one.hear(client, b"termination")
        assert budget(one) == {"": [], "per_try_": [0]}
