"""Header values, hosts and paths with command operators such as `%DOWNSTREAM_REMOTE_ADDRESS%`, compiled once.

The operators are those of access logs. Nothing that they yield can break the header it becomes part of.
"""

from __future__ import annotations

from typing import Callable, Optional

from ...observe.access_log.format import FormatCompiler
from ...observe.access_log.values import LogContext, Value, as_text
from ...observe.stream_info import StreamInfo
from .text import header_value, wire

Format = Callable[[StreamInfo], str]


class Formats:
    """Compiles formats. now: the clock of `StreamInfo.start_mono`, in seconds."""

    def __init__(self, now: Callable[[], float], compiler: Optional[FormatCompiler] = None) -> None:
        self.compiler = compiler if compiler is not None else FormatCompiler()
        self._now = now

    def constant(self, pattern: str) -> Optional[str]:
        """What a format without operators always prints; None for one with operators. Raises as `compile` does."""
        parts = self.compiler.parts(pattern)
        if not parts:
            return ""
        only = parts[0]
        return wire(only) if len(parts) == 1 and isinstance(only, str) else None

    def compile(self, pattern: str, empty: str = "") -> Format:
        """The value of a format. empty: what stands for what is not known; "" in headers, "-" in paths and hosts.

        Raises ValueError with Envoy's sentence for a format that can't be used.
        """
        constant = self.constant(pattern)
        if constant is not None:
            fixed = constant
            return lambda info: fixed
        parts = [wire(part) if isinstance(part, str) else part for part in self.compiler.parts(pattern)]

        def render(info: StreamInfo) -> str:
            context = self.moment(info)
            return "".join([
                part if isinstance(part, str) else header_value(_plain(part(info, context), empty)) for part in parts
            ])
        return render

    def moment(self, info: StreamInfo) -> LogContext:
        """Now, as formats need it."""
        now = self._now()
        return LogContext("NotSet", info.start_wall + (now - info.start_mono), now)


def _plain(value: Value, empty: str) -> str:
    """A string is taken as it is, and cleaned later; everything else as in logs."""
    return value if type(value) is str else as_text(value, empty)
