"""The process log: stdlib `logging` under one private parent, one logger per component with Envoy's names.

A module asks `component_logger("connection")` for its logger and writes to it. Who runs the engine makes one
`ProcessLog`, which owns the handler, the levels and the file; the root logger is never touched, so an
application that embeds the package keeps its own logging. Without a `ProcessLog` the records go where the
application sends them.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Dict, Final, Optional, TextIO

from .log_format import RecordFormatter, conn_tag, record_formatter
from .log_levels import COMPONENTS, OFF, TRACE, level_name, parse_component_levels, parse_level

__all__ = [
    "DEBUG", "OFF", "TRACE", "ProcessLog", "component_logger", "conn_tag", "parse_component_levels", "parse_level",
]

# `if log.level <= DEBUG:` in front of the lines of every connection: `log.debug` takes two calls to find out that it has
# nothing to do. 1.5 % of the user time of a short connection. A logger without a level of its own (0) goes on to ask.
DEBUG: Final = logging.DEBUG

_PARENT = __name__.rpartition(".observe.")[0] or "proxy_core"


def component_logger(name: str) -> logging.Logger:
    """The logger of a component: one of `log_levels.COMPONENTS`. Use `logger.log(TRACE, ...)` below debug."""
    if name not in COMPONENTS:
        raise ValueError(f"error: invalid component specified '{name}'")
    return logging.getLogger(f"{_PARENT}.{name}")


class ProcessLog:
    """The process log of a running engine.

    level: a level name for all components. component_levels: "config:debug,http:trace", applied over it.
    format: an spdlog pattern, "json" or "" for the default. path: a file to append to instead of `stream`.
    stream: where to write without a path, standard error if None. colour: None = only on a terminal, and not
    when NO_COLOR is set.
    Raises ValueError with Envoy's sentence for a bad level or component, OSError for a file that can't be
    opened.
    """

    def __init__(
        self, level: str = "info", component_levels: str = "", format: str = "", path: str = "",
        stream: Optional[TextIO] = None, colour: Optional[bool] = None,
    ) -> None:
        base, special = parse_level(level), parse_component_levels(component_levels)
        stream = stream if stream is not None else sys.stderr
        if colour is None:
            colour = not path and stream.isatty() and not os.environ.get("NO_COLOR")
        self._handler = _Handler(record_formatter(format, colour), path, stream)
        self._parent = logging.getLogger(_PARENT)
        self._was_propagating = self._parent.propagate
        self._parent.propagate = False
        self._parent.addHandler(self._handler)
        for name in COMPONENTS:
            component_logger(name).setLevel(special.get(name, base))

    def set_level(self, component: Optional[str], level: str) -> None:
        """Set the level of one component, or of all with None. Raises ValueError as `ProcessLog` does."""
        number = parse_level(level)
        for name in COMPONENTS if component is None else (component,):
            component_logger(name).setLevel(number)

    def levels(self) -> Dict[str, str]:
        """Component -> level name, in the order that Envoy lists them."""
        return {name: level_name(component_logger(name).level) for name in COMPONENTS}

    def reopen(self) -> None:
        """Open the log file again by its path (SIGUSR1). Keeps the old one and says so when that fails."""
        try:
            self._handler.reopen()
        except OSError as error:
            log = component_logger("file")
            log.error("log file %s: can't reopen: %s", self._handler.path, error.strerror)

    def flush(self) -> None:
        self._handler.flush()

    def close(self) -> None:
        """Take the handler away again and give the loggers back as they were."""
        self._parent.removeHandler(self._handler)
        self._parent.propagate = self._was_propagating
        for name in COMPONENTS:
            component_logger(name).setLevel(logging.NOTSET)
        self._handler.close()


class _Handler(logging.Handler):
    """Writes records to a stream or to a file of its own. A log that can't be written stops nothing."""

    def __init__(self, formatter: RecordFormatter, path: str, stream: TextIO) -> None:
        super().__init__()
        self.path = path
        self.lost = 0
        self._record_formatter = formatter
        self._stream = self._open() if path else stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self._record_formatter.format(record)
        except Exception:
            self.handleError(record)  # arguments that don't fit the message: a bug, logging shows where
            return
        try:
            self._stream.write(lines)
            self._stream.flush()
        except (OSError, ValueError):  # full disk, closed terminal: there is no better place to report it
            self.lost += 1

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1

    def reopen(self) -> None:
        """Open the file again; nothing for a stream. Raises OSError."""
        if not self.path:
            return
        stream = self._open()
        self._stream.close()
        self._stream = stream

    def close(self) -> None:
        if self.path:
            self._stream.close()
        super().close()

    def _open(self) -> TextIO:
        return open(self.path, "a", encoding="utf-8", errors="backslashreplace")


class Seldom:
    """Lets one line of a kind through, then none for a while: what happens to thousands of connections must be found in the log,
    not fill it."""

    __slots__ = ("_again_after", "_due_at")

    def __init__(self, again_after: float = 60.0) -> None:
        """again_after: seconds between two lines."""
        self._again_after = again_after
        self._due_at = 0.0

    def due(self, now: float) -> bool:
        """Whether to write a line now; if so, the next is due in `again_after` seconds. now: `reactor.now`."""
        if now < self._due_at:
            return False
        self._due_at = now + self._again_after
        return True
