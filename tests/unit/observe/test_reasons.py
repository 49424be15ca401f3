"""The wording of reasons, and the ring of the last connections that ended."""

from __future__ import annotations

import itertools
from typing import Any, List, Tuple

import pytest

from proxy_core.network.close import CloseReason
from proxy_core.observe.reasons import (
    ClosedConnection, ClosedRing, PendingTimer, Reasons, ago_text, duration_text, ending_text, listed, reasons_of, setting_text,
    size_text,
)


@pytest.mark.parametrize("seconds, text", [
    (3600, "1h"), (7200, "2h"), (5400, "90m"), (60, "1m"), (90, "90s"), (30, "30s"), (0.25, "250ms"), (0.0015, "1.5ms"), (1.5, "1.5s"),
    (86400, "1d"), (0, "0s"), (259200, "3d"),
])
def test_a_configured_time_is_printed_exactly(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("seconds, text", [
    (0, "0.0s"), (0.34, "0.3s"), (9.94, "9.9s"), (10, "10s"), (47.9, "47s"), (60, "1m"), (200, "3m 20s"), (3600, "1h"),
    (7500, "2h 5m"), (90000, "1d 1h"), (86400, "1d"), (3601, "1h"),
])
def test_a_time_that_passed_is_printed_to_two_places(seconds: float, text: str) -> None:
    assert ago_text(seconds) == text


@pytest.mark.parametrize("count, text", [
    (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (65536, "64 KiB"), (1 << 20, "1 MiB"), (3 << 30, "3 GiB"),
    (10240, "10 KiB"), (1.4, "1 B"),
])
def test_sizes_are_printed_in_the_unit_that_fits(count: float, text: str) -> None:
    assert size_text(count) == text


def test_a_setting_says_whether_it_is_the_default_and_else_where_it_stands() -> None:
    assert setting_text("idle_timeout", 3600, True, "a.b") == "idle_timeout 1h, default"
    assert setting_text("idle_timeout", 30, False, "a.b") == "idle_timeout 30s, configured at a.b.idle_timeout"
    assert setting_text("idle_timeout", 30, False) == "idle_timeout 30s"


def test_a_holder_that_pauses_twice_is_named_once_with_the_count() -> None:
    assert listed(["a", "b", "a"]) == "a (2 times), b"
    assert listed([]) == ""


@pytest.mark.parametrize("words, text", [
    (("peer", "FIN", "", ""), "the peer ended it (FIN)"),
    (("peer", "RST", "Connection reset by peer", ""), "the peer reset it (RST): Connection reset by peer"),
    (("local", "timeout", "tcp_session_idle_timeout", "idle_timeout 1h, default"),
     "we closed it: a timeout: tcp_session_idle_timeout (idle_timeout 1h, default)"),
    (("local", "unheard of", "", ""), "we unheard of"),
])
def test_an_ending_is_a_sentence(words: Tuple[str, str, str, str], text: str) -> None:
    assert ending_text(*words) == text


def test_only_what_answers_with_reasons_is_asked() -> None:
    class Silent:
        """Has nothing to say."""

    class Other:
        def reasons(self) -> str:
            return "another thing of this name"

    class Speaks:
        def reasons(self) -> Reasons:
            return Reasons("busy", (PendingTimer("t", 1.0, "s"),))

    assert reasons_of(Silent()) is None and reasons_of(Other()) is None
    said = reasons_of(Speaks())
    assert said is not None and (said.state, said.timers[0].name, dict(said.facts)) == ("busy", "t", {})


def record(number: int, **fields: Any) -> Tuple[Any, ...]:
    whole = ClosedConnection(
        number, number, 1.0, 2.0, 10, 20, 25, "peer", "us", "in", "chain", "c", "host", 0, CloseReason("peer", "FIN"), (), (), "",
    )
    return tuple(whole._replace(**fields))


def test_the_ring_keeps_the_last_ones_and_gives_the_newest_first() -> None:
    ring = ClosedRing(3)
    for number in range(5):
        ring.append(record(number))
    assert len(ring) == 3
    assert [one.id for one in ring.newest_first()] == [4, 3, 2]
    found = ring.find(3)
    assert found is not None and found.listener == "in"
    assert ring.find(1) is None


def test_who_wants_the_newest_ones_of_a_full_ring_has_no_more_records_made(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = ClosedRing()
    for number in range(1000):
        ring.append(record(number))
    made: List[int] = []
    make = ClosedConnection._make
    monkeypatch.setattr(ClosedConnection, "_make", lambda record: made.append(record[0]) or make(record))
    assert [one.id for one in itertools.islice(ring.newest_first(), 3)] == [999, 998, 997] == made


def test_a_thousand_are_kept_by_default() -> None:
    ring = ClosedRing()
    for number in range(1001):
        ring.append(record(number))
    assert len(ring) == 1000 and ring.find(0) is None


def test_a_record_knows_its_side_its_pair_and_what_was_dropped() -> None:
    downstream = ClosedConnection(*record(7, upstream_id=8))
    upstream = ClosedConnection(*record(8, stream_id=7, upstream_id=8))
    alone = ClosedConnection(*record(7))
    assert (downstream.side, downstream.peer_id, downstream.unsent) == ("downstream", 8, 5)
    assert (upstream.side, upstream.peer_id) == ("upstream", 7)
    assert alone.peer_id is None
    pooled = ClosedConnection(*record(8, stream_id=-1, upstream_id=8))
    assert (pooled.side, pooled.peer_id) == ("upstream", None)
    assert ClosedConnection(*record(7, sent=30)).unsent == 0
