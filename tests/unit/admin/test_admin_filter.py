"""Connections of the admin: HTTP in, replies out, under simulated time and with real socket pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.admin.filter import IDLE_TIMEOUT
from proxy_core.http.date import http_date
from proxy_core.errors import ConfigError
from proxy_core.testing.splits import splits
from tests.unit.admin.admin_kit import AdminRig, address, bootstrap

HOST = b"Host: 127.0.0.1:9901\r\n"
READY = b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n"
COMMON = (
    b"content-type: text/plain; charset=UTF-8\r\ncache-control: no-cache, max-age=0\r\n"
    b"x-content-type-options: nosniff\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\nserver: envoy\r\n"
)
LIVE = b"HTTP/1.1 200 OK\r\n" + COMMON + b"transfer-encoding: chunked\r\n\r\n5\r\nLIVE\n\r\n0\r\n\r\n"


def post(path: str, more: bytes = b"", body: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\n".encode() + HOST + more + b"\r\n" + body


def test_a_reply_is_envoys_byte_for_byte_and_the_connection_stays(rig: AdminRig) -> None:
    client = rig.client()
    for count in (1, 2):
        client.send(READY)
        rig.turn()
        assert bytes(client.got) == LIVE * count
    assert not client.ended


def test_requests_mean_the_same_however_they_are_cut() -> None:
    stream = READY + post("/ready", b"Content-Length: 4\r\n", b"body")
    stream += b"HEAD /ready HTTP/1.1\r\n" + HOST + b"\r\n"
    stream += b"GET /nope HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    stream += post("/ready", b"Transfer-Encoding: chunked\r\nConnection: close\r\n", b"2\r\nab\r\n0\r\n\r\n")
    rig = AdminRig()
    try:
        expected = None
        for pieces in splits(stream, two_way_limit=80, random_ways=4):
            client = rig.client()
            for piece in pieces:
                client.send(piece)
                rig.turn(1)
            rig.turn()
            assert client.ended
            expected = expected or bytes(client.got)
            assert bytes(client.got) == expected
        assert expected is not None and expected.count(b"HTTP/1.1 200 OK") == 4
        assert expected.count(b"LIVE") == 3 and expected.count(b"HTTP/1.1 403 Forbidden") == 1
    finally:
        rig.close()


@pytest.mark.parametrize("cut", range(0, len(READY)))
def test_a_client_that_ends_anywhere_inside_a_request_is_closed(rig: AdminRig, cut: int) -> None:
    client = rig.client()
    client.send(READY + READY[:cut])
    client.finish()
    rig.turn()
    assert client.ended and not rig.connections
    assert bytes(client.got).startswith(LIVE)
    assert bytes(client.got).count(b"400 Bad Request") == (1 if cut else 0)


def test_a_client_may_end_its_side_and_read_all_its_replies(rig: AdminRig) -> None:
    client = rig.client()
    client.send(READY * 40)
    client.finish()
    rig.turn(12)
    assert bytes(client.got) == LIVE * 40
    assert client.ended and rig.stat("http.admin.downstream_cx_destroy_remote") == 1


def test_head_has_the_headers_and_no_body(rig: AdminRig) -> None:
    client = rig.client()
    client.send(b"HEAD /ready HTTP/1.1\r\n" + HOST + b"\r\n")
    rig.turn()
    assert bytes(client.got) == LIVE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_expect_100_continue_is_answered_before_the_body(rig: AdminRig) -> None:
    client = rig.client()
    client.send(post("/reset_counters", b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
    rig.turn()
    assert bytes(client.got) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    rig.turn()
    assert bytes(client.got).endswith(b"3\r\nOK\n\r\n0\r\n\r\n")


def test_a_form_is_read_when_there_is_no_query() -> None:
    layers = [{"name": "admin", "admin_layer": {}}]
    rig = AdminRig(bootstrap(layered_runtime={"layers": layers}))
    try:
        form = b"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 3\r\n"
        client = rig.client()
        client.send(post("/runtime_modify", form, b"a=1") + post("/runtime_modify?b=2", form, b"c=3"))
        client.send(post("/runtime_modify", b"Content-Length: 3\r\n", b"d=4"))
        rig.turn()
        assert (rig.server.runtime.get("a"), rig.server.runtime.get("b")) == ("1", "2")
        assert rig.server.runtime.get("c") is None and rig.server.runtime.get("d") is None
        assert bytes(client.got).count(b"400 Bad Request") == 1
    finally:
        rig.close()


@pytest.mark.parametrize(("head", "size"), [
    (b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 70000\r\n", 70000),
    (b"Content-Length: 17000000\r\n", 17000000),
])
def test_a_body_beyond_the_limit_is_413_and_the_end(rig: AdminRig, head: bytes, size: int) -> None:
    client = rig.client()
    client.send(post("/runtime_modify", head) + bytes(size))
    rig.turn(400)
    assert b"413 Payload Too Large" in client.got and b"connection: close" in client.got
    assert not client.was_reset
    assert rig.stat("http.admin.downstream_rq_active") == 0


def test_a_large_body_that_nobody_wants_is_dropped_and_answered(rig: AdminRig) -> None:
    client = rig.client()
    client.send(post("/ready", b"Content-Length: 3000000\r\n") + bytes(3000000) + READY)
    rig.turn(100)
    assert bytes(client.got) == LIVE * 2


@pytest.mark.parametrize(("request_bytes", "status", "text"), [
    (b"BLAH\r\n\r\n", b"400 Bad Request", b"Bad Request"),
    (b"GET /ready HTTP/1.1\r\n" + HOST + b"bad header\r\n\r\n", b"400 Bad Request", b"Bad Request"),
    (b"GET /ready HTTP/1.0\r\n\r\n", b"426 Upgrade Required", b"Upgrade Required"),
    (post("/ready", b"Transfer-Encoding: gzip\r\n"), b"501 Not Implemented", b"Not Implemented"),
    (post("/ready", b"Transfer-Encoding: chunked\r\n", b"zz\r\n"), b"400 Bad Request", b"Bad Request"),
    (READY[:-2] + b"x: " + b"a" * 70000 + b"\r\n\r\n", b"431 Request Header Fields Too Large",
     b"Request Header Fields Too Large"),
    (b"\x16\x03\x01\x02\x00\x01", b"400 Bad Request", b"Bad Request"),
])
def test_what_is_not_http_is_told_so_and_closed(
    rig: AdminRig, request_bytes: bytes, status: bytes, text: bytes
) -> None:
    client = rig.client()
    client.send(request_bytes)
    rig.turn()
    got = bytes(client.got)
    assert got.startswith(b"HTTP/1.1 " + status + b"\r\ncontent-length: " + str(len(text)).encode() + b"\r\n")
    assert got.endswith(b"connection: close\r\n\r\n" + text)
    assert client.ended
    client.finish()  # until then the connection lingers, so that the reply is not destroyed
    rig.turn()
    assert not rig.connections and rig.stat("http.admin.downstream_cx_protocol_error") == 1
    assert rig.stat("http.admin.downstream_rq_active") == 0


@pytest.mark.parametrize(("line", "status", "stays"), [
    (b"GET http://127.0.0.1/ready HTTP/1.1", b"404 Not Found", True),
    (b"OPTIONS * HTTP/1.1", b"404 Not Found", True),
    (b"GET /ready#x HTTP/1.1", b"400 Bad Request", False),
    (b"CONNECT a:80 HTTP/1.1", b"404 Not Found", False),
])
def test_targets_that_are_no_path_get_an_empty_answer(
    rig: AdminRig, line: bytes, status: bytes, stays: bool
) -> None:
    client = rig.client()
    client.send(line + b"\r\n" + HOST + b"\r\n")
    rig.turn()
    assert bytes(client.got).startswith(b"HTTP/1.1 " + status)
    assert b"content-length: 0" in client.got
    assert client.ended is not stays


def test_a_request_without_host_is_refused(rig: AdminRig) -> None:
    client = rig.client()
    client.send(b"GET /ready HTTP/1.1\r\n\r\n")
    rig.turn()
    assert bytes(client.got).startswith(b"HTTP/1.1 400 Bad Request") and client.ended


def test_an_upgrade_is_declined_by_answering_the_request(rig: AdminRig) -> None:
    client = rig.client()
    client.send(b"GET /ready HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    rig.turn()
    assert b"connection: close" in client.got and client.ended
    assert bytes(client.got).endswith(b"5\r\nLIVE\n\r\n0\r\n\r\n")


def test_a_foreign_host_or_origin_is_refused_but_not_on_a_unix_socket() -> None:
    request = post("/healthcheck/fail", b"Origin: http://evil.example\r\n")
    rig = AdminRig()
    try:
        client = rig.client()
        client.send(request)
        rig.turn()
        assert bytes(client.got).startswith(b"HTTP/1.1 403 Forbidden") and rig.text("/ready") == "LIVE\n"
    finally:
        rig.close()
    rig = AdminRig(bootstrap(admin={"address": {"pipe": {"path": "/run/admin.sock"}}}))
    try:
        client = rig.client("pipe")
        client.send(request.replace(b"127.0.0.1:9901", b"anything.example"))
        rig.turn()
        assert bytes(client.got).startswith(b"HTTP/1.1 200 OK") and rig.text("/ready") == "DRAINING\n"
    finally:
        rig.close()


def test_a_host_name_can_be_allowed_in_the_runtime() -> None:
    layers = [{"name": "s", "static_layer": {"proxy_core": {"admin_hosts": "proxy.example"}}}]
    rig = AdminRig(bootstrap(layered_runtime={"layers": layers}))
    try:
        client = rig.client()
        client.send(READY.replace(b"127.0.0.1", b"proxy.example"))
        rig.turn()
        assert bytes(client.got) == LIVE
    finally:
        rig.close()


def test_a_few_requests_are_answered_per_turn_so_that_others_get_theirs(rig: AdminRig) -> None:
    greedy, modest = rig.client(), rig.client()
    greedy.send(READY * 200)
    modest.send(READY)
    rig.turn(2)
    assert 0 < bytes(greedy.got).count(b"LIVE") < 100 and bytes(modest.got) == LIVE
    rig.turn(20)
    assert bytes(greedy.got) == LIVE * 200
    greedy.send(READY)
    rig.turn()
    assert bytes(greedy.got) == LIVE * 201


def test_a_client_that_does_not_read_is_answered_only_up_to_the_watermark(rig: AdminRig) -> None:
    client = rig.client()
    client.reading = False
    wanted = 400
    client.send((b"GET /stats HTTP/1.1\r\n" + HOST + b"\r\n") * wanted)
    rig.turn(200)
    connection = rig.connections[0]
    one = len(rig.text("/stats")) + 300
    assert connection.above_high and connection.pauses
    assert 1 << 20 < connection.write_buffer.size <= (1 << 20) + one
    answered = rig.stat("http.admin.downstream_rq_2xx")
    assert answered < wanted
    client.reading = True
    rig.turn(2000)
    assert bytes(client.got).count(b"HTTP/1.1 200 OK") == wanted
    assert not connection.pauses and connection.is_open


@pytest.mark.parametrize(
    "sent", [b"", READY, READY + READY[:20], post("/ready", b"Content-Length: 9\r\n", b"1")]
)
def test_a_connection_on_which_nothing_moves_is_closed(rig: AdminRig, sent: bytes) -> None:
    client = rig.client()
    client.send(sent)
    rig.turn()
    rig.advance(IDLE_TIMEOUT - 1)
    assert not client.ended
    rig.advance(1.5)
    assert client.ended and not rig.connections
    assert rig.stat("http.admin.downstream_cx_idle_timeout") == 1
    assert rig.stat("http.admin.downstream_rq_active") == rig.stat("http.admin.downstream_cx_active") == 0


def test_traffic_puts_the_idle_timeout_off(rig: AdminRig) -> None:
    client = rig.client()
    for _ in range(4):
        rig.advance(IDLE_TIMEOUT * 0.75)
        client.send(READY)
        rig.turn()
    assert bytes(client.got) == LIVE * 4 and not client.ended


def test_quitquitquit_answers_before_the_loop_ends(rig: AdminRig) -> None:
    client = rig.client()
    client.send(post("/quitquitquit"))
    rig.server.reactor.run()  # returns only because of the request
    client.pump()
    assert bytes(client.got).endswith(b"3\r\nOK\n\r\n0\r\n\r\n")


def test_a_reset_in_the_middle_of_a_request_is_counted(rig: AdminRig) -> None:
    client = rig.client()
    client.send(post("/ready", b"Content-Length: 9\r\n", b"1"))
    rig.turn()
    assert rig.stat("http.admin.downstream_rq_active") == 1
    client.close()
    rig.turn()
    assert not rig.connections
    assert rig.stat("http.admin.downstream_rq_active") == rig.stat("http.admin.downstream_cx_active") == 0


def test_stats_move_as_envoys(rig: AdminRig) -> None:
    client = rig.client()
    client.send(READY + b"GET /nope HTTP/1.1\r\n" + HOST + b"\r\n" + post("/runtime_modify?a=1"))
    rig.turn()
    client.finish()
    rig.turn()
    expected: Dict[str, int] = {
        "http.admin.downstream_cx_total": 1, "http.admin.downstream_cx_http1_total": 1,
        "http.admin.downstream_cx_active": 0, "http.admin.downstream_cx_destroy": 1,
        "http.admin.downstream_cx_destroy_remote": 1, "http.admin.downstream_cx_destroy_local": 0,
        "http.admin.downstream_rq_total": 3, "http.admin.downstream_rq_completed": 3,
        "http.admin.downstream_rq_2xx": 1, "http.admin.downstream_rq_4xx": 1,
        "http.admin.downstream_rq_5xx": 1,
        "http.admin.downstream_rq_active": 0, "listener.admin.http.admin.downstream_rq_4xx": 1,
        "listener.admin.http.admin.downstream_rq_completed": 3, "listener.admin.downstream_cx_total": 1,
        "listener.admin.main_thread.downstream_cx_total": 1, "listener.admin.downstream_cx_active": 0,
    }
    assert {name: rig.stat(name) for name in expected} == expected
    assert rig.stat("http.admin.downstream_cx_rx_bytes_total") > 0
    assert rig.stat("http.admin.downstream_cx_tx_bytes_total") == len(client.got)


def _log(path: Path, template: str) -> Dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    form = {"text_format_source": {"inline_string": template}}
    return {"name": "log", "typed_config": {"@type": kind, "path": str(path), "log_format": form}}


def test_access_logs_know_the_request(tmp_path: Path) -> None:
    template = (
        "%PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %RESPONSE_CODE% "
        "%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %REQ(USER-AGENT)% "
        "%RESP(CONTENT-TYPE)% %ACCESS_LOG_TYPE% %CONNECTION_ID% %DOWNSTREAM_REMOTE_ADDRESS%\n"
    )
    admin = {"address": address("127.0.0.1", 0), "access_log": [_log(tmp_path / "a.log", template)],
             "access_log_path": str(tmp_path / "b.log")}
    rig = AdminRig(bootstrap(admin=admin))
    try:
        client = rig.client()
        client.send(post("/ready?x", b"User-Agent: test\r\nContent-Length: 3\r\n", b"abc") + b"JUNK\r\n\r\n")
        rig.turn()
        gone = rig.client()
        gone.send(post("/ready", b"Content-Length: 9\r\n", b"12"))
        rig.turn()
        rig.advance(IDLE_TIMEOUT + 1)
        rig.server.access_logs.sinks.flush()
    finally:
        rig.close()
    plain = "text/plain; charset=UTF-8"
    assert (tmp_path / "a.log").read_text().splitlines() == [
        "HTTP/1.1 POST /ready?x 127.0.0.1:9901 http 200 admin_filter_response - 3 5 test "
        f"{plain} DownstreamEnd 0 127.0.0.1:50000",
        "HTTP/1.1 - - - - 400 http1.codec_error DPE 0 11 - text/plain DownstreamEnd 0 127.0.0.1:50000",
        "HTTP/1.1 POST /ready 127.0.0.1:9901 http 0 downstream_local_disconnect DC 2 0 - - DownstreamEnd 1 "
        "127.0.0.1:50001",
    ]
    assert '"POST /ready?x HTTP/1.1" 200 - 3 5 0 - "-" "test" "-" "127.0.0.1:9901" "-"' in (
        (tmp_path / "b.log").read_text()
    )


def test_a_log_that_cannot_be_opened_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    admin = {"address": address("127.0.0.1", 0), "access_log_path": str(tmp_path / "no" / "log")}
    with pytest.raises(ConfigError) as caught:
        AdminRig(bootstrap(admin=admin))
    assert [problem.path for problem in caught.value.problems] == ["admin.access_log_path"]


@pytest.mark.parametrize(("wall", "expected"), [
    (0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (784111777.9, "Sun, 06 Nov 1994 08:49:37 GMT"),
])
def test_dates_are_imf_fixdates(wall: float, expected: str) -> None:
    assert http_date(wall) == expected


def test_the_connections_page_shows_the_admins_own(rig: AdminRig) -> None:
    client = rig.client()
    client.send(b"GET /connections?format=json HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    rig.turn()
    body = bytes(client.got).split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1]
    found: List[Any] = json.loads(body)["connections"]
    assert [one["listener"] for one in found] == ["admin"]
