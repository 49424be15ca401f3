"""What the byte container costs: a small message, bulk, and a delimiter that is found late."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.buffer import Buffer

SMALL = b"m" * 64
LARGE = b"b" * 65536


def test_a_small_message_is_appended_moved_and_drained(benchmark: BenchmarkFixture) -> None:
    source, target = Buffer(), Buffer()

    def pass_through() -> None:
        source.append(SMALL)
        target.move_from(source)
        target.front()
        target.drain(64)

    benchmark(pass_through)


def test_a_mebibyte_is_appended_moved_and_drained_by_short_sends(benchmark: BenchmarkFixture) -> None:
    source, target = Buffer(), Buffer()

    def pass_through() -> None:
        for _ in range(16):
            source.append(LARGE)
        target.move_from(source)
        while target.size:
            target.front()
            target.drain(min(target.size, 50_000))

    benchmark(pass_through)


def test_a_line_end_is_found_after_a_hundred_small_pieces(benchmark: BenchmarkFixture) -> None:
    def search() -> int:
        buffer, searched = Buffer(), 0
        for _ in range(100):
            buffer.append(SMALL)
            assert buffer.find(b"\r\n", searched) == -1
            searched = max(0, buffer.size - 1)
        buffer.append(b"\r\n")
        return buffer.find(b"\r\n", searched)

    assert benchmark(search) == 6400
