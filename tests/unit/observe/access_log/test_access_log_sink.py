"""Sinks: buffering, the lazy timer, outages, rotation. Real files and FIFOs, a fake timer."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Iterator, List, Tuple

import pytest

from proxy_core.observe.access_log.filters import compile_filter
from proxy_core.observe.access_log.format import FormatCompiler
from proxy_core.observe.access_log.logger import AccessLog
from proxy_core.observe.access_log.sink import BufferedSink, SinkCache
from proxy_core.observe.access_log.target import DescriptorTarget
from proxy_core.observe.stat_names import FilesystemStats
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo


class Timers:
    """One-shot timers that fire when the test says so."""

    def __init__(self) -> None:
        self.armed: List[Tuple[float, Callable[[], None]]] = []

    def __call__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.armed.append((delay_s, callback))

    def fire(self) -> float:
        delay, callback = self.armed.pop(0)
        callback()
        return delay


class Bench:
    def __init__(self, **options: int) -> None:
        self.timers = Timers()
        self.stats = FilesystemStats(StatsStore(lambda: 0.0).scope("filesystem"))
        self.sinks = SinkCache(self.timers, self.stats, **options)


@pytest.fixture(name="log")
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "proxy_core.file"):
        yield caplog


def test_lines_wait_for_one_timer_which_is_armed_only_while_lines_wait(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "a.log"
    sink = bench.sinks.file(str(path))
    assert not bench.timers.armed
    sink.write("one\n")
    sink.write("two\n")
    assert len(bench.timers.armed) == 1 and path.read_text() == ""
    assert bench.stats.write_total_buffered.value == 8
    assert bench.timers.fire() == 1.0
    assert path.read_text() == "one\ntwo\n"
    assert not bench.timers.armed
    assert bench.stats.write_total_buffered.value == 0
    counters = (bench.stats.write_buffered, bench.stats.write_completed, bench.stats.flushed_by_timer)
    assert [counter.value for counter in counters] == [2, 1, 1]


def test_a_full_buffer_is_written_at_once(tmp_path: Path) -> None:
    bench = Bench(flush_size=10)
    path = tmp_path / "a.log"
    sink = bench.sinks.file(str(path))
    sink.write("12345\n")
    sink.write("6789\n")
    assert path.read_text() == "12345\n6789\n"
    bench.timers.fire()  # finds nothing to do
    assert bench.stats.flushed_by_timer.value == 0 and not bench.timers.armed


def test_two_logs_with_one_path_share_a_sink_however_the_path_is_spelt(tmp_path: Path) -> None:
    bench = Bench()
    first = bench.sinks.file(str(tmp_path / "a.log"))
    assert bench.sinks.file(f"{tmp_path}/./a.log") is first
    assert bench.sinks.file(str(tmp_path / "b.log")) is not first
    assert bench.sinks.file("/dev/stdout") is bench.sinks.stdout()
    assert bench.sinks.file("/dev/stderr") is bench.sinks.stderr()


def test_a_file_is_appended_to_and_reopened_after_a_rotation(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "a.log"
    path.write_text("old\n")
    sink = bench.sinks.file(str(path))
    sink.write("before\n")
    path.rename(tmp_path / "a.log.1")
    bench.sinks.reopen()
    sink.write("after\n")
    bench.sinks.close()
    assert (tmp_path / "a.log.1").read_text() == "old\nbefore\n"
    assert path.read_text() == "after\n"


def test_a_failed_reopen_keeps_the_old_file(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    directory = tmp_path / "logs"
    directory.mkdir()
    sink = bench.sinks.file(str(directory / "a.log"))
    directory.rename(tmp_path / "moved")
    bench.sinks.reopen()
    sink.write("kept\n")
    sink.flush()
    assert (tmp_path / "moved" / "a.log").read_text() == "kept\n"
    assert bench.stats.reopen_failed.value == 1
    assert "can't reopen" in log.text


def test_a_file_that_cannot_be_opened_is_an_error_at_load(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Bench().sinks.file(str(tmp_path / "no" / "such" / "directory.log"))


def test_dev_null_takes_everything() -> None:
    bench = Bench()
    sink = bench.sinks.file("/dev/null")
    sink.write("x\n")
    bench.timers.fire()
    assert bench.stats.write_completed.value == 1 and bench.stats.write_failed.value == 0


def test_a_fifo_without_a_reader_neither_blocks_nor_loses_lines(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    sink = bench.sinks.file(path)
    sink.write("early\n")
    delays = [bench.timers.fire() for _ in range(4)]
    assert delays == [1.0, 1.0, 2.0, 4.0]  # growing pauses between the tries
    assert len([record for record in log.records if record.levelname == "ERROR"]) == 1
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    bench.timers.fire()
    assert os.read(reader, 100) == b"early\n"
    assert "writing again, 0 lines were lost" in log.text
    assert not bench.timers.armed
    os.close(reader)
    sink.write("no reader again\n")
    bench.timers.fire()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    bench.timers.fire()
    assert os.read(reader, 100) == b"no reader again\n"
    os.close(reader)
    bench.sinks.close()


def test_a_reader_that_does_not_read_costs_whole_lines_at_the_end_and_nothing_else(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = bench.sinks.file(path)
    line = "x" * 9999 + "\n"
    for _ in range(200):
        sink.write(line)
    assert bench.stats.write_failed.value > 0
    assert log.text.count("the reader is too slow") == 1
    received = b""
    while bench.stats.write_total_buffered.value or len(received) % 10000:
        received += os.read(reader, 1 << 20)
        while bench.timers.armed:
            bench.timers.fire()
            break
    assert set(received.split(b"\n")) == {line.encode()[:-1], b""}  # no line is cut or mixed
    assert received.count(b"\n") + bench.stats.write_failed.value == 200
    os.close(reader)


def test_what_cannot_be_written_at_the_end_is_said(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    bench.sinks.file(path).write("lost\n")
    bench.sinks.close()
    assert "5 bytes were lost at the end" in log.text
    assert bench.stats.write_total_buffered.value == 0


def test_a_full_standard_output_pipe_does_not_block(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    timers = Timers()
    stats = FilesystemStats(StatsStore(lambda: 0.0).scope("filesystem"))
    sink = BufferedSink(DescriptorTarget(write_end, "stdout"), timers, stats)
    sink.write("y" * 500_000 + "\n")
    waiting = stats.write_total_buffered.value
    assert 0 < waiting < 500_001
    assert os.get_blocking(write_end)
    received = len(os.read(read_end, 1 << 20))
    while stats.write_total_buffered.value:
        timers.fire()
        received += len(os.read(read_end, 1 << 20))
    assert received == 500_001
    os.close(read_end)
    os.close(write_end)


def test_undecodable_text_is_written_escaped(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "a.log"
    bench.sinks.file(str(path)).write("\udcff ñ\n")
    bench.sinks.close()
    assert path.read_bytes() == b"\\udcff \xc3\xb1\n"


def test_an_access_log_refreshes_filters_formats_and_writes(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "a.log"
    flagged = compile_filter(SimpleNamespace(response_flag_filter=SimpleNamespace(flags=[])))
    access_log = AccessLog(
        FormatCompiler().text("%BYTES_SENT% %DURATION% %EMIT_TIME(%s)% %ACCESS_LOG_TYPE%\n"),
        bench.sinks.file(str(path)),
        lambda: 77.0,
        lambda: 2.5,
        flagged,
    )
    info = StreamInfo(1, 0.0, 0.0)

    def refresh() -> None:
        info.bytes_sent = 9

    info.refresh = refresh
    access_log.log(info, "TcpPeriodic")
    info.add_flag("UF")
    access_log.log(info, "TcpConnectionEnd")
    bench.sinks.flush()
    assert path.read_text() == "9 2500 77 TcpConnectionEnd\n"
