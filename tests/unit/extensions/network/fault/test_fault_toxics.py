"""What each toxic does to bytes, ends and connections, in simulated time; and how what is random is spread."""

from __future__ import annotations

import random
from typing import List

import pytest

from tests.unit.extensions.network.fault.fault_kit import DOWN, UP, Faulty, faulty, point, toxic

both_ways = pytest.mark.parametrize("stream", [UP, DOWN])
about = pytest.approx


# -- latency ---------------------------------------------------------------------------------------------------

@both_ways
def test_latency_delays_every_read_by_the_same_time_and_the_end_comes_right_behind_the_last(stream: str) -> None:
    with faulty(toxic("latency", stream, latency=200)) as harness:
        harness.move(stream, b"one")
        harness.advance(0.05)
        harness.move(stream, b"two", end_stream=True)
        harness.advance(0.149)
        assert harness.moved(stream) == b""
        harness.advance(0.002)
        assert harness.moved(stream) == b"one" and not harness.ended(stream)
        harness.advance(0.05)
        assert harness.moved(stream) == b"onetwo" and harness.ended(stream)
        assert harness.arrivals_of(stream) == [(about(0.2), b"one"), (about(0.25), b"two")]


@both_ways
def test_latency_without_bytes_does_not_delay_the_end(stream: str) -> None:
    with faulty(toxic("latency", stream, latency=200)) as harness:
        harness.move(stream, b"", end_stream=True)
        assert harness.ended(stream)


def test_latency_affects_only_its_own_direction() -> None:
    with faulty(toxic("latency", UP, latency=200)) as harness:
        harness.write(b"answer")
        assert harness.sent == b"answer"


def delays(latency: int, jitter: int, count: int, seed: int = 3) -> List[float]:
    """What one connection draws for so many reads, each of which comes after the last one has gone."""
    found = []
    with faulty(toxic("latency", UP, latency=latency, jitter=jitter), seed=seed) as harness:
        for _ in range(count):
            start = harness.now
            harness.feed(b"x")
            harness.advance((latency + jitter) / 1000 + 0.001)
            found.append(harness.arrivals[-1].at - start)
    return found


def test_jitter_is_spread_evenly_over_its_whole_range() -> None:
    found = delays(100, 40, 2000)
    assert 0.06 <= min(found) < 0.062 and 0.138 < max(found) <= 0.14 + 1e-9
    assert sum(found) / len(found) == about(0.1, abs=0.0016)  # three times 40 ms / sqrt(3 * 2000)
    tenths = [sum(0.06 + 0.008 * part <= one < 0.068 + 0.008 * part for one in found) for part in range(10)]
    assert all(150 <= one <= 250 for one in tenths), tenths


def test_jitter_greater_than_the_latency_never_means_earlier_than_now() -> None:
    found = delays(10, 40, 400)
    assert min(found) == 0.0 and 0.048 < max(found) <= 0.05 + 1e-9
    assert 0.3 < sum(one == 0.0 for one in found) / len(found) < 0.45  # 30 of 80 ms


def test_with_jitter_nothing_overtakes() -> None:
    with faulty(toxic("latency", UP, latency=100, jitter=100)) as harness:
        for number in range(100):
            harness.feed(bytes([number]))
            harness.advance(0.002)
        harness.end()
        harness.advance(0.3)
        assert harness.onward == bytes(range(100)) and harness.onward_ends == 1


# -- bandwidth -------------------------------------------------------------------------------------------------

@both_ways
@pytest.mark.parametrize("rate", [1, 7, 64, 1000])
def test_bandwidth_is_exact_at_every_moment(stream: str, rate: int) -> None:
    """Never a byte more than the rate allows; and, in pieces of a tenth of a second, never less than that much behind."""
    data = random.Random(rate).getrandbits(8 * rate * 2500).to_bytes(rate * 2500, "big")
    with faulty(toxic("bandwidth", stream, rate=rate), buffer_limit=0) as harness:
        harness.move(stream, data[:rate * 300])
        harness.move(stream, data[rate * 300:], end_stream=True)
        passed = 0
        while not harness.ended(stream):
            assert harness.advance_to_next_timer(10.0)
        for at, piece in harness.arrivals_of(stream):
            passed += len(piece)
            assert passed <= rate * 1000 * at + 1e-6
            assert passed >= rate * 1000 * at - 1e-6  # a piece goes on when its last byte has come
            assert len(piece) <= rate * 100
        assert harness.moved(stream) == data and harness.now == about(2.5)


def test_a_line_that_was_idle_has_not_saved_anything_up() -> None:
    with faulty(toxic("bandwidth", UP, rate=1)) as harness:
        harness.feed(bytes(100))
        harness.advance(60.0)
        harness.feed(bytes(100))
        harness.advance(0.099)
        assert len(harness.onward) == 100
        harness.advance(0.002)
        assert len(harness.onward) == 200


@both_ways
def test_a_bandwidth_of_nothing_lets_nothing_through_until_that_changes(stream: str) -> None:
    with faulty(toxic("bandwidth", stream, rate=0)) as harness:
        harness.move(stream, bytes(1000), end_stream=True)
        harness.advance(60.0)
        assert harness.moved(stream) == b"" and not harness.ended(stream)
        harness.change({"update": [{"name": f"bandwidth_{stream}", "attributes": {"rate": 1}}]})
        harness.advance(0.99)
        assert len(harness.moved(stream)) == 900
        harness.advance(0.02)
        assert len(harness.moved(stream)) == 1000 and harness.ended(stream)


# -- slow_close ------------------------------------------------------------------------------------------------

@both_ways
def test_slow_close_delays_the_end_and_no_data(stream: str) -> None:
    with faulty(toxic("slow_close", stream, delay=500)) as harness:
        harness.move(stream, b"data", end_stream=True)
        assert harness.moved(stream) == b"data" and not harness.ended(stream)
        harness.advance(0.499)
        assert not harness.ended(stream)
        harness.advance(0.002)
        assert harness.ended(stream)


# -- timeout ---------------------------------------------------------------------------------------------------

@both_ways
def test_timeout_drops_everything_and_closes_on_time_however_much_comes(stream: str) -> None:
    with faulty(toxic("timeout", stream, timeout=500)) as harness:
        for _ in range(4):
            harness.move(stream, b"data")
            harness.advance(0.12)
        assert not harness.closed
        harness.advance(0.021)
        assert harness.moved(stream) == b""
        harness.assert_closed("fault_timeout", by="local", how="FIN")


@both_ways
def test_timeout_of_nothing_drops_until_it_is_removed_and_then_closes(stream: str) -> None:
    with faulty(toxic("timeout", stream, timeout=0)) as harness:
        harness.move(stream, b"data")
        harness.advance(3600.0)
        assert not harness.closed
        harness.change({"remove": [f"timeout_{stream}"]})
        assert harness.moved(stream) == b""
        harness.assert_closed("fault_timeout")


def test_the_end_of_a_stream_that_lost_bytes_closes_the_connection() -> None:
    with faulty(toxic("timeout", UP, timeout=0)) as harness:
        harness.feed(b"data", end_stream=True)
        harness.assert_closed("fault_timeout")


def test_a_timeout_with_another_time_begins_again_and_closes_nothing_before() -> None:
    with faulty(toxic("timeout", UP, timeout=500)) as harness:
        harness.advance(0.4)
        harness.change({"update": [{"name": "timeout_upstream", "attributes": {"timeout": 300}}]})
        harness.advance(0.299)
        assert not harness.closed
        harness.advance(0.002)
        harness.assert_closed("fault_timeout")


# -- reset_peer ------------------------------------------------------------------------------------------------

@both_ways
def test_reset_peer_resets_some_time_after_the_first_bytes_and_drops_them(stream: str) -> None:
    with faulty(toxic("reset_peer", stream, timeout=500)) as harness:
        harness.advance(10.0)
        harness.move(stream, b"data")
        harness.advance(0.3)
        harness.move(stream, b"data")
        assert not harness.closed
        harness.advance(0.201)
        assert harness.moved(stream) == b"" and harness.peer.was_reset
        harness.assert_closed("fault_reset_peer", how="RST")


def test_reset_peer_without_a_time_resets_at_the_first_byte_and_overtakes_what_waits() -> None:
    with faulty(toxic("latency", UP, latency=1000), toxic("reset_peer", DOWN)) as harness:
        harness.feed(b"waits")
        harness.write(b"x")
        assert harness.sent == b"" and harness.peer.was_reset


def test_the_reset_of_a_connection_that_lost_bytes_is_not_called_off() -> None:
    with faulty(toxic("reset_peer", UP, timeout=500)) as harness:
        harness.feed(b"data")
        harness.advance(0.2)
        harness.change({"update": [{"name": "reset_peer_upstream", "attributes": {"timeout": 60000}}]})
        harness.advance(0.301)
        harness.assert_closed("fault_reset_peer")
    with faulty(toxic("reset_peer", UP, timeout=500)) as harness:
        harness.feed(b"data")
        harness.change({"remove": ["reset_peer_upstream"]})
        harness.assert_closed("fault_reset_peer")
    with faulty(toxic("reset_peer", UP, timeout=500)) as harness:
        harness.change({"remove": ["reset_peer_upstream"]})
        harness.feed(b"data")
        assert harness.onward == b"data" and not harness.closed


# -- limit_data ------------------------------------------------------------------------------------------------

@both_ways
@pytest.mark.parametrize("limit", [0, 1, 5, 6])
def test_limit_data_closes_behind_its_last_byte(stream: str, limit: int) -> None:
    for pieces in ([b"abcdef"], [b"abc", b"def"], [b"a", b"b", b"c", b"d", b"e", b"f"]):
        with faulty(toxic("limit_data", stream, bytes=limit)) as harness:
            for piece in pieces:
                assert not harness.closed or len(harness.moved(stream)) == limit
                if not harness.closed:
                    harness.move(stream, piece)
            assert harness.moved(stream) == b"abcdef"[:limit]
            harness.assert_closed("fault_limit_data", how="FIN")


def test_limit_data_lets_less_than_its_limit_pass_with_the_end() -> None:
    with faulty(toxic("limit_data", UP, bytes=7)) as harness:
        harness.feed(b"abcdef", end_stream=True)
        assert harness.onward == b"abcdef" and harness.onward_ends == 1 and not harness.closed


def test_limit_data_keeps_its_count_when_the_limit_changes() -> None:
    with faulty(toxic("limit_data", UP, bytes=100)) as harness:
        harness.feed(b"abcd")
        harness.change({"update": [{"name": "limit_data_upstream", "attributes": {"bytes": 6}}]})
        harness.feed(b"efgh")
        assert harness.onward == b"abcdef" and harness.closed


# -- slicer ----------------------------------------------------------------------------------------------------

@both_ways
@pytest.mark.parametrize(("average", "variation"), [(1, 0), (10, 0), (10, 9), (64, 20), (5000, 100)])
def test_slicer_cuts_into_pieces_of_the_right_size_that_go_out_alone(stream: str, average: int, variation: int) -> None:
    data = bytes(range(250)) * 4
    with faulty(toxic("slicer", stream, average_size=average, size_variation=variation)) as harness:
        harness.move(stream, data, end_stream=True)
        sizes = [len(piece) for _, piece in harness.arrivals_of(stream)]
        assert harness.moved(stream) == data and harness.ended(stream)
        assert max(sizes) <= average + variation and min(sizes) >= 1
        if len(data) > average:
            assert len(sizes) >= len(data) / (average + variation)
            assert min(sizes) >= (average + variation + 1) // 2 - variation  # the smallest half of what is cut


def test_the_sizes_of_slices_vary_by_as_much_as_they_may() -> None:
    sizes: List[int] = []
    with faulty(toxic("slicer", UP, average_size=100, size_variation=40), buffer_limit=0) as harness:
        harness.feed(bytes(65536))
        sizes = [len(arrival.data) for arrival in harness.arrivals]
    assert sum(sizes) / len(sizes) == about(100, rel=0.25)
    assert min(sizes) < 70 and max(sizes) > 130 and len(set(sizes)) > 40


def test_slices_are_as_far_apart_as_the_delay_in_microseconds() -> None:
    with faulty(toxic("slicer", UP, average_size=2, delay=1500)) as harness:
        harness.feed(b"abcdef")
        harness.advance(1.0)
        assert b"".join(piece for _, piece in harness.arrivals_of(UP)) == b"abcdef"
        times = [at for at, _ in harness.arrivals_of(UP)]
        assert [after - before for before, after in zip(times, times[1:])] == [about(0.0015)] * (len(times) - 1)
        assert len(times) == 4  # cut in the middle, and in the middle again: 1 + 2, 1 + 2


def test_the_rest_of_a_sliced_read_comes_in_one_piece_when_the_slicer_goes() -> None:
    with faulty(toxic("slicer", UP, average_size=2, delay=10000)) as harness:
        harness.feed(b"abcdefgh")
        harness.feed(b"ij", end_stream=True)
        harness.advance(0.015)
        assert harness.onward == b"abcd"
        harness.change({"remove": ["slicer_upstream"]})
        assert harness.onward == b"abcdefghij" and harness.onward_ends == 1


# -- who is affected -------------------------------------------------------------------------------------------

def affected(seed: int, toxicity: float, count: int) -> List[bool]:
    """For each connection whether the toxic took effect."""
    faults = point(toxic("latency", UP, toxicity=toxicity, latency=1000), seed=seed)
    found = []
    for _ in range(count):
        harness = Faulty(faults)
        harness.feed(b"x")
        found.append(not harness.onward)
    return found


def test_toxicity_is_the_share_of_connections() -> None:
    share = sum(affected(1, 0.3, 1000)) / 1000
    assert share == about(0.3, abs=0.045)  # three standard deviations


def test_a_toxicity_of_none_affects_none_and_of_all_affects_all() -> None:
    assert not any(affected(1, 0.0, 200))
    assert all(affected(1, 1.0, 200))


def test_the_same_seed_and_number_of_a_connection_give_the_same_draws() -> None:
    assert affected(5, 0.5, 60) == affected(5, 0.5, 60)
    assert affected(5, 0.5, 60) != affected(6, 0.5, 60)
    assert delays(100, 50, 20, seed=5) == delays(100, 50, 20, seed=5) != delays(100, 50, 20, seed=6)


def test_more_toxicity_only_adds_connections() -> None:
    few, many = affected(9, 0.3, 200), affected(9, 0.6, 200)
    assert all(also for one, also in zip(few, many) if one) and sum(many) > sum(few)


def test_what_a_toxic_draws_does_not_depend_on_other_toxics() -> None:
    jitter = toxic("latency", UP, latency=50, jitter=50)
    times = []
    for others in ([], [toxic("latency", DOWN, name="other", latency=5, jitter=5), toxic("slow_close", UP, toxicity=0.5)]):
        with faulty(*others, jitter, seed=2) as harness:
            harness.feed(b"x")
            harness.write(b"y")
            harness.advance(1.0)
            times.append(harness.arrivals[0].at)
    assert times[0] == times[1]
