"""The router behind a connection manager: what clients, hosts, logs and stats see of requests that go well and that don't. The
answers are those that Envoy 1.40 gave."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

import pytest

from tests.support.engine import address, cluster
from tests.support.peers import RefusedPort, Server
from tests.unit.extensions.http.router.router_kit import Routed, answer

Make = Callable[..., Routed]
BULK = 24 << 20  # more than all kernel buffers on the way
RESET = b"upstream connect error or disconnect/reset before headers. "
UPGRADE = b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
SWITCH = b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
WEBSOCKETS = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
INTERNAL = {
    "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.1", "prefix_len": 32}]}, "use_remote_address": True,
}


@pytest.fixture
def make() -> Iterator[Make]:
    with contextlib.ExitStack() as stack:
        def build(**given: Any) -> Routed:
            routed = Routed(**given)
            stack.callback(routed.close)
            return routed
        yield build


@pytest.fixture
def refused() -> Iterator[int]:
    port = RefusedPort()
    yield port.port
    port.close()


def test_a_request_and_its_response(make: Make) -> None:
    routed = make()
    client = routed.get("/x?y", "x-a: 1")
    host = routed.host()
    assert routed.hear(host) == (
        b"GET /x?y HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-forwarded-proto: http\r\nx-request-id: *\r\n"
        b"x-envoy-expected-rq-timeout-ms: 15000\r\n\r\n"
    )
    routed.reply(host)
    assert routed.hear(client, b"ok") == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: *\r\ndate: *\r\nserver: envoy\r\n\r\nok"
    )
    assert routed.lines == ["200 - via_upstream att=1 c"]
    names = "upstream_rq_200", "external.upstream_rq_2xx", "upstream_rq_completed", "upstream_rq_total"
    assert routed.counts(*names) == (1, 1, 1, 1)


def test_bodies_stream_both_ways(make: Make) -> None:
    routed = make()
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    host = routed.host()
    routed.hear(host, b"3\r\nabc\r\n")
    client.send(b"2\r\nde\r\n0\r\n\r\n")
    routed.hear(host, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    routed.reply(host, b"HTTP/1.1 200 OK\r\n\r\nfirst")
    assert routed.hear(client, b"5\r\nfirst\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    routed.reply(host, b"last", finish=True)
    routed.hear(client, b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n")
    assert routed.lines == ["200 - via_upstream att=1 c"]


@pytest.mark.parametrize("data, finish, status, reason, log", [
    (b"", True, b"503 Service Unavailable", b"connection termination", "503 UC {connection_termination}"),
    (b"nonsense\r\n\r\n", False, b"502 Bad Gateway", b"protocol error", "502 UPE {protocol_error}"),
    (b"HTTP/1.1 200 OK\r\ncontent-le", True, b"502 Bad Gateway", b"protocol error", "502 UPE {protocol_error}"),
])
def test_an_upstream_that_does_not_answer(make: Make, data: bytes, finish: bool, status: bytes, reason: bytes, log: str) -> None:
    routed = make()
    client = routed.get()
    routed.reply(routed.host(), data, finish)
    heard = routed.hear(client, b"reset reason: " + reason)
    assert heard.startswith(b"HTTP/1.1 " + status) and heard.endswith(b"\r\n\r\n" + RESET + b"reset reason: " + reason)
    code, flag, token = log.split()
    assert routed.lines == [f"{code} {flag} upstream_reset_before_response_started{token} att=1 c"]


def test_a_refused_connection(make: Make, refused: int) -> None:
    routed = make(refused=[refused], hosts=1, c={"lb_policy": "ROUND_ROBIN"})
    answers = set()
    for _ in range(2):
        client = routed.get()
        routed.engine.turn(3)
        if client.got:
            answers.add(routed.hear(client, b"remote connection failure")[-98:])
    assert answers == {RESET + b"reset reason: remote connection failure"}
    details = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
    assert f"503 UF {details} att=1 c" in routed.lines


def test_a_response_that_is_cut_short_is_cut_short(make: Make) -> None:
    routed = make()
    client = routed.get()
    routed.reply(routed.host(), b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello", finish=True)
    assert routed.hear(client, b"hello").startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 100")
    routed.engine.advance(1.1)
    routed.engine.until(lambda: client.over)
    assert routed.lines == ["200 UPE upstream_reset_after_response_started{protocol_error} att=1 c"]


def test_no_route_no_cluster_no_host(make: Make) -> None:
    routes = [
        {"match": {"prefix": "/none"}, "route": {"cluster_header": "x-cluster", "cluster_not_found_response_code": "NOT_FOUND"}},
        {"match": {"prefix": "/empty"}, "route": {"cluster": "empty"}},
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
    ]
    routed = make(more=routes, others=[cluster(name="empty")])
    none = routed.get("/none")
    assert routed.hear(none, b"\r\n\r\n").startswith(b"HTTP/1.1 404 Not Found\r\n")
    routed.hear(routed.get("/empty"), b"\r\n\r\nno healthy upstream")
    routed.hear(routed.get("/direct"), b"tea")
    assert routed.lines == [
        "404 NC cluster_not_found att=0 -", "503 UH no_healthy_upstream att=1 empty", "418 - direct_response att=0 -",
    ]
    value = routed.engine.value
    assert [value(f"http.web.{name}") for name in ("no_cluster", "rq_direct_response", "rq_total")] == [1, 1, 3]
    assert value("cluster.empty.upstream_cx_none_healthy") == 1 and value("cluster.empty.upstream_rq_503") == 1


def test_the_routes_timeout_counts_from_the_end_of_the_request(make: Make) -> None:
    routed = make(timeout="2s")
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na")
    host = routed.host()
    routed.engine.advance(5)
    assert not client.got
    client.send(b"b")
    routed.hear(host, b"ab")
    routed.engine.advance(1.5)
    assert not client.got
    routed.engine.advance(0.6)
    assert routed.hear(client, b"upstream request timeout").startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    routed.engine.until(lambda: host.over)
    assert routed.lines == ["504 UT response_timeout att=1 c"]
    assert routed.counts("upstream_rq_timeout", "upstream_rq_504") == (1, 1)


def test_a_timeout_in_the_middle_of_a_response_cuts_it(make: Make) -> None:
    routed = make(timeout="0.5s")
    client = routed.get()
    routed.reply(routed.host(), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
    routed.hear(client, b"hello")
    routed.engine.advance(0.6)
    routed.engine.advance(1.1)
    routed.engine.until(lambda: client.over)
    assert routed.lines == ["200 UT response_timeout att=1 c"] and routed.counts("upstream_rq_504") == (0,)


RETRY_5XX = {"retry_on": "5xx", "num_retries": 2}
COUNTED = {"include_request_attempt_count": True, "include_attempt_count_in_response": True}


def test_a_response_is_retried_on_another_connection_with_the_whole_body(make: Make) -> None:
    routed = make(retry_policy=RETRY_5XX, vhost=COUNTED)
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
    first = routed.host()
    routed.hear(first, b"abc")
    routed.reply(first, answer(503, body=b"x"))
    routed.engine.until(lambda: first.over)  # the response was not read to its end
    routed.engine.advance(0.03)
    second = routed.host()
    assert b"x-envoy-attempt-count: 2\r\n" in routed.hear(second, b"\r\n\r\nabc")
    routed.reply(second)
    assert b"x-envoy-attempt-count: 2\r\n" in routed.hear(client, b"ok")
    assert routed.lines == ["200 - via_upstream att=2 c"]
    names = "retry.upstream_rq_503", "upstream_rq_200", "upstream_rq_retry_success", "upstream_rq_total"
    assert routed.counts(*names) == (1, 1, 1, 2)


def test_the_last_response_is_passed_on_when_retries_are_used_up(make: Make) -> None:
    routed = make(retry_policy=RETRY_5XX)
    client = routed.get()
    for _ in range(3):
        routed.reply(routed.host(), answer(503, body=b"x"))
        routed.engine.advance(0.06)
    assert routed.hear(client, b"x").startswith(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 1\r\n")
    assert routed.lines == ["503 URX via_upstream att=3 c"]


def test_previous_hosts_are_avoided(make: Make, refused: int) -> None:
    predicate = {"name": "p", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}
    policy = {"retry_on": "connect-failure", "retry_host_predicate": [predicate], "host_selection_retry_max_attempts": 30}
    routed = make(refused=[refused], retry_policy=policy, c={"lb_policy": "RANDOM"})
    for _ in range(12):
        client = routed.get()
        routed.engine.advance(0.03)
        routed.reply(routed.host(), answer(200, "connection: close", body=b"ok"))
        routed.hear(client, b"ok")
    assert {line.split()[0] for line in routed.lines} == {"200"}
    assert {line.split()[3] for line in routed.lines} == {"att=1", "att=2"}


def test_a_per_try_timeout_is_retried_and_then_told(make: Make) -> None:
    routed = make(retry_policy={"retry_on": "5xx", "per_try_timeout": "0.2s"})
    client = routed.get()
    routed.host()
    routed.engine.advance(0.25)
    routed.engine.advance(0.05)
    routed.host()
    routed.engine.advance(0.25)
    routed.hear(client, b"upstream request timeout")
    assert routed.lines == ["504 URX,UT upstream_per_try_timeout att=2 c"]
    assert routed.counts("upstream_rq_per_try_timeout", "upstream_rq_retry") == (2, 1)


def test_a_body_that_is_too_large_to_be_kept_is_not_sent_again(make: Make) -> None:
    routed = make(retry_policy=RETRY_5XX, vhost={"per_request_buffer_limit_bytes": 10})
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n" + bytes(20))
    routed.reply(routed.host(), answer(503, body=b"x"))
    routed.hear(client, b"x")
    assert routed.lines == ["503 - via_upstream att=1 c"]
    assert routed.counts("retry_or_shadow_abandoned", "upstream_rq_retry") == (1, 0)


def test_max_pending_requests_and_its_header(make: Make) -> None:
    routed = make(c={"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}})
    heard = routed.hear(routed.get(), b"overflow")
    assert heard.startswith(b"HTTP/1.1 503 Service Unavailable\r\nx-envoy-overloaded: true\r\ncontent-length: 81\r\n")
    assert routed.lines == ["503 UO upstream_reset_before_response_started{overflow} att=1 c"]


def test_suppressed_envoy_headers(make: Make) -> None:
    routed = make(router={"suppress_envoy_headers": True})
    client = routed.get()
    host = routed.host()
    assert b"x-envoy" not in routed.hear(host)
    routed.reply(host)
    assert b"x-envoy" not in routed.hear(client, b"ok")


def test_an_early_response_ends_the_request(make: Make) -> None:
    routed = make()
    client = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
    host = routed.host()
    routed.reply(host)
    heard = routed.hear(client, b"ok")
    assert b"connection: close" in heard and b"service-time" not in heard
    routed.engine.until(lambda: host.over)
    assert routed.counts("upstream_cx_destroy_local_with_active_rq") == (1,)


def test_a_client_that_leaves_takes_its_upstream_connection_with_it(make: Make) -> None:
    routed = make()
    client = routed.get()
    host = routed.host()
    client.close()
    routed.engine.until(lambda: host.over)
    assert routed.lines == ["0 DC downstream_remote_disconnect att=1 c"]


def test_interim_responses_pass_and_forbid_retries(make: Make) -> None:
    routed = make(retry_policy=RETRY_5XX, manager={"proxy_100_continue": True})
    client = routed.get()
    host = routed.host()
    routed.reply(host, b"HTTP/1.1 199 Nobody knows it\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n")
    assert routed.hear(client, b"\r\n\r\n") == b"HTTP/1.1 103 Unknown\r\nlink: a\r\n\r\n"
    routed.reply(host, b"HTTP/1.1 102 Processing\r\n\r\n" + answer(503, body=b"x"))  # the second one does not pass
    assert routed.hear(client, b"x").count(b"HTTP/1.1") == 2
    assert routed.counts("upstream_rq_103", "upstream_rq_1xx", "upstream_rq_retry") == (1, 1, 0)


def test_a_websocket_is_a_tunnel_and_early_bytes_wait_for_the_switch(make: Make) -> None:
    routed = make(manager=WEBSOCKETS, timeout="1s")
    client = routed.client(UPGRADE + b"early")
    host = routed.host()
    assert not routed.hear(host).endswith(b"early")
    routed.reply(host, SWITCH + b"hello")
    assert routed.hear(client, b"hello").startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    routed.hear(host, b"early")
    routed.engine.advance(30)  # the route's timeout was only for the switch
    client.send(b"\x00frame")
    routed.hear(host, b"\x00frame")
    host.send(b"back")
    routed.hear(client, b"back")
    host.finish()
    routed.engine.turn(3)
    routed.engine.advance(1.1)
    routed.engine.until(lambda: client.over)
    assert routed.lines == ["101 UC upstream_reset_after_response_started{connection_termination} att=1 c"]


@pytest.mark.parametrize("status, body, details", [(403, b"no", "via_upstream"), (200, b"", "websocket_handshake_unsuccessful")])
def test_a_refused_websocket(make: Make, status: int, body: bytes, details: str) -> None:
    routed = make(manager=WEBSOCKETS)
    client = routed.client(UPGRADE)
    routed.reply(routed.host(), answer(status, body=b"no"))
    heard = routed.hear(client, b"\r\n\r\n" + body)
    assert heard.startswith(b"HTTP/1.1 %d " % status) and b"connection: close" in heard
    assert routed.lines == [f"{status} - {details} att=1 c"]


def test_connect_is_a_tunnel_over_tcp(make: Make) -> None:
    route = {"match": {"connect_matcher": {}}, "route": {
        "cluster": "c", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}}
    routed = make(more=[route])
    client = routed.client(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n")
    routed.hear(client, b"\r\n\r\n")
    host = routed.engine.accepted(routed.servers[0])
    client.send(b"to the host")
    routed.hear(host, b"to the host")
    host.send(b"to the client")
    routed.hear(client, b"to the client")
    host.finish()
    routed.engine.turn(3)
    routed.engine.advance(1.1)
    routed.engine.until(lambda: client.over)
    assert bytes(client.got).startswith(b"HTTP/1.1 200 OK\r\n")
    assert routed.lines == ["200 - via_upstream att=1 c"]


def test_a_mirror_gets_a_copy_and_nobody_waits_for_it(make: Make) -> None:
    mirror = Server()
    with contextlib.closing(mirror):
        routed = make(
            others=[cluster(address(mirror.port), name="m")], request_mirror_policies=[{"cluster": "m"}],
        )
        client = routed.client(b"POST /x HTTP/1.1\r\nhost: a:80\r\ncontent-length: 3\r\n\r\nabc")
        copied = routed.engine.accepted(mirror)
        heard = routed.hear(copied, b"abc")
        assert heard.startswith(b"POST /x HTTP/1.1\r\nhost: a-shadow:80\r\ncontent-length: 3\r\n")
        assert b"x-envoy-internal: true\r\n" in heard
        routed.reply(routed.host())
        routed.hear(client, b"ok")
        copied.send(answer(500, body=b"x"))
        routed.engine.until(lambda: routed.engine.stats.find("cluster.m.internal.upstream_rq_500"))
        assert routed.lines == ["200 - via_upstream att=1 c"]


def test_a_mirror_that_does_not_answer_is_given_up_with_the_routes_timeout(make: Make) -> None:
    mirror = Server()
    with contextlib.closing(mirror):
        routed = make(others=[cluster(address(mirror.port), name="m")], request_mirror_policies=[{"cluster": "m"}], timeout="3s")
        routed.get()
        copied = routed.engine.accepted(mirror)
        routed.reply(routed.host())
        routed.engine.advance(1.1)
        routed.engine.advance(2)
        routed.engine.until(lambda: copied.over)
        assert routed.engine.value("cluster.m.upstream_rq_timeout") == 1


def test_an_internal_redirect_begins_the_request_anew(make: Make) -> None:
    routed = make(internal_redirect_policy={})
    client = routed.get("/old")
    host = routed.host()
    routed.reply(host, answer(302, "location: http://b/new?x"))
    routed.engine.until(lambda: bytes(host.got).count(b"GET") == 2)
    again = bytes(host.got)[bytes(host.got).index(b"GET /new"):]
    assert again.startswith(b"GET /new?x HTTP/1.1\r\nhost: b\r\n") and b"x-envoy-original-url: http://a/old\r\n" in again
    routed.reply(host, answer(302, "location: http://b/third"))
    assert routed.hear(client, b"\r\n\r\n").startswith(b"HTTP/1.1 302 Found\r\nlocation: http://b/third")
    assert routed.lines == ["302 - internal_redirect att=1 c", "302 - via_upstream att=1 c"]
    assert routed.counts("upstream_internal_redirect_succeeded_total", "upstream_internal_redirect_failed_total") == (1, 1)


@pytest.mark.parametrize("location", ["/relative", "https://b/new", "", "http://"])
def test_other_redirects_go_to_the_client_as_they_are(make: Make, location: str) -> None:
    routed = make(internal_redirect_policy={})
    client = routed.get("/old")
    routed.reply(routed.host(), answer(302, f"location: {location}"))
    assert routed.hear(client, b"\r\n\r\n").startswith(b"HTTP/1.1 302 Found\r\n")


def test_internal_requests_may_shorten_their_time(make: Make) -> None:
    routed = make(manager=INTERNAL)
    client = routed.get("/", "x-envoy-upstream-rq-timeout-ms: 200", "x-envoy-upstream-rq-timeout-alt-response: 1")
    host = routed.host()
    assert b"x-envoy-expected-rq-timeout-ms: 200\r\n" in routed.hear(host)
    assert b"x-envoy-upstream-rq" not in bytes(host.got)
    routed.engine.advance(0.25)
    assert routed.hear(client, b"\r\n\r\n").startswith(b"HTTP/1.1 204 No Content\r\n")


def test_a_header_that_makes_no_sense_can_be_refused(make: Make) -> None:
    routed = make(manager=INTERNAL, router={"strict_check_headers": ["x-envoy-max-retries"]})
    client = routed.get("/", "x-envoy-max-retries: many")
    routed.hear(client, b"invalid header 'x-envoy-max-retries' with value 'many'")
    assert routed.lines == ["400 IH request_headers_failed_strict_check{x-envoy-max-retries} att=0 c"]


@pytest.mark.parametrize("percent, body", [(100, b"unconditional drop overload"), (0, b"ok")])
def test_drop_overload(make: Make, percent: int, body: bytes) -> None:
    server = Server()
    configured = cluster(address(server.port), name="d")
    drops = [{"category": "a", "drop_percentage": {"numerator": percent, "denominator": "HUNDRED"}}]
    configured["load_assignment"]["policy"] = {"drop_overloads": drops}
    routed = make(more=[{"match": {"prefix": "/"}, "route": {"cluster": "d"}}], others=[configured], servers=[server])
    client = routed.get()
    if not percent:
        routed.reply(routed.host())
    routed.hear(client, body)
    assert routed.lines == (["503 UDO unconditional_drop_overload att=0 d"] if percent else ["200 - via_upstream att=1 d"])


def test_a_slow_client_pauses_the_upstream(make: Make) -> None:
    routed = make()
    client = routed.get()
    client.reading = False
    host = routed.host()
    host.send(answer(200, body=bytes(BULK)))
    routed.engine.until(lambda: routed.counts("upstream_flow_control_paused_reading_total")[0])
    assert host.unsent > 0
    client.reading = True
    routed.engine.until(lambda: len(client.got) > BULK)
    assert routed.lines == ["200 - via_upstream att=1 c"]
    assert routed.counts("upstream_flow_control_resumed_reading_total")[0] > 0


def test_a_slow_upstream_pauses_the_client(make: Make) -> None:
    routed = make()
    upload = routed.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % BULK)
    host = routed.host()
    host.reading = False
    upload.send(bytes(BULK))
    routed.engine.until(lambda: routed.counts("upstream_flow_control_backed_up_total")[0])
    for _ in range(20):
        routed.engine.turn()
    assert upload.unsent > 0
    host.reading = True
    routed.engine.until(lambda: len(host.got) > BULK)
    routed.reply(host)
    routed.hear(upload, b"ok")


def test_virtual_clusters_are_counted(make: Make) -> None:
    matcher = {"name": ":path", "string_match": {"prefix": "/a"}}
    routed = make(vhost={"virtual_clusters": [{"name": "a", "headers": [matcher]}]})
    client = routed.get("/a")
    host = routed.host()
    routed.reply(host)
    routed.hear(client, b"ok")
    value = routed.engine.value
    assert value("vhost.v.vcluster.a.upstream_rq_total") == 1 and value("vhost.v.vcluster.a.upstream_rq_200") == 1


def test_an_answer_may_ask_that_its_host_is_left_alone(make: Make) -> None:
    """Only where hosts are health-checked, as in Envoy."""
    check = {"timeout": "1s", "interval": "60s", "unhealthy_threshold": 3, "healthy_threshold": 1, "tcp_health_check": {}}
    routed = make(c={"health_checks": [check], "common_lb_config": {"healthy_panic_threshold": {"value": 0}}})
    probe = routed.engine.accepted(routed.servers[0])
    routed.engine.until(lambda: routed.engine.value("cluster.c.health_check.success"))
    client = routed.get()
    routed.reply(routed.host(), answer(200, "x-envoy-immediate-health-check-fail: true", body=b"ok"))
    routed.hear(client, b"ok")
    assert probe is not None
    found: Any = routed.engine.clusters.get("c")
    assert [host.health_flags() for host in found.hosts] == ["/failed_active_hc/excluded_via_immediate_hc_fail"]
    assert routed.engine.value("cluster.c.health_check.passive_failure") == 1
    routed.hear(routed.get(), b"no healthy upstream")


def test_outlier_detection_hears_of_codes_and_of_failures(make: Make) -> None:
    routed = make(c={"outlier_detection": {"consecutive_5xx": 2, "max_ejection_percent": 100}})
    for _ in range(2):
        client = routed.get()
        routed.reply(routed.host(), answer(500, "connection: close", body=b"x"))
        routed.hear(client, b"x")
    assert routed.engine.value("cluster.c.outlier_detection.ejections_detected_consecutive_5xx") == 1
