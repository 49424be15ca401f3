"""A recorded connection, run again through other filters: piece by piece, at the recorded times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH
from proxy_core.testing.replay import recording, recordings, replay


def line(kind: str, number: int, t: float = 0.0, **facts: Any) -> str:
    return json.dumps({"type": kind, "id": number, "t": t, **facts})


LINES = [
    line("open", 3, remote="10.0.0.9:50001", local="10.0.0.1:6379"),
    line("data", 3, 0.5, dir="in", text="PI"), line("data", 3, 3600.0, dir="in", text="NG\n"),
    line("data", 3, 3600.25, dir="out", text="PONG\n"), line("data", 3, 3601.0, dir="in", text="", end=True),
    line("data", 3, 3601.5, dir="out", text="bye", end=True), line("close", 3, 3602.0),
    line("open", 4), line("data", 4, 1.0, dir="in", text="other"),
]


def test_every_piece_comes_at_its_time_from_the_recorded_peer() -> None:
    with replay(LINES, []) as harness:
        assert [(one.at, one.data, one.end_stream) for one in harness.arrivals] == [
            (0.5, b"PI", False), (3600.0, b"NG\n", False), (3601.0, b"", True),
        ]
        assert [(one.at, one.data) for one in harness.sends] == [(3600.25, b"PONG\n"), (3601.5, b"bye")]
        assert harness.sent_end and harness.now == 3602.0
        assert str(harness.connection.remote_address) == "10.0.0.9:50001"


class Upper(NetworkFilter):
    """Answers by itself, line by line."""

    terminal = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        at = data.find(b"\n")
        if at >= 0:
            self.connection.write(Buffer(data.peek(at + 1).upper()), False)
            data.drain(at + 1)
        return STOP_ITERATION


def test_filters_that_answer_by_themselves_get_only_what_came_in() -> None:
    with replay(LINES, [Upper()], answers=False) as harness:
        assert harness.sent == b"PING\n"


class Cutting(NetworkFilter):
    """Closes at the first byte."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.connection.close(kind=self.kind)
        return STOP_ITERATION

    def __init__(self, kind: Any) -> None:
        self.kind = kind


def test_a_connection_that_the_filters_close_gets_no_more() -> None:
    harness = replay(LINES, [Cutting(NO_FLUSH)])
    harness.assert_closed(by="local")
    assert harness.sent == b"" and harness.now < 3601.0


class Broken(NetworkFilter):
    """Takes a read for a message."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if data.size and not bytes(data).endswith(b"\n"):
            raise ValueError(f"no line: {bytes(data)!r}")
        return CONTINUE


def test_what_a_filter_raises_at_the_recorded_chunking_is_raised_here() -> None:
    with pytest.raises(ValueError, match="no line: b'PI'"):
        replay(LINES, [Broken()])


def test_one_of_several_connections_is_chosen_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "tap.jsonl"
    file.write_text("\n".join(LINES) + "\n")
    for source in (str(file), file, LINES):
        numbers: List[int] = [one.connection_id for one in recordings(source)]
        assert numbers == [3, 4]
        assert recording(source, 4).chunks[0].data == b"other"
    with replay(file, [], connection=4) as harness:
        assert harness.onward == b"other"
    with pytest.raises(LookupError, match="connection 5 is not in the recording; there are: 3, 4"):
        replay(file, [], connection=5)
    with pytest.raises(LookupError, match="there are: none"):
        replay([], [])
