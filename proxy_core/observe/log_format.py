"""How a record of the process log becomes lines: spdlog's patterns (`--log-format`) and JSON.

No record ever breaks out of its line: control characters are escaped. In text, each line of a traceback
carries the full prefix of its record; in JSON the traceback is one field.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from typing import Callable, Dict, List, Optional, Tuple, Union

from .escape import json_line, one_line
from .log_levels import level_name

DEFAULT_PATTERN = "[%Y-%m-%d %T.%e][%P][%l][%n] %v"
JSON_PATTERN = "json"

_FLAG = re.compile(r"%(?P<align>[-=]?)(?P<width>\d{0,3})(?P<flag>[A-Za-z%+#@^$!_])")
_CONNECTION = re.compile(r"\[C(?P<id>\d+)(?:→C(?P<peer>\d+))?\] ?")
_COLOURS = {
    "trace": "\x1b[37m", "debug": "\x1b[36m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}

Piece = Callable[[logging.LogRecord, str], str]  # (record, message) -> text


class PatternFormatter:
    """A compiled spdlog pattern.

    pattern: `%Y-%m-%d %T.%e` time, `%l %L` level, `%n` component, `%v` message, `%P` process, `%t` thread,
    `%g %s %#` source path, file and line; `%j` message escaped for JSON; `%^ %$` begin and end the colour;
    widths as in `%-8l`. Other flags stay as written.
    colour: paint the level (or what stands between %^ and %$).
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN, colour: bool = False) -> None:
        if colour and "%^" not in pattern:
            pattern = pattern.replace("%l", "%^%l%$")
        self._colour = colour
        self._pieces = self._compile(pattern.replace("%+", "[%Y-%m-%d %T.%e] [%n] [%^%l%$] %v"))

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record, each with its line end."""
        messages = [message_of(record)] + traceback_of(record)
        return "".join(self._line(record, message) + "\n" for message in messages)

    def _line(self, record: logging.LogRecord, message: str) -> str:
        return "".join([
            piece if isinstance(piece, str) else piece(record, message) for piece in self._pieces
        ])

    def _compile(self, pattern: str) -> List[Union[str, Piece]]:
        pieces: List[Union[str, Piece]] = []
        end = 0
        for flag in _FLAG.finditer(pattern):
            pieces.append(pattern[end:flag.start()])
            pieces.append(self._piece(flag))
            end = flag.end()
        return pieces + [pattern[end:]]

    def _piece(self, flag: "re.Match[str]") -> Union[str, Piece]:
        name = flag.group("flag")
        if name == "^":
            return _begin_colour if self._colour else ""
        if name == "$":
            return "\x1b[0m" if self._colour else ""
        piece = _FLAGS.get(name)
        if piece is None:
            return "%" if name == "%" else flag.group()
        width = int(flag.group("width") or 0)
        return _aligned(piece, flag.group("align"), width) if width else piece


class JsonLogFormatter:
    """One JSON object a line.

    Fields: time, pid, level, component, connection_id and upstream_connection_id if known, message,
    traceback if there is one. The ids are taken out of the message's "[C17→C18] " prefix.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record with its line end."""
        message = record.getMessage()
        fields: Dict[str, Union[str, int]] = {
            "time": f"{_SECOND(record, '')}.{_millis(record)}{_ZONE(record, '')}",
            "pid": record.process or os.getpid(),
            "level": level_name(record.levelno),
            "component": _component(record),
        }
        connection = _CONNECTION.match(message)
        if connection:
            message = message[connection.end():]
            fields["connection_id"] = int(connection.group("id"))
            if connection.group("peer"):
                fields["upstream_connection_id"] = int(connection.group("peer"))
        fields["message"] = message
        trace = _traceback_text(record)
        if trace:
            fields["traceback"] = trace
        return json_line(fields) + "\n"


RecordFormatter = Union[PatternFormatter, JsonLogFormatter]


def record_formatter(pattern: str, colour: bool) -> RecordFormatter:
    """The formatter of a --log-format value: "json", "" for the default, or a pattern."""
    if pattern == JSON_PATTERN:
        return JsonLogFormatter()
    return PatternFormatter(pattern or DEFAULT_PATTERN, colour)


def message_of(record: logging.LogRecord) -> str:
    """The message on one line."""
    return one_line(record.getMessage())


def traceback_of(record: logging.LogRecord) -> List[str]:
    """The lines of the record's traceback, none if it has none."""
    return [one_line(line) for line in _traceback_text(record).splitlines() if line.strip()]


def conn_tag(connection_id: int, peer_id: Optional[int] = None) -> str:
    """"[C17]" or, with the id of the paired upstream connection, "[C17→C18]"."""
    return f"[C{connection_id}]" if peer_id is None else f"[C{connection_id}→C{peer_id}]"


def _traceback_text(record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    return logging.Formatter().formatException(record.exc_info)


def _component(record: logging.LogRecord) -> str:
    return record.name.rpartition(".")[2]


def _millis(record: logging.LogRecord) -> str:
    return f"{int(record.created * 1000) % 1000:03d}"


def _strftime(pattern: str) -> Piece:
    return lambda record, message: time.strftime(pattern, time.localtime(record.created))


def _begin_colour(record: logging.LogRecord, message: str) -> str:
    return _COLOURS.get(level_name(record.levelno), "")


def _aligned(piece: Piece, align: str, width: int) -> Piece:
    fill = {"-": str.ljust, "=": str.center, "": str.rjust}[align]
    return lambda record, message: fill(piece(record, message), width)


def _flags() -> Dict[str, Piece]:
    names: Tuple[str, ...] = ("Y", "m", "d", "H", "M", "S", "T", "D", "y", "z", "a", "A", "b", "B", "p", "I")
    table = {name: _strftime(f"%{name}") for name in names}
    table["D"] = _strftime("%m/%d/%y")
    table["e"] = lambda record, message: _millis(record)
    table["f"] = lambda record, message: f"{int(record.created * 1_000_000) % 1_000_000:06d}"
    table["F"] = lambda record, message: f"{int(record.created * 1_000_000) % 1_000_000 * 1000:09d}"
    table["E"] = lambda record, message: str(int(record.created))
    table["l"] = lambda record, message: level_name(record.levelno)
    table["L"] = lambda record, message: level_name(record.levelno)[0].upper()
    table["n"] = lambda record, message: _component(record)
    table["v"] = table["_"] = lambda record, message: message
    table["j"] = lambda record, message: json.dumps(message, ensure_ascii=False)[1:-1]
    table["P"] = lambda record, message: str(record.process)
    table["t"] = lambda record, message: str(record.thread)
    table["g"] = lambda record, message: record.pathname
    table["s"] = lambda record, message: record.filename
    table["#"] = lambda record, message: str(record.lineno)
    table["!"] = lambda record, message: record.funcName or ""
    table["@"] = lambda record, message: f"{record.pathname}:{record.lineno}"
    return table


_FLAGS = _flags()
_SECOND = _strftime("%Y-%m-%dT%H:%M:%S")
_ZONE = _strftime("%z")
