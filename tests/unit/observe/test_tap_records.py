"""Reading records again: several runs in one file, beginnings that are missing, lines that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy_core.observe.tap import read_recordings


def line(kind: str, number: int, t: float = 0.0, **facts: Any) -> str:
    return json.dumps({"type": kind, "id": number, "t": t, **facts}) + "\n"


def test_connections_are_told_apart_and_a_number_may_come_again() -> None:
    found = read_recordings([
        line("open", 1), line("open", 2), line("data", 2, 0.5, dir="in", text="two"), "\n",
        line("data", 1, 0.6, dir="out", text="one", end=True), line("close", 1, 0.7), line("open", 1),
        line("data", 1, 0.1, dir="in", base64="AP8="),
    ])
    assert [(one.connection_id, one.closed_at) for one in found] == [(1, 0.7), (2, None), (1, None)]
    assert [[tuple(chunk) for chunk in one.chunks] for one in found] == [
        [(0.6, "out", b"one", True)], [(0.5, "in", b"two", False)], [(0.1, "in", b"\x00\xff", False)],
    ]


def test_a_connection_without_its_beginning_is_left_out() -> None:
    assert read_recordings([line("data", 3, dir="in", text="x"), line("close", 3)]) == []


def test_a_connection_that_lived_while_records_were_lost_is_left_out() -> None:
    found = read_recordings([
        line("open", 1), line("open", 2), line("close", 1, 0.1), json.dumps({"type": "lost", "records": 3}),
        line("data", 2, 0.5, dir="in", text="x"), line("open", 3), line("close", 3, 0.2),
    ])
    assert [one.connection_id for one in found] == [1, 3]


@pytest.mark.parametrize("bad", [
    "not json", "[]", "7", '{"type": "open"}', '{"type": "open", "id": "x", "t": 0}',
    line("data", 1, dir="up", text="x"), line("data", 1, dir="in"), line("data", 1, dir="in", base64="?"),
    line("data", 1, dir="in", text="\u00e4"), line("data", 1, dir="in", n=-1), line("data", 1, dir="in", n=1 << 60),
])
def test_a_line_that_is_no_record_is_named_by_its_number(bad: str) -> None:
    with pytest.raises(ValueError, match="^line 2 is not a tap record: "):
        read_recordings([line("open", 1), bad])
