"""What a client's HTTP connection says of itself: what it does, and every wait with the setting that it comes from."""

from __future__ import annotations

import inspect
from typing import Any, Dict, List

import pytest

from proxy_core.http.connection_manager import expiry
from proxy_core.http.connection_manager.explained import explained
from proxy_core.http.events import RequestHead
from proxy_core.http.filter_api import STOP_ITERATION, FilterStatus, HttpFilter
from tests.unit.http.connection_manager.hcm_kit import Hcm, get, request

EVERYTHING = {
    "stream_idle_timeout": "60s", "request_timeout": "9s", "request_headers_timeout": "4s", "drain_timeout": "3s",
    "access_log_options": {"access_log_flush_interval": "5s"},
    "common_http_protocol_options": {"idle_timeout": "30s", "max_stream_duration": "40s", "max_connection_duration": "50s"},
}


class Pausing(HttpFilter):
    """Goes on after ten seconds."""

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        self.decoder.schedule(10.0, self.decoder.continue_decoding, "a pause")
        return STOP_ITERATION


def waits(hcm: Hcm) -> Dict[str, float]:
    """By name: seconds from now. None is told twice."""
    timers = hcm.http.reasons().timers
    assert len({one.name for one in timers}) == len(timers)
    return {one.name: round(one.due - hcm.reactor.now, 3) for one in timers}


def sources(hcm: Hcm) -> List[str]:
    return sorted(one.source for one in hcm.http.reasons().timers)


def test_whatever_can_happen_by_itself_has_the_name_of_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    hcm = Hcm()
    for name, happens in inspect.getmembers(expiry, inspect.isfunction):
        if not name.startswith("_"):
            monkeypatch.setattr(type(hcm.http.timeouts), "waits", lambda self, happens=happens: [(1.0, happens)])
            (timer,) = explained(hcm.http).timers
            assert timer.source.startswith(timer.name), name


def test_a_connection_waits_for_a_request_and_tells_what_bounds_that() -> None:
    hcm = Hcm(EVERYTHING)
    assert hcm.http.reasons().state == "no request yet"
    assert waits(hcm) == {"idle_timeout": 30.0, "max_connection_duration": 50.0}
    assert sources(hcm) == [
        "idle_timeout 30s, configured at hcm.common_http_protocol_options.idle_timeout",
        "max_connection_duration 50s, configured at hcm.common_http_protocol_options.max_connection_duration",
    ]


def test_a_request_brings_its_own_waits_which_go_as_it_comes_in() -> None:
    hcm = Hcm(EVERYTHING, direct=False)
    hcm.send(b"POST /up HT")
    assert hcm.http.reasons().state == "request 1: without a head yet: the head of the request has not come whole"
    of_all = {
        "stream_idle_timeout": 60.0, "max_stream_duration": 40.0, "access_log_flush_interval": 5.0,
        "max_connection_duration": 50.0,
    }
    assert waits(hcm) == {**of_all, "request_headers_timeout": 4.0, "request_timeout": 9.0}
    hcm.send(b"TP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    assert waits(hcm) == {**of_all, "request_timeout": 9.0}
    assert hcm.http.reasons().state == "request 1: POST /up: the request is being received"
    hcm.send(b"abc")
    assert waits(hcm) == of_all
    assert hcm.http.reasons().state == "request 1: POST /up: waiting for the response"
    assert "access_log_flush_interval 5s, configured at hcm.access_log_options.access_log_flush_interval" in sources(hcm)
    hcm.last.answer(200, b"x", end=False)
    assert hcm.http.reasons().state == "request 1: POST /up: the response is being sent"


def test_defaults_are_said_to_be_that() -> None:
    hcm = Hcm(direct=False)
    assert sources(hcm) == ["idle_timeout 1h, default"]
    hcm.send(get("/up"))
    assert sources(hcm) == ["stream_idle_timeout 5m, default"]


def test_a_connection_that_drains_says_when_it_is_over() -> None:
    hcm = Hcm(EVERYTHING)
    hcm.send(get("/hi"))
    hcm.advance(30.0)
    assert hcm.http.reasons().state == "drains, keep-alive, idle for 30s after 1 request"
    assert waits(hcm) == {"drain_timeout": 3.0}


def test_what_a_filter_has_scheduled_is_told_once_with_the_filters_name() -> None:
    hcm = Hcm(filters=[("pausing", Pausing)], direct=False)
    hcm.send(get("/up"))
    hcm.advance(4.0)
    assert waits(hcm) == {"pausing: a pause": 6.0, "stream_idle_timeout": 296.0}
    assert hcm.http.reasons().state == "request 1: GET /up: filter 'pausing' has stopped the request"
    timers: Any = {one.name: one.timer for one in hcm.http.reasons().timers}
    pending = hcm.reactor.timers.pending(hcm.connection)
    assert set(map(id, pending)) == {id(one) for one in timers.values()}, "none is left that the admin would name by its code"


def test_a_tunnel_is_one() -> None:
    hcm = Hcm({"upgrade_configs": [{"upgrade_type": "websocket"}]}, direct=False)
    hcm.send(request("GET", "/up", "Upgrade: websocket", "Connection: Upgrade"))
    hcm.last.answer(101, end=False, upgrade="websocket", connection="upgrade")
    assert hcm.http.reasons().state == "request 1: GET /up: a tunnel"
