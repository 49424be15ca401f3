"""One configured access log: filter, format, sink.

`log` is called at the moments that a log type names (connection started, upstream connected, at an
interval, ended).
"""

from __future__ import annotations

from typing import Callable, Optional

from ..stream_info import StreamInfo
from .format import Formatter
from .sink import Sink
from .values import LogContext

Filter = Callable[[StreamInfo, LogContext], bool]


class AccessLog:
    """Writes one line per moment.

    wall: gives seconds since the epoch. mono: gives the reactor's seconds.
    filter: decides if a line is written; None means always.
    """

    __slots__ = ("_filter", "_formatter", "_sink", "_wall", "_mono")

    def __init__(
        self, formatter: Formatter, sink: Sink, wall: Callable[[], float], mono: Callable[[], float],
        filter: Optional[Filter] = None,
    ) -> None:
        self._formatter = formatter
        self._sink = sink
        self._wall = wall
        self._mono = mono
        self._filter = filter

    def log(self, info: StreamInfo, log_type: str) -> None:
        """Write the line of this moment, unless the filter says no. Brings the byte counts up to date first.

        log_type: "NotSet", "TcpConnectionStart", "TcpPeriodic" ... as in AccessLogType of Envoy.
        """
        if info.refresh is not None:
            info.refresh()
        context = LogContext(log_type, self._wall(), self._mono())
        if self._filter is None or self._filter(info, context):
            self._sink.write(self._formatter.format(info, context))
