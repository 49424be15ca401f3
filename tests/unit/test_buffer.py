"""`Buffer` against plain bytes: a seeded model, and the costs that its docstring promises."""

from __future__ import annotations

import random

import pytest

from proxy_core.buffer import JOIN_BELOW, Buffer

SEEDS = 200
STEPS = 40


def some_bytes(rng: random.Random) -> bytes:
    """Few different bytes, so that searches hit; sizes on both sides of the joining limit."""
    size = rng.choice((0, 1, 2, 3, 7, 50, JOIN_BELOW - 1, JOIN_BELOW, JOIN_BELOW + 1))
    return bytes(rng.choice(b"ab\r\n") for _ in range(min(size, 60))) + b"x" * max(0, size - 60)


def check_same(buffer: Buffer, model: bytes, rng: random.Random) -> None:
    assert buffer.size == len(buffer) == len(model)
    assert bytes(buffer) == model
    count = rng.randint(0, len(model) + 2)
    assert buffer.peek(count) == model[:count]
    front = bytes(buffer.front())
    assert model.startswith(front) and bool(front) == bool(model)
    gathered = b"".join(bytes(chunk) for chunk in buffer.gather(rng.randint(1, 9000), rng.randint(1, 4)))
    assert model.startswith(gathered) and bool(gathered) == bool(model)
    needle = rng.choice((b"\r\n\r\n", b"a", b"ab", b"\n", b"bx"))
    start = rng.randint(0, len(model))
    assert buffer.find(needle, start) == model.find(needle, start)


@pytest.mark.parametrize("block", range(4))
def test_random_operations_leave_the_same_bytes_as_in_a_plain_model(block: int) -> None:
    for seed in range(block * SEEDS // 4, (block + 1) * SEEDS // 4):
        rng = random.Random(seed)
        buffer, model = Buffer(), b""
        for _ in range(STEPS):
            step = rng.randrange(6)
            if step <= 1:
                data = some_bytes(rng)
                buffer.append(data)
                model += data
            elif step == 2:
                other, data = Buffer(), b""
                for _ in range(rng.randint(0, 3)):
                    piece = some_bytes(rng)
                    other.append(piece)
                    data += piece
                gone = rng.randint(0, len(data))
                other.drain(gone)
                buffer.move_from(other)
                model += data[gone:]
                assert other.size == 0 and bytes(other) == b""
            elif step == 3:
                count = rng.randint(0, len(model))
                buffer.drain(count)
                model = model[count:]
            elif step == 4 and rng.random() < 0.2:
                assert buffer.take() == model
                model = b""
            check_same(buffer, model, rng)


def test_a_search_that_is_resumed_finds_the_same_as_one_that_starts_over() -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        needle = rng.choice((b"\r\n\r\n", b"ab", b"aab"))
        buffer, start = Buffer(b"ab"), 0
        buffer.drain(1)
        for _ in range(60):
            buffer.append(bytes(rng.choice(b"a\r\nb") for _ in range(rng.randint(1, 4))))
            at = buffer.find(needle, start)
            assert at == bytes(buffer).find(needle)
            if at >= 0:
                break
            start = max(0, buffer.size - len(needle) + 1)


def test_a_needle_in_every_position_across_two_and_three_chunks_is_found() -> None:
    whole = b"x" * JOIN_BELOW + b"HTTP\r\n\r\nbody" + b"y" * JOIN_BELOW
    at = whole.index(b"\r\n\r\n")
    for first in range(at - 2, at + 6):
        for second in range(first, at + 6):
            buffer = Buffer()
            for chunk in (whole[:first], whole[first:second], whole[second:]):
                other = Buffer(b"." + chunk)
                other.drain(1)
                if chunk:
                    buffer.chunks.append(chunk)
                    buffer.size += len(chunk)
            assert buffer.find(b"\r\n\r\n") == at
            assert buffer.find(b"\r\n\r\n", at) == at
            assert buffer.find(b"\r\n\r\n", at + 1) == -1


def test_a_byte_at_a_time_is_joined_into_few_chunks() -> None:
    buffer = Buffer()
    for _ in range(3 * JOIN_BELOW):
        buffer.append(b"z")
    assert buffer.size == 3 * JOIN_BELOW
    assert len(buffer.chunks) <= 4


def test_a_byte_at_a_time_moved_into_a_full_buffer_is_joined_as_well() -> None:
    """A slow sender through a proxy whose other side is blocked: each read is moved, not appended."""
    sink = Buffer()
    for _ in range(3 * JOIN_BELOW):
        sink.move_from(Buffer(b"z"))
    assert sink.size == 3 * JOIN_BELOW
    assert len(sink.chunks) <= 4


def test_large_chunks_are_kept_by_reference_and_never_copied() -> None:
    data = bytes(100_000)
    buffer = Buffer()
    buffer.append(data)
    assert buffer.front() is data
    other = Buffer()
    other.move_from(buffer)
    assert other.front() is data
    assert other.take() is data


def test_front_is_a_view_of_what_is_left_of_a_cut_chunk() -> None:
    buffer = Buffer(b"hello world")
    buffer.drain(6)
    front = buffer.front()
    assert isinstance(front, memoryview)
    assert bytes(front) == b"world"


def test_front_and_gather_of_an_empty_buffer_hold_nothing() -> None:
    buffer = Buffer(b"x")
    buffer.drain(1)
    assert buffer.front() == b""
    assert [bytes(chunk) for chunk in buffer.gather(10, 10)] == [b""]
    assert buffer.peek(5) == buffer.take() == b""
    assert buffer.find(b"x") == -1


def test_gather_stops_at_the_limit_of_chunks_and_of_bytes() -> None:
    buffer = Buffer()
    for _ in range(10):
        buffer.append(b"c" * (JOIN_BELOW + 1))
    assert len(buffer.gather(1 << 30, 3)) == 3
    assert len(buffer.gather(JOIN_BELOW + 2, 64)) == 2


def test_draining_more_than_there_is_is_refused_and_loses_nothing() -> None:
    buffer = Buffer(b"abc")
    with pytest.raises(AssertionError):
        buffer.drain(4)
    assert bytes(buffer) == b"abc"


def test_a_drained_chunk_is_given_up_when_more_is_moved_behind_it() -> None:
    first, second = Buffer(b"a" * 5000), Buffer(b"b" * 5000)
    first.drain(4999)
    second.drain(4998)
    first.move_from(second)
    assert bytes(first) == b"abb"
