"""The process log: lines, levels, JSON, files."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from pathlib import Path
from typing import Any, Iterator

import pytest

from proxy_core.observe.log import (
    TRACE,
    ProcessLog,
    component_logger,
    conn_tag,
    parse_component_levels,
    parse_level,
)
from proxy_core.observe.log_format import JsonLogFormatter, PatternFormatter, record_formatter
from proxy_core.observe.log_levels import COMPONENTS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(name="open_log")
def _open_log() -> Iterator[Any]:
    """Makes process logs and closes them, so that no test changes the loggers of another."""
    logs = []

    def make(**options: Any) -> ProcessLog:
        logs.append(ProcessLog(**options))
        return logs[-1]

    yield make
    for log in reversed(logs):
        log.close()


def record(message: str, *args: object, level: int = logging.INFO, exc_info: Any = None) -> logging.LogRecord:
    made = logging.LogRecord("proxy_core.upstream", level, "/src/pool.py", 42, message, args, exc_info)
    made.created, made.process = 1767323045.678, 31
    return made


def test_a_line_has_time_pid_level_component_and_message(open_log: Any) -> None:
    stream = io.StringIO()
    open_log(stream=stream)
    component_logger("connection").warning("%s closed by peer", conn_tag(17))
    assert re.fullmatch(
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[%d\]\[warning\]\[connection\] \[C17\] closed by peer\n"
        % os.getpid(),
        stream.getvalue(),
    )


def test_connection_tags_name_the_pair() -> None:
    assert conn_tag(17) == "[C17]"
    assert conn_tag(17, 18) == "[C17→C18]"


def test_the_level_of_each_component_decides(open_log: Any) -> None:
    stream = io.StringIO()
    log = open_log(level="warning", component_levels="http:trace,pool:off", stream=stream, format="%n %v")
    component_logger("main").info("no")
    component_logger("main").error("yes")
    component_logger("http").log(TRACE, "deep")
    component_logger("pool").critical("silenced")
    log.set_level(None, "debug")
    component_logger("main").debug("all")
    log.set_level("main", "off")
    component_logger("main").critical("none")
    assert stream.getvalue() == "main yes\nhttp deep\nmain all\n"
    assert (log.levels()["main"], log.levels()["http"]) == ("off", "debug")
    assert set(log.levels()) == set(COMPONENTS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_level("x"), "error: invalid log level specified 'x'"),
        (lambda: parse_component_levels("x:debug"), "error: invalid component specified 'x'"),
        (
            lambda: parse_component_levels("config"),
            "error: component log level not correctly specified 'config'",
        ),
        (lambda: parse_component_levels("config:foo"), "error: invalid log level specified 'foo'"),
        (
            lambda: parse_component_levels("a:b:c"),
            "error: component log level not correctly specified 'a:b:c'",
        ),
        (lambda: component_logger("nosuch"), "error: invalid component specified 'nosuch'"),
    ],
)
def test_bad_names_are_refused_with_envoys_sentence(call: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_an_empty_component_list_and_the_alias_of_warning_are_fine() -> None:
    assert parse_component_levels("") == {}
    assert parse_level("warn") == parse_level("warning") == logging.WARNING


def test_the_root_logger_and_the_application_are_left_alone(open_log: Any) -> None:
    root_handlers = list(logging.getLogger().handlers)
    log = ProcessLog(stream=io.StringIO())
    assert logging.getLogger().handlers == root_handlers
    log.close()
    parent = logging.getLogger("proxy_core")
    assert parent.propagate and not parent.handlers
    assert component_logger("main").level == logging.NOTSET


def test_messages_stay_on_their_line_and_every_traceback_line_carries_the_prefix() -> None:
    formatter = PatternFormatter("[%l][%n] %v")
    assert formatter.format(record("a\nb\x1b[31m %s", "c\r")) == "[info][upstream] a\\nb\\x1b[31m c\\r\n"
    try:
        raise KeyError("x")
    except KeyError as error:
        lines = formatter.format(
            record("failed", exc_info=(KeyError, error, error.__traceback__))
        ).splitlines()
    assert lines[0] == "[info][upstream] failed"
    assert lines[1] == "[info][upstream] Traceback (most recent call last):"
    assert lines[-1] == "[info][upstream] KeyError: 'x'"
    assert all(line.startswith("[info][upstream] ") for line in lines)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%Y-%m-%d", "2026-01-02"),
        ("%e", "678"),
        ("%f", "678000"),
        ("%F", "678000000"),
        ("%l/%L", "info/I"),
        ("%n", "upstream"),
        ("%v", 'say "hi"'),
        ("%j", 'say \\"hi\\"'),
        ("%P", "31"),
        ("%g:%#", "/src/pool.py:42"),
        ("%s", "pool.py"),
        ("%@", "/src/pool.py:42"),
        ("%%", "%"),
        ("%-8l|", "info    |"),
        ("%8l|", "    info|"),
        ("%=8l|", "  info  |"),
        ("%q", "%q"),
        ("%^%l%$", "info"),
        ("plain", "plain"),
        ("%T", "MM:SS"),
        ("100%", "100%"),
    ],
)
def test_spdlog_patterns(pattern: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = PatternFormatter(pattern).format(record('say "hi"'))
    if expected == "MM:SS":
        assert re.fullmatch(r"\d\d:04:05\n|\d\d:\d\d:05\n", line)
    else:
        assert line == expected + "\n"


def test_json_has_one_object_a_line_with_the_ids_as_fields() -> None:
    line = JsonLogFormatter().format(record("[C17→C18] closed\nby %s", "peer"))
    assert line.count("\n") == 1
    fields = json.loads(line)
    assert re.fullmatch(r"2026-01-0\dT\d\d:\d\d:05\.678[+-]\d{4}", fields.pop("time"))
    assert fields == {
        "pid": 31,
        "level": "info",
        "component": "upstream",
        "connection_id": 17,
        "upstream_connection_id": 18,
        "message": "closed\nby peer",
    }


def test_json_without_a_connection_and_with_a_traceback() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        line = JsonLogFormatter().format(record("failed", exc_info=(KeyError, error, error.__traceback__)))
    assert line.count("\n") == 1
    fields = json.loads(line)
    assert "connection_id" not in fields
    assert fields["traceback"].endswith("KeyError: 'x'")


def test_the_format_option_chooses() -> None:
    assert isinstance(record_formatter("json", False), JsonLogFormatter)
    assert record_formatter("", False).format(record("m")).endswith("][31][info][upstream] m\n")


def test_colour_only_on_a_terminal_and_not_with_no_color(
    open_log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, plain = Terminal(), io.StringIO()
    log = ProcessLog(stream=terminal, format="%l")
    component_logger("main").error("x")
    log.close()
    open_log(stream=plain, format="%l")
    component_logger("main").error("x")
    assert (terminal.getvalue(), plain.getvalue()) == ("\x1b[31merror\x1b[0m\n", "error\n")
    monkeypatch.setenv("NO_COLOR", "1")
    quiet = Terminal()
    open_log(stream=quiet, format="%l")
    component_logger("main").error("x")
    assert quiet.getvalue() == "error\n"


def test_a_log_file_is_appended_to_and_reopened(open_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    log = open_log(path=str(path), format="%v")
    component_logger("main").info("one →")
    path.rename(tmp_path / "log.1")
    log.reopen()
    component_logger("main").info("two")
    assert (tmp_path / "log.1").read_text(encoding="utf-8") == "old\none →\n"
    assert path.read_text() == "two\n"


def test_a_failed_reopen_keeps_the_old_file_and_says_so(open_log: Any, tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    log = open_log(path=str(directory / "log"), format="%v")
    directory.rename(tmp_path / "moved")
    log.reopen()
    assert "can't reopen: No such file or directory" in (tmp_path / "moved" / "log").read_text()


def test_a_log_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        ProcessLog(path=str(tmp_path / "no" / "log"))
    assert not logging.getLogger("proxy_core").handlers


def test_a_broken_stream_stops_nobody(open_log: Any) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    log = open_log(stream=Broken())
    component_logger("main").error("x")
    log.flush()
    assert log.levels()["main"] == "info"
