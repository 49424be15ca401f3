"""tcp_bandwidth_limit on one connection: every split, every end, every close, and never faster than allowed."""

from __future__ import annotations

import random
from typing import Any, Callable, List, Tuple

import pytest

from proxy_core.buffer import Buffer
from proxy_core.errors import ConfigError
from proxy_core.extensions.network import tcp_bandwidth_limit
from proxy_core.config.model.core import RuntimeFeatureFlag
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import FLUSH_WRITE, NO_FLUSH
from proxy_core.testing.recording import RecordingFilter
from proxy_core.testing.splits import splits
from tests.support.engine import Engine, bootstrap, listener, network_filter
from tests.support.filters import FilterRig

EXTENSION = tcp_bandwidth_limit.EXTENSION
DATA = random.Random(4).randbytes(1500) if hasattr(random.Random, "randbytes") else bytes(range(250)) * 6
STATS = "x.tcp_bandwidth_limit."


def limited(read: Any = None, write: Any = None, kind: str = "scripted", half_close: bool = True, **settings: Any) -> FilterRig:
    """A connection with this limit in KiB/s, and a last filter that keeps everything as `rig.last`."""
    rig = FilterRig(kind, half_close=half_close, **settings)
    rig.use(EXTENSION, stat_prefix="x", read_limit_kbps=read, write_limit_kbps=write)
    return finished(rig)


def finished(rig: Any) -> Any:
    rig.last = RecordingFilter("last")
    return rig.add(rig.last).start()


def check_over(rig: FilterRig) -> None:
    """Nothing is left: of bytes, of timers, of errors."""
    assert rig.errors == [] and rig.stalls == []
    for name in ("read_bytes_buffered", "write_bytes_buffered"):
        assert rig.value(STATS + name) == 0, name


def feed(rig: FilterRig, pieces: List[bytes]) -> None:
    """One read for each piece, as long as anything is read; what is not piles up, as in a kernel."""
    pile = b""
    for piece in pieces:
        if rig.connection.pauses:
            pile += piece
            continue
        rig.peer.send(piece)
        rig.turn()
    if pile:
        rig.peer.send(pile)


def pace(rig: Any, got: Callable[[], int], seconds: float, per_second: int) -> None:
    """Let time pass; at no moment has more passed than the bucket held and what came into it since."""
    start = rig.clock.now
    while rig.clock.now < start + seconds - 1e-9:
        rig.wait(0.01)
        assert got() <= per_second + (rig.clock.now - start) * per_second + 1


@pytest.mark.parametrize("pieces", list(splits(DATA, two_way_limit=60)), ids=lambda pieces: str(len(pieces)))
def test_what_comes_in_any_pieces_passes_whole_in_order_with_its_end_and_not_too_fast(pieces: List[bytes]) -> None:
    rig: Any = limited(read=1)
    feed(rig, pieces)
    rig.peer.finish()
    rig.turn()
    assert len(rig.last.data) == 1024 and not rig.last.ends
    pace(rig, lambda: len(rig.last.data), 0.6, 1024)
    assert bytes(rig.last.data) == DATA and rig.last.ends == 1
    assert rig.value(STATS + "read_total_bytes") == len(DATA)
    check_over(rig)


@pytest.mark.parametrize("pieces", list(splits(DATA, two_way_limit=60)), ids=lambda pieces: str(len(pieces)))
def test_what_is_written_in_any_pieces_is_sent_whole_in_order_with_its_end_and_not_too_fast(pieces: List[bytes]) -> None:
    rig: Any = limited(write=1)
    for index, piece in enumerate(pieces):
        rig.write(piece, end_stream=index == len(pieces) - 1)
        rig.turn()
    assert len(rig.peer.got) == 1024 and not rig.peer.ended
    pace(rig, lambda: len(rig.peer.got), 0.6, 1024)
    assert bytes(rig.peer.got) == DATA and rig.peer.ended
    assert rig.value(STATS + "write_total_bytes") == len(DATA)
    check_over(rig)


@pytest.mark.parametrize("length", [0, 1, 1023, 1024, 1025, 1100, 1500])
@pytest.mark.parametrize("half_close", [True, False], ids=["half-close", "plain"])
def test_an_end_after_any_prefix_comes_after_its_last_byte(length: int, half_close: bool) -> None:
    """Without half-close the end closes the connection, but not before the bytes in front of it are through."""
    rig: Any = limited(read=1, half_close=half_close)
    feed(rig, [DATA[:length]] if length else [])
    rig.peer.finish()
    rig.wait(0.6)
    assert bytes(rig.last.data) == DATA[:length]
    assert rig.last.ends == (1 if half_close else 0) and rig.closed is not half_close
    check_over(rig)


@pytest.mark.parametrize("length", [0, 1024, 1500])
def test_an_end_behind_written_bytes_is_sent_alone_or_with_them(length: int) -> None:
    for alone in (True, False):
        rig: Any = limited(write=1)
        rig.write(DATA[:length], end_stream=not alone)
        if alone:
            rig.write(b"", end_stream=True)
        rig.wait(0.6)
        assert bytes(rig.peer.got) == DATA[:length] and rig.peer.ended
        check_over(rig)


def test_a_close_that_flushes_waits_until_the_last_byte_is_out() -> None:
    """Envoy drops what its filter still holds."""
    rig: Any = limited(write=1)
    rig.write(DATA)
    rig.connection.close(FLUSH_WRITE)
    rig.turn()
    assert not rig.closed and len(rig.peer.got) == 1024
    pace(rig, lambda: len(rig.peer.got), 0.6, 1024)
    assert bytes(rig.peer.got) == DATA and rig.closed
    check_over(rig)


def test_a_flush_that_can_never_end_is_bounded() -> None:
    rig: Any = limited(write=0, flush_timeout=5.0)
    rig.write(DATA)
    rig.connection.close(FLUSH_WRITE)
    rig.wait(4.9, 0.1)
    assert not rig.closed
    rig.wait(0.3, 0.1)
    assert rig.closed and not rig.peer.got and "flush_timeout" in rig.reason
    check_over(rig)


@pytest.mark.parametrize("way", ["no_flush", "reset", "flush then reset", "in the middle of an injection"])
def test_a_connection_that_ends_while_bytes_wait_leaves_nothing_behind(way: str) -> None:
    rig: Any = limited(read=1, write=1)
    if way == "in the middle of an injection":
        rig.last.on_data_do = lambda data, end: rig.connection.close(NO_FLUSH) if rig.clock.now > 1000.2 else data.clear()
    rig.write(DATA)
    feed(rig, [DATA])
    assert rig.value(STATS + "read_bytes_buffered") == rig.value(STATS + "write_bytes_buffered") == 476
    if way == "no_flush":
        rig.connection.close(NO_FLUSH)
    elif way == "flush then reset":
        rig.connection.close(FLUSH_WRITE)
        rig.wait(0.1)
    if way.endswith("reset"):
        rig.peer.reset()
    rig.wait(1.0, 0.05)
    assert rig.closed
    check_over(rig)
    assert len(rig.reactor.timers) == 0


def test_while_bytes_wait_nothing_more_is_read_and_the_pause_has_a_name() -> None:
    rig: Any = limited(read=1)
    feed(rig, [bytes(4000), b"more"])
    assert [str(one) for one in rig.connection.pauses] == ["tcp_bandwidth_limit: waiting for tokens to read"]
    assert rig.value(STATS + "read_bytes_buffered") == 4000 - 1024  # and nothing of what came later
    rig.wait(4.0, 0.05)
    assert bytes(rig.last.data) == bytes(4000) + b"more" and not rig.connection.pauses
    check_over(rig)


def test_a_limit_of_nothing_lets_nothing_pass_and_is_bounded_by_the_paused_timeout() -> None:
    rig: Any = limited(read=0, paused_timeout=30.0)
    feed(rig, [b"abc"])
    rig.peer.finish()
    rig.wait(29.0, 1.0)
    assert not rig.last.data and not rig.closed
    rig.wait(2.0, 1.0)
    assert rig.closed and "paused_timeout" in rig.reason
    check_over(rig)


def test_bytes_that_wait_to_be_sent_stop_their_producer_as_a_full_write_buffer_does() -> None:
    rig: Any = limited(write=100, buffer_limit=65536)
    for _ in range(2):
        rig.write(bytes(51200))
        rig.turn()
    rig.write(bytes(65536))
    assert rig.watermarks == []
    rig.write(b"x")
    assert rig.watermarks == ["high"]
    rig.wait(0.3)
    assert rig.watermarks == ["high"]
    rig.wait(0.1)
    assert rig.watermarks == ["high", "low"]
    rig.wait(1.0)
    assert len(rig.peer.got) == 102400 + 65536 + 1
    check_over(rig)


def test_a_client_that_does_not_read_is_given_no_more_than_its_buffer_and_the_producer_is_told_once() -> None:
    rig: Any = limited(write=1000, buffer_limit=65536)
    rig.peer.block()
    rig.write(bytes(1024_000 + 300_000))
    rig.wait(3.0, 0.05)
    assert rig.watermarks == ["high"] and rig.connection.write_buffer.size == 65536
    assert rig.value(STATS + "write_bytes_buffered") == 1324_000 - 65536
    rig.peer.unblock()
    rig.wait(3.0, 0.05)
    assert len(rig.peer.got) == 1324_000 and rig.watermarks == ["high", "low"]
    check_over(rig)


def test_a_closed_connection_tells_a_stopped_producer_that_it_is_over() -> None:
    rig: Any = limited(write=1, buffer_limit=2000)
    rig.write(bytes(5000))
    assert rig.watermarks == ["high"]
    rig.connection.close(NO_FLUSH)
    assert rig.watermarks == ["high", "low"]
    check_over(rig)


def test_somebody_behind_who_pauses_reading_gets_nothing_until_he_resumes() -> None:
    rig: Any = limited(read=1)
    feed(rig, [DATA])
    rig.connection.pause_reading("upstream write buffer over its limit")
    rig.wait(5.0, 0.05)
    assert len(rig.last.data) == 1024
    rig.connection.resume_reading("upstream write buffer over its limit")
    rig.wait(0.1)
    assert bytes(rig.last.data) == DATA
    check_over(rig)


class Framed(NetworkFilter):
    """Waits for a whole frame of 400 bytes before it lets one pass, and checks that it is shown what it left."""

    def __init__(self) -> None:
        self.seen = b""
        self.name = "framed"

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        shown = bytes(data)
        assert shown.startswith(self.seen)
        self.seen = shown
        if data.size < 400 and not end_stream:
            return STOP_ITERATION
        self.seen = b""
        return CONTINUE


class Patient(NetworkFilter):
    """Stops at the first bytes and goes on a while later, by a timer of its own."""

    name = "patient"
    waited = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if self.waited:
            return CONTINUE
        self.callbacks.schedule(0.33, self.go_on, "patience")
        return STOP_ITERATION

    def go_on(self) -> None:
        self.waited = True
        self.callbacks.continue_reading()


@pytest.mark.parametrize("behind", [Framed, Patient])
@pytest.mark.parametrize("pieces", list(splits(DATA, two_way_limit=4, random_ways=4)), ids=lambda pieces: str(len(pieces)))
def test_a_filter_behind_that_stops_is_shown_everything_again_and_loses_nothing(behind: Any, pieces: List[bytes]) -> None:
    rig: Any = FilterRig()
    rig.use(EXTENSION, stat_prefix="x", read_limit_kbps=1).add(behind())
    finished(rig)
    feed(rig, pieces)
    rig.peer.finish()
    rig.wait(1.5)
    assert bytes(rig.last.data) == DATA and rig.last.ends == 1
    assert rig.errors == []


class Pusher(NetworkFilter):
    """Takes everything and hands it on by itself, with the end in one go."""

    name = "pusher"

    def __init__(self) -> None:
        self.kept = Buffer()

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.kept.move_from(data)
        self.callbacks.inject_read_data_to_filter_chain(self.kept, end_stream)
        return STOP_ITERATION


def test_an_end_that_a_filter_in_front_injects_with_the_last_bytes_waits_behind_them() -> None:
    rig: Any = FilterRig()
    pusher = Pusher()
    rig.add(pusher).use(EXTENSION, stat_prefix="x", read_limit_kbps=1)
    finished(rig)
    pusher.kept.append(DATA)
    rig.peer.finish()
    rig.turn(2)
    assert len(rig.last.data) == 1024 and not rig.last.ends
    rig.wait(0.6)
    assert bytes(rig.last.data) == DATA and rig.last.ends == 1
    check_over(rig)


@pytest.mark.parametrize("seed", range(12))
def test_two_limits_and_a_pushing_filter_in_any_order_pass_everything_at_the_slowest_pace(seed: int) -> None:
    rng = random.Random(seed)
    data = bytes(rng.randrange(256) for _ in range(6000))
    rig: Any = FilterRig(half_close=rng.random() < 0.5)
    rates = [rng.randint(1, 4), rng.randint(1, 4)]
    steps: List[Callable[[], Any]] = [
        lambda: rig.use(EXTENSION, stat_prefix="x", read_limit_kbps=rates[0], fill_interval=rng.choice((0.02, 0.05, 0.3))),
        lambda: rig.use(EXTENSION, stat_prefix="y", read_limit_kbps=rates[1], write_limit_kbps=rates[1]),
        lambda: rig.add(Pusher()), lambda: rig.add(Framed()),
    ]
    rng.shuffle(steps)
    for step in steps:
        step()
    finished(rig)
    half_close = rig.connection.half_close_enabled
    sent, written, start = 0, 0, rig.clock.now
    while rig.clock.now < start + 9.0 and not (rig.closed and not half_close):
        if sent < len(data) and rng.random() < 0.3:
            size = rng.choice((1, 10, 500, 3000))
            rig.peer.send(data[sent:sent + size])
            sent = min(len(data), sent + size)
            if sent == len(data):
                rig.peer.finish()
        if written < len(data) and rng.random() < 0.3 and rig.connection.is_open:
            size = rng.choice((1, 10, 500, 3000))
            rig.write(data[written:written + size])
            written = min(len(data), written + size)
        rig.wait(rng.choice((0.01, 0.05)))
        slowest = min(rates) * 1024
        assert len(rig.last.data) <= slowest * (1 + rig.clock.now - start) + 1
    if half_close:
        assert bytes(rig.last.data) == data and rig.last.ends == 1
        assert bytes(rig.peer.got) == data[:written]
    else:  # its end closed the connection: behind a whole frame nothing waits
        assert data.startswith(bytes(rig.last.data)) and len(rig.last.data) > len(data) - 400
    assert rig.errors == []


def test_all_connections_of_a_chain_draw_from_one_bucket_and_it_is_never_spent_twice() -> None:
    """Envoy gives a bucket that was full for a while its whole content twice."""
    rig: Any = FilterRig()
    context = rig.context
    factory = EXTENSION.build(EXTENSION.config(stat_prefix="x", read_limit_kbps=1), context)
    factory(rig.assembly)
    finished(rig)
    rig.wait(10.0, 1.0)
    feed(rig, [bytes(1500)])
    assert len(rig.last.data) == 1024
    rig.wait(0.05)
    assert 1024 + 40 < len(rig.last.data) < 1024 + 60


def test_the_runtime_switches_the_limit_off_and_what_waits_goes() -> None:
    rig: Any = FilterRig()
    flag = RuntimeFeatureFlag(True, "on")
    rig.use(EXTENSION, stat_prefix="x", read_limit_kbps=1, write_limit_kbps=1, runtime_enabled=flag)
    finished(rig)
    feed(rig, [DATA])
    rig.write(DATA)
    rig.switches.values["on"] = False
    rig.wait(0.06)
    assert bytes(rig.last.data) == DATA and bytes(rig.peer.got) == DATA
    feed(rig, [bytes(5000)])
    rig.write(bytes(5000))
    rig.turn(2)
    assert len(rig.last.data) == len(rig.peer.got) == len(DATA) + 5000
    check_over(rig)


def test_what_is_counted() -> None:
    rig: Any = limited(read=10)
    feed(rig, [bytes(1000)] * 3)
    found = {name: rig.value(STATS + "read_" + name) for name in ("enabled", "throttled", "total_bytes", "rate_bps")}
    assert found == {"enabled": 3, "throttled": 0, "total_bytes": 3000, "rate_bps": 0}
    feed(rig, [bytes(20_000)])
    rig.wait(1.1)
    assert rig.value(STATS + "read_throttled") == 1
    assert 19_900 < rig.value(STATS + "read_rate_bps") < 20_900  # a bucket and a second's worth, in about a second
    assert rig.value(STATS + "write_enabled") == 0
    assert rig.value(STATS + "read_bytes_buffered") + rig.value(STATS + "read_total_bytes") == 23_000


def test_a_direction_without_a_limit_has_no_filter() -> None:
    for read, write in ((None, None), (1, None), (None, 1)):
        rig: Any = limited(read=read, write=write)
        assert len(rig.connection.read_chain) == (1 if read is None else 2)
        assert (rig.connection.write_chain is None) == (write is None)


def test_a_limited_reply_arrives_whole_before_its_connection_closes() -> None:
    """Envoy's direct_response is cut after the first second's worth."""
    engine = Engine(bootstrap([listener(
        network_filter("tcp_bandwidth_limit", stat_prefix="x", write_limit_kbps=100),
        network_filter("direct_response", response={"inline_string": "z" * 150_000}),
    )])).start()
    client = engine.client()
    for _ in range(12):
        engine.advance(0.05)
        engine.turn(5)
    engine.until(lambda: client.over)
    assert len(client.got) == 150_000 and not client.was_reset
    engine.close()
    assert engine.errors == [] and engine.stalls == []


BAD: List[Tuple[Any, str]] = [
    ({"fill_interval": "0.019s"}, "fill_interval"), ({"fill_interval": "1.001s"}, "fill_interval"),
    ({"read_limit_kbps": -1}, "read_limit_kbps"), ({"stat_prefix": ""}, "stat_prefix"),
]


@pytest.mark.parametrize("fields, path", BAD)
def test_a_wrong_limit_is_refused_with_its_path(fields: Any, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Engine(bootstrap([listener(
            network_filter("tcp_bandwidth_limit", **{"stat_prefix": "x", **fields}), network_filter("echo"),
        )]))
    assert caught.value.problems[0].path.endswith(f"typed_config.{path}")
