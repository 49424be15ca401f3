"""HTTP in /connections, /connections/ID and /why: what each request waits for, seen from the client's connection and from the
pooled one that serves it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import pytest

from proxy_core.http.events import RequestHead
from proxy_core.http.filter_api import STOP_ITERATION, FilterStatus
from tests.unit.admin.http_kit import OK, ROUTER, HttpRig, Keeping, Stopping, Watching

NewRig = Callable[..., HttpRig]
IDLE_OF_UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@pytest.fixture
def new_rig() -> Iterator[NewRig]:
    made: List[HttpRig] = []

    def make(**fields: Any) -> HttpRig:
        made.append(HttpRig(**fields))
        return made[-1]
    yield make
    for one in made:
        one.close()


def answer(rig: HttpRig, side: str) -> Dict[str, Any]:
    """The full answer of the only connection of this side."""
    found: Dict[str, Any] = rig.json(f"/connections/{rig.row_of(side)['id']}?format=json")
    return found


def page(rig: HttpRig, side: str) -> str:
    return rig.text(f"/connections/{rig.row_of(side)['id']}")


def timers(rig: HttpRig, side: str) -> Dict[str, str]:
    return {one["name"]: one["source"] for one in answer(rig, side)["timers"]}


def findings(rig: HttpRig, kind: str) -> List[Dict[str, Any]]:
    return [one for one in rig.findings() if one["kind"] == kind]


# -- rows ----------------------------------------------------------------------------------------------------

def test_a_request_under_way_is_in_the_rows_of_both_its_connections(new_rig: NewRig) -> None:
    rig = new_rig()
    client = rig.client()
    rig.request(client, "/slow?x=1")
    rig.upstream()
    rig.advance(3)
    near, far = rig.row_of("downstream"), rig.row_of("upstream")
    one, other = near["streams"][0], far["streams"][0]
    host = f"127.0.0.1:{rig.backend.port}"
    assert (one["method"], one["path"], one["authority"]) == ("GET", "/slow?x=1", "a.test")
    assert (one["route"], one["virtual_host"], one["cluster"], one["host"]) == ("all", "site", "c", host)
    assert one["state"] == f"waiting for the response, host {host}" and one["age_s"] == 3.0
    assert (one["attempts"], one["flags"], one["parked_by"], one["stalled"]) == (1, [], "", False)
    assert one["filters"] == [ROUTER["name"]]
    assert one["upstream_id"] == far["id"] and other["connection_id"] == near["id"]
    assert (other["path"], other["state"]) == ("/slow?x=1", "served here")
    assert (near["cluster"], near["host"]) == ("c", host)
    assert [row["id"] for row in rig.rows("&cluster=c&side=downstream")] == [near["id"]]


def test_between_two_requests_neither_row_has_any_and_both_say_since_when(new_rig: NewRig) -> None:
    rig = new_rig()
    client = rig.client()
    rig.request(client)
    rig.upstream().send(OK)
    rig.until(lambda: client.got.endswith(b"ok"))
    rig.advance(3)
    assert rig.row_of("downstream")["streams"] == [] == rig.row_of("upstream")["streams"]
    assert rig.row_of("downstream")["cluster"] == ""
    near, far = answer(rig, "downstream"), answer(rig, "upstream")
    assert near["pipeline"][0]["state"] == "keep-alive, idle for 3.0s after 1 request"
    assert far["pipeline"][0]["state"] == "idle for 3.0s after 1 request"
    assert timers(rig, "downstream") == {"idle_timeout": "idle_timeout 1h, default"} == timers(rig, "upstream")


def test_a_response_that_is_whole_at_the_host_belongs_to_its_upstream_no_more(new_rig: NewRig) -> None:
    rig = new_rig()
    client = rig.client()
    rig.request(client)
    rig.put_before_router("keeping", Keeping)
    upstream = rig.upstream()
    upstream.send(OK)
    rig.until(lambda: client.got.endswith(b"ok"))
    rig.request(client, "/kept")
    rig.until(lambda: b"/kept" in upstream.got)
    upstream.send(OK)
    rig.until(lambda: not rig.row_of("upstream")["streams"])
    one = rig.row_of("downstream")["streams"][0]
    assert (one["upstream_id"], one["parked_by"], one["parked_direction"], one["kept"]) == (None, "keeping", "response", 2)
    assert one["response_code"] == 200


def test_a_long_path_is_cut_and_the_list_as_text_keeps_one_line_for_a_connection(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.request(rig.client(), "/" + "x" * 5000)
    rig.upstream()
    assert len(rig.row_of("downstream")["streams"][0]["path"]) == 200
    assert len(rig.text("/connections").splitlines()) == 2
    assert "request GET /xxx" in rig.text("/connections?side=downstream")


# -- in full -------------------------------------------------------------------------------------------------

def test_the_page_of_a_waiting_request_names_route_host_reason_and_what_bounds_the_wait(new_rig: NewRig) -> None:
    rig = new_rig(route={"timeout": "20s"}, stream_idle_timeout="60s", request_timeout="9s")
    rig.request(rig.client(), "/slow")
    rig.upstream()
    rig.advance(2)
    text = page(rig, "downstream")
    host = f"127.0.0.1:{rig.backend.port}"
    number = rig.row_of("upstream")["id"]
    assert f"GET /slow, 2.0s old: waiting for the response, host {host}; in 18s at the latest: route timeout." in text
    assert f"    route 'all' of virtual host 'site' -> cluster c, host {host} over C{number}\n" in text
    assert f"    why host {host}: ROUND_ROBIN: it was its turn, among 1 healthy of 1 hosts\n" in text
    where = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
    assert timers(rig, "downstream") == {
        "route timeout": "route timeout 20s, configured at route 'all' of virtual host 'site'",
        "stream_idle_timeout": f"stream_idle_timeout 1m, configured at {where}.stream_idle_timeout",
    }, "request_timeout is for the request to come, which it has"


def test_values_that_nobody_set_are_said_to_be_defaults(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.request(rig.client())
    rig.upstream()
    assert timers(rig, "downstream") == {
        "route timeout": "route timeout 15s, default", "stream_idle_timeout": "stream_idle_timeout 5m, default",
    }


def test_limits_of_a_stream_that_its_route_sets_are_told_as_the_routes(new_rig: NewRig) -> None:
    rig = new_rig(route={"idle_timeout": "7s", "max_stream_duration": {"max_stream_duration": "50s"}})
    rig.request(rig.client())
    rig.upstream()
    of_route = "configured at route 'all' of virtual host 'site'"
    assert timers(rig, "downstream") == {
        "stream_idle_timeout": f"idle_timeout 7s, {of_route}",
        "max_stream_duration": f"max_stream_duration 50s, {of_route}",
    }


def test_a_request_that_has_not_come_whole_says_so_with_its_own_limits(new_rig: NewRig) -> None:
    rig = new_rig(request_timeout="9s", request_headers_timeout="4s")
    client = rig.client()
    client.send(b"GET / HT")
    rig.until(lambda: rig.row_of("downstream")["streams"])
    one = rig.row_of("downstream")["streams"][0]
    assert (one["method"], one["state"]) == ("", "the head of the request has not come whole")
    assert {"request_headers_timeout", "request_timeout"} <= set(timers(rig, "downstream"))
    assert "(no head yet)" in page(rig, "downstream")
    client.send(b"TP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    rig.until(lambda: rig.row_of("downstream")["streams"][0]["method"])
    assert rig.row_of("downstream")["streams"][0]["bytes_in"] == 3
    assert {"request_timeout"} <= set(timers(rig, "downstream")) and "request_headers_timeout" not in timers(rig, "downstream")


def test_a_timeout_that_the_request_itself_asks_for_is_told_as_that_and_each_try_has_its_own(new_rig: NewRig) -> None:
    internal = {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    retries = {"retry_policy": {"retry_on": "5xx", "per_try_timeout": "4s"}}
    rig = new_rig(route=retries, internal_address_config=internal)
    rig.client().send(b"GET / HTTP/1.1\r\nHost: a\r\nx-envoy-upstream-rq-timeout-ms: 8000\r\nx-forwarded-for: 10.0.0.1\r\n\r\n")
    rig.upstream()
    assert timers(rig, "downstream") == {
        "per_try_timeout": "per_try_timeout 4s of the retry policy or the request's headers",
        "route timeout": "route timeout 8s, as the request's headers say",
        "stream_idle_timeout": "stream_idle_timeout 5m, default",
    }


def test_the_pooled_connection_says_whom_it_serves_and_its_configured_limits(new_rig: NewRig) -> None:
    options = {
        "@type": f"type.googleapis.com/{IDLE_OF_UPSTREAM}", "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": "30s", "max_connection_duration": "600s"},
    }
    rig = new_rig(backend={"typed_extension_protocol_options": {IDLE_OF_UPSTREAM: options}})
    client = rig.client()
    rig.request(client, "/a")
    upstream = rig.upstream()
    number = rig.row_of("downstream")["id"]
    assert answer(rig, "upstream")["pipeline"][0]["state"] == f"busy: GET /a of C{number}; 1 request so far"
    assert f"GET /a of C{number}, 0.0s old: served here" in page(rig, "upstream")
    assert set(timers(rig, "upstream")) == {"max_connection_duration"}
    upstream.send(OK)
    rig.until(lambda: client.got)
    place = "configured at common_http_protocol_options of cluster c"
    assert timers(rig, "upstream") == {
        "idle_timeout": f"idle_timeout 30s, {place}.idle_timeout",
        "max_connection_duration": f"max_connection_duration 10m, {place}.max_connection_duration",
    }


def test_what_an_http_filter_waits_for_is_in_the_answer_with_the_time_left(new_rig: NewRig) -> None:
    rig = new_rig()
    client = rig.client()
    rig.put_before_router("asking", lambda: Stopping("the answer of a database"))
    rig.put_before_router("watching", Watching)
    rig.request(client, "/held")
    rig.advance(2)
    full = answer(rig, "downstream")
    assert full["states"] == ["parked"] and full["parked_by"] == "asking"
    assert full["parked"]["by"] == "asking" and full["parked"]["wakes_by"] == ["asking: the answer of a database"]
    stages = [(one["name"], one["parked"]) for one in full["streams"][0]["pipeline"]]
    assert stages == [("watching", ""), ("asking", "request"), (ROUTER["name"], "")]
    text = page(rig, "downstream")
    assert "Filter 'asking' stopped the request 2.0s ago and waits for asking: the answer of a database" in text
    assert "    -> asking   PARKED the request\n" in text
    rig.advance(29)
    assert findings(rig, "stall") == []
    one = findings(rig, "parked")[0]
    assert (one["filter"], one["connection"]) == ("asking", full["id"])
    assert one["text"].endswith("has stopped the request for 31s: waits for asking: the answer of a database")


# -- what is unusual -----------------------------------------------------------------------------------------

def test_an_http_filter_that_forgets_its_request_is_named_with_its_connection_and_in_the_log_once(
    new_rig: NewRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig = new_rig()
    client = rig.client()
    rig.put_before_router("forgetful", Stopping)
    rig.request(client, "/lost")
    rig.advance(1.1)
    rig.advance(0.2)
    number = rig.row_of("downstream")["id"]
    one = findings(rig, "stall")[0]
    assert (one["filter"], one["connection"], one["listener"]) == ("forgetful", number, "main")
    assert one["text"].startswith(f"HTTP filter 'forgetful' of GET /lost of C{number} (listener main, 127.0.0.1:")
    assert [row["id"] for row in rig.rows("&state=stalled")] == [number]
    assert page(rig, "downstream").splitlines()[4].startswith("STALLED: filter 'forgetful' stopped the request 1.3s ago")
    rig.advance(30)
    logged = [record.getMessage() for record in caplog.records if "stalled" in record.getMessage()]
    assert len(logged) == 1 and f"[C{number}] request GET /lost is stalled: parked by 'forgetful'" in logged[0]
    assert rig.stat("proxy_core.filter_chain_stalled") == 1


def test_of_each_cluster_the_request_that_waits_the_longest_is_told_and_how_many_others_wait(new_rig: NewRig) -> None:
    rig = new_rig()
    clients = [rig.client() for _ in range(3)]
    for number, client in enumerate(clients):
        rig.request(client, f"/{number}")
        rig.upstream()
        rig.advance(1)
    assert findings(rig, "slow_request") == []
    rig.advance(4)
    one = findings(rig, "slow_request")[0]
    assert one["cluster"] == "c" and one["seconds"] == 7.0 and "GET /0 of C" in one["text"]
    assert one["text"].endswith("for 7.0s; 2 more have waited for 5.0s at least")


def test_requests_that_queue_for_a_connection_are_told_with_the_limit_in_the_way(new_rig: NewRig) -> None:
    rig = new_rig(backend={"circuit_breakers": {"thresholds": [{"max_connections": 1}]}})
    rig.request(rig.client(), "/first")
    rig.upstream()
    rig.request(rig.client(), "/second")
    rig.advance(2)
    one = findings(rig, "queued_requests")[0]
    assert (one["cluster"], one["seconds"]) == ("c", 2.0)
    assert one["text"] == (
        f"cluster c: 1 request waits for a connection to 127.0.0.1:{rig.backend.port}, the first for 2.0s; "
        "1 there, 0 of them connecting; max_connections 1 of the cluster is reached"
    )
    row = next(row for row in rig.rows("&side=downstream") if row["streams"][0]["path"] == "/second")
    assert row["streams"][0]["state"].startswith("waiting for a connection")


class Spoiling(Stopping):
    """Rewrites the path into something that no client could send, and forgets the request."""

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        head.path = "/\x85\r\n[C1] forged"
        return STOP_ITERATION


def test_no_answer_is_more_lines_than_it_should_be_whatever_is_in_a_path(
    new_rig: NewRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig = new_rig()
    client = rig.client()
    rig.put_before_router("spoiling", Spoiling)
    rig.request(client)
    rig.advance(1.1)
    rig.advance(0.1)
    assert rig.row_of("downstream")["streams"][0]["path"] == "/\x85\r\n[C1] forged"
    texts = [rig.text("/why"), rig.text("/connections"), page(rig, "downstream"), caplog.text]
    assert all("\\x85\\r\\n[C1] forged" in text and "\x85" not in text and "\r" not in text for text in texts)
