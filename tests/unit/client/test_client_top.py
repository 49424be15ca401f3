"""`top`: rates between two snapshots, what is drawn, what keys do. Pure functions; the terminal is tried in the integration
tests."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from proxy_core.client.snapshot import Snapshot, rated
from proxy_core.client.top_view import ALERT, HEAD, HELP, TITLE, View, draw, press

VIEW = View("127.0.0.1:9901")
GET = {"method": "GET", "path": "/x", "age_s": 2.0, "state": "waiting"}


def row(number: int, **fields: Any) -> Dict[str, Any]:
    return {
        "id": number, "side": "downstream", "state": "open", "states": ["open"], "listener": "in", "cluster": "c",
        "remote_address": f"10.0.0.{number}:5000", "peer_id": None, "age_s": 100.0, "bytes_in": 0, "bytes_out": 0,
        "read_buffer": {"bytes": 0, "limit": 1024}, "write_buffer": {"bytes": 0, "limit": 1024, "above_high": False},
        "reading_paused_by": [], "parked_by": "", "parked_s": None, "closing": None, "streams": [], **fields,
    }


def snapshot(*rows: Dict[str, Any], at: float = 10.0, total: Optional[int] = None, findings: Any = ()) -> Snapshot:
    return Snapshot(at, len(rows) if total is None else total, list(rows), list(findings))


def texts(lines: List[Any]) -> List[str]:
    return [line.text for line in lines]


# -- rates ---------------------------------------------------------------------------------------------------

def test_rates_are_what_moved_between_two_snapshots() -> None:
    before = snapshot(row(1, bytes_in=1000, bytes_out=0), at=10.0)
    now = snapshot(row(1, bytes_in=3000, bytes_out=500), at=12.0)
    one = rated(now, before, "rate")[0]
    assert (one.rate_in, one.rate_out, one.rate) == (1000.0, 250.0, 1250.0)


def test_a_connection_made_since_counts_whole_and_one_that_was_not_looked_at_has_no_rate() -> None:
    before = snapshot(at=10.0)
    fresh, old = rated(snapshot(row(1, bytes_in=40, age_s=1.5), row(2, bytes_in=40), at=12.0), before, "id")
    assert (fresh.rate_in, old.rate_in) == (20.0, None)


def test_without_a_moment_before_there_are_no_rates_and_the_admins_order_stays() -> None:
    found = rated(snapshot(row(3, bytes_in=9), row(1), row(2)), None, "rate")
    assert [one.row["id"] for one in found] == [3, 1, 2]
    assert all(one.rate_in is None for one in found)


@pytest.mark.parametrize("order, ids", [("rate", [2, 3, 1]), ("buffered", [3, 1, 2]), ("age", [1, 3, 2]), ("id", [1, 2, 3])])
def test_each_order_puts_its_greatest_first(order: str, ids: List[int]) -> None:
    def rows(moved: int) -> List[Dict[str, Any]]:
        return [
            row(1, age_s=300.0, write_buffer={"bytes": 5, "limit": 9, "above_high": False}),
            row(2, age_s=100.0, bytes_out=moved * 9),
            row(3, age_s=200.0, bytes_in=moved, read_buffer={"bytes": 8, "limit": 9}),
        ]
    found = rated(snapshot(*rows(100), at=11.0), snapshot(*rows(0), at=10.0), order)
    assert [one.row["id"] for one in found] == ids


# -- drawing -------------------------------------------------------------------------------------------------

def test_a_picture_has_a_title_a_head_rows_and_the_keys() -> None:
    before = snapshot(row(1), row(2), at=9.0)
    lines = draw(VIEW, snapshot(row(1, bytes_in=2048), row(2, state="paused", states=["paused"])), before, 100, 8)
    assert len(lines) == 8
    assert lines[0].text == "proxy at 127.0.0.1:9901: 2 connections (1 paused), 2 KiB/s received"
    assert (lines[0].style, lines[1].style) == (TITLE, HEAD)
    assert "(by rate)" in lines[1].text
    assert lines[2].text.split() == ["C1", "down", "open", "2", "KiB", ".", "0", "B", "1m", "40s", "10.0.0.1:5000", "->", "in"]
    assert lines[-1].text == HELP


@pytest.mark.parametrize("height", range(0, 12))
@pytest.mark.parametrize("width", [0, 1, 20, 200])
def test_no_picture_is_larger_than_its_window(width: int, height: int) -> None:
    findings = [{"kind": "stall", "text": "t" * 300}] * 9
    view = VIEW._replace(trouble="no answer", first=50)
    lines = draw(view, snapshot(*map(row, range(30)), findings=findings), None, width, height)
    assert len(lines) <= height
    assert all(len(line.text) <= width for line in lines)


def test_findings_come_first_and_no_more_than_fit() -> None:
    findings = [{"kind": "above_high", "text": f"finding {number}"} for number in range(6)]
    lines = draw(VIEW._replace(trouble="no answer"), snapshot(row(1), findings=findings), None, 100, 30)
    alerts = [line.text for line in lines if line.style == ALERT]
    assert alerts == [
        "! no answer", "! above high: finding 0", "! above high: finding 1", "! above high: finding 2", "! above high: finding 3",
        "! and 2 more, see `why`",
    ]


@pytest.mark.parametrize("fields, note", [
    ({"parked_by": "auth", "parked_s": 3.0, "reading_paused_by": ["x"]}, "parked by auth for 3.0s"),
    ({"reading_paused_by": ["upstream full"]}, "paused by upstream full"),
    ({"closing": "peer FIN"}, "closing: peer FIN"),
    ({"streams": [GET]}, "GET /x 2.0s: waiting"),
    ({"streams": [GET], "parked_by": "auth", "parked_s": 3.0}, "GET /x parked by auth for 3.0s"),
])
def test_a_row_says_what_holds_the_connection(fields: Dict[str, Any], note: str) -> None:
    assert draw(VIEW, snapshot(row(1, **fields)))[2].text.endswith(note)


def test_a_stalled_connection_stands_out_and_an_upstream_one_names_its_pair() -> None:
    lines = draw(VIEW, snapshot(row(1, states=["stalled", "parked"]), row(2, side="upstream", peer_id=1)))
    assert lines[2].style == ALERT
    assert lines[3].text.endswith("c -> 10.0.0.2:5000 (C1)")


def test_a_pooled_connection_names_no_pair_but_what_it_serves() -> None:
    served = {**GET, "state": "served here"}
    line = draw(VIEW, snapshot(row(2, side="upstream", streams=[served])))[2]
    assert line.text.endswith("c -> 10.0.0.2:5000   GET /x 2.0s: served here")


def test_what_a_peer_named_can_not_steer_the_terminal() -> None:
    lines = draw(VIEW, snapshot(row(1, remote_address="\x1b[2J")))
    assert not any("\x1b" in line.text for line in lines)


def test_scrolling_stops_at_the_last_full_page() -> None:
    rows = snapshot(*map(row, range(30)))
    last_page = texts(draw(VIEW._replace(order="id", first=1000), rows, None, 100, 10))
    assert last_page[2].split()[0] == "C23" and last_page[8].split()[0] == "C29"
    assert "C5 " in texts(draw(VIEW._replace(order="id", first=5), rows, None, 100, 10))[2]


def test_as_text_everything_is_shown() -> None:
    assert len(draw(VIEW, snapshot(*map(row, range(300))))) == 302


def test_only_some_of_many_are_looked_at_and_it_says_so() -> None:
    title = draw(VIEW, snapshot(row(1, state="parked", states=["parked"]), total=5000))[0].text
    assert title == "proxy at 127.0.0.1:9901: 5000 connections (of 500 looked at: 1 parked)"


# -- keys ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["q", "Q", "\x1b"])
def test_keys_that_leave(key: str) -> None:
    assert press(VIEW, key) is None


@pytest.mark.parametrize("key, order", [("b", "rate"), ("u", "buffered"), ("a", "age"), ("i", "id")])
def test_keys_that_sort_go_to_the_top(key: str, order: str) -> None:
    view = press(VIEW._replace(first=7), key)
    assert view is not None and (view.order, view.first) == (order, 0)


@pytest.mark.parametrize("key, first", [
    ("UP", 29), ("DOWN", 31), ("k", 29), ("j", 31), ("PAGE UP", 10), ("PAGE DOWN", 50), ("x", 30),
])
def test_keys_that_scroll(key: str, first: int) -> None:
    view = press(VIEW._replace(first=30), key)
    assert view is not None and view.first == first


def test_nothing_is_above_the_first_row_and_p_holds_the_picture() -> None:
    up, held = press(VIEW, "UP"), press(VIEW, "p")
    assert up is not None and up.first == 0
    assert held is not None and held.paused
    assert draw(held, snapshot(row(1)))[0].text.endswith("PAUSED")
