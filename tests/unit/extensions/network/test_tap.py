"""The tap filter: what it writes down, what it leaves out, and that it is not there when nobody wants it."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest

from proxy_core.buffer import Buffer
from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.extensions.network import tap
from proxy_core.extensions.network.tap import TapConfig
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.observe.tap import TapHub, read_recordings
from proxy_core.testing import RecordingFilter, splits
from tests.support.engine import KeptLines
from tests.support.filters import FilterRig

Json = Dict[str, Any]
DATA = bytes(range(256))


class Looking:
    """A viewer who keeps what he sees."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def show(self, name: str, line: str) -> None:
        self.lines.append(line)


class TapRig(FilterRig):
    """A connection with a tap in front of a filter that keeps everything. behind: filters in between."""

    def __init__(self, behind: Any = (), sinks: Any = None, hub: Optional[TapHub] = None, **config: Any) -> None:
        super().__init__()
        self.kept = sinks or KeptLines()
        self.context.access_logs = type("Logs", (), {"sinks": self.kept})
        if hub is not None:
            self.context.singletons.get(TapHub).viewers.extend(hub.viewers)
        decoded = decode(TapConfig, {"name": "t", "path": "/nowhere/tap.jsonl", **config}, TypeRegistry(python=redactor))
        tap.build(decoded, self.context)(self.assembly)
        self.last = RecordingFilter("last")
        self.add(*behind, self.last).start()

    @property
    def records(self) -> List[Json]:
        return [json.loads(line) for line in self.kept.lines]

    def data(self, direction: str) -> List[Any]:
        return [one.get("text", one.get("n")) for one in self.records if one.get("dir") == direction]


def redactor(target: str) -> Any:
    """What "python:" names stand for here."""
    return {"r.Stars": Stars, "r.Failing": Failing}[target]


class Stars:
    def __init__(self, config: Json) -> None:
        self.word = config["word"].encode()

    def __call__(self, direction: str, data: bytes) -> Optional[bytes]:
        return data.replace(self.word, b"*" * len(self.word)) if direction == "in" else None


class Failing:
    def __init__(self, config: Json) -> None:
        pass

    def __call__(self, direction: str, data: bytes) -> Optional[bytes]:
        raise ValueError("no idea")


def test_every_piece_is_written_down_with_its_time_and_direction_and_the_end() -> None:
    rig = TapRig()
    rig.peer.send(b"PING\r\n")
    rig.advance(0.25)
    rig.write(b"PONG\r\n")
    rig.write(DATA[:3])
    rig.peer.finish()
    rig.advance(0.5)
    rig.write(b"", end_stream=True)
    rig.turn(2)
    opened, ping, pong, binary, end, goodbye, closed = rig.records
    assert (opened["type"], opened["id"], opened["tap"], opened["side"], opened["t"]) == ("open", 7, "t", "downstream", 0.0)
    assert (ping["t"], ping["dir"], ping["n"], ping["text"]) == (0.25, "in", 6, "PING\r\n")
    assert (pong["t"], pong["dir"], pong["text"]) == (0.25, "out", "PONG\r\n")
    assert (binary["base64"], binary["n"], "text" in binary) == ("AAEC", 3, False)
    assert (end["t"], end["dir"], end["n"], end["end"]) == (0.75, "in", 0, True)
    assert (goodbye["dir"], goodbye["end"], "end" in pong) == ("out", True, False)
    assert (closed["type"], closed["in"], closed["out"], closed["unrecorded"]) == ("close", 6, 9, 0)
    assert closed["reason"] == "local FIN: both directions have ended"


class Framed(NetworkFilter):
    """Leaves what is less than ten bytes, or all but a multiple of ten, where it is."""

    name = "framed"

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if data.size < 10 and not end_stream:
            return STOP_ITERATION
        taken = data.size if end_stream else data.size // 10 * 10
        piece = Buffer(data.peek(taken))
        data.drain(taken)
        self.callbacks.inject_read_data_to_filter_chain(piece, end_stream)
        return STOP_ITERATION


@pytest.mark.parametrize("pieces", list(splits(DATA[:64], two_way_limit=63)), ids=lambda pieces: str(len(pieces)))
def test_bytes_that_wait_in_the_buffer_behind_the_tap_are_written_down_once(pieces: List[bytes]) -> None:
    rig = TapRig(behind=[Framed()])
    for piece in pieces:
        rig.peer.send(piece)
        rig.turn()
    rig.peer.finish()
    rig.turn()
    recorded, = read_recordings(rig.kept.lines)
    came = [one.data for one in recorded.chunks]
    assert [one for one in came if one] == pieces and recorded.chunks[-1].end
    assert bytes(rig.last.data) == DATA[:64]


def test_a_recording_is_read_back_as_it_was_written() -> None:
    rig = TapRig()
    rig.peer.send(DATA)
    rig.turn()
    rig.write(DATA, end_stream=True)
    rig.peer.finish()
    rig.turn(3)
    recorded, = read_recordings(rig.kept.lines)
    assert recorded.connection_id == 7 and recorded.closed_at == 0.0
    assert [(one.direction, one.data, one.end) for one in recorded.chunks] == [
        ("in", DATA, False), ("out", DATA, True), ("in", b"", True),
    ]


def test_beyond_its_limit_a_connection_is_only_counted() -> None:
    rig = TapRig(max_bytes_per_connection=10)
    for _ in range(3):
        rig.peer.send(b"abcdef")
        rig.turn()
    rig.write(b"xyz", end_stream=True)
    rig.peer.finish()
    rig.turn(2)
    assert rig.data("in") == ["abcdef", "abcd", ""] and rig.data("out") == [""]
    closed = rig.records[-1]
    assert (closed["in"], closed["out"], closed["unrecorded"]) == (18, 3, 11)


def test_the_file_never_grows_beyond_its_limit_and_nothing_follows_what_did_not_fit() -> None:
    rig = TapRig(max_file_bytes=1000)
    for _ in range(20):
        rig.peer.send(b"x" * 300)
        rig.turn()
        rig.peer.send(b"y")
        rig.turn()
    assert sum(len(line) + 1 for line in rig.kept.lines) <= 1000
    assert rig.data("in") == ["x" * 300, "y"]


def test_after_so_many_connections_the_filter_is_not_there() -> None:
    rig = TapRig(max_connections=0)
    assert [slot.name for slot in rig.connection.read_chain.filters()] == ["last"]
    assert rig.connection.write_chain is None


def test_without_a_file_it_is_there_only_while_somebody_looks_on() -> None:
    assert [slot.name for slot in TapRig(path="").connection.read_chain.filters()] == ["last"]
    hub, looking = TapHub(), Looking()
    hub.viewers.append(looking)
    rig = TapRig(path="", hub=hub)
    rig.peer.send(b"hello")
    rig.turn()
    assert rig.kept.lines == [] and [json.loads(line)["type"] for line in looking.lines] == ["open", "data"]


def test_lengths_alone_keep_the_payload_out() -> None:
    rig = TapRig(payload="lengths")
    rig.peer.send(b"secret")
    rig.turn()
    assert rig.data("in") == [6] and "secret" not in "".join(rig.kept.lines)
    recorded, = read_recordings(rig.kept.lines)
    assert recorded.chunks[0].data == bytes(6)


def test_a_callable_of_the_users_own_says_what_is_written_down() -> None:
    rig = TapRig(redact={"@type": "python:r.Stars", "word": "secret"})
    rig.peer.send(b"AUTH secret\r\n")
    rig.turn()
    rig.write(b"OK")
    assert rig.data("in") == ["AUTH ******\r\n"] and rig.data("out") == [2]
    assert bytes(rig.last.data) == b"AUTH secret\r\n"


def test_a_callable_that_fails_costs_the_payload_and_not_the_connection() -> None:
    rig = TapRig(redact={"@type": "python:r.Failing"})
    rig.peer.send(b"secret")
    rig.turn()
    assert rig.data("in") == [6] and bytes(rig.last.data) == b"secret" and not rig.closed
    error, = rig.errors
    assert str(error) == "no idea"


@pytest.mark.parametrize(("bad", "words"), [
    ({"name": ""}, "name: expected a string of at least 1 character"),
    ({"payload": "some"}, "payload: expected one of"),
    ({"redact": {"@type": "type.googleapis.com/proxy_core.filters.network.tap.v1.Tap", "name": "t"}},
     "redact: expected a type of the form python:<module>.<name>"),
])
def test_a_bad_configuration_is_refused(bad: Json, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        decode(TapConfig, {"name": "t", **bad}, TypeRegistry([TapConfig]))
    assert words in str(error.value)


def test_a_file_that_cannot_be_opened_is_a_problem_with_its_place() -> None:
    class Closed:
        def file(self, path: str) -> Any:
            raise OSError(13, "Permission denied")
    with pytest.raises(ConfigError) as error:
        TapRig(sinks=Closed())
    assert str(error.value) == "f.path: unable to open file '/nowhere/tap.jsonl': Permission denied"


def test_filters_go_on_whatever_the_tap_does() -> None:
    rig = TapRig()
    taps = [slot.filter for slot in rig.connection.read_chain.filters() if slot.name == tap.NAME]
    one: Any = taps[0]
    assert one.on_data(Buffer(b"x"), False) is CONTINUE and one.on_write(Buffer(b"x"), False) is CONTINUE
