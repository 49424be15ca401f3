"""The access logs of a session: at the end always, and at its start, on connecting and periodically where configured."""

from __future__ import annotations

from typing import Any, Final, Optional, Sequence

from ....network.connection import Connection
from ....network.facts import refresh_stream_info
from ....observe.stream_info import UpstreamInfo

START_LINE: Final = "TcpConnectionStart"
CONNECTED_LINE: Final = "TcpUpstreamConnected"
PERIODIC_LINE: Final = "TcpPeriodic"
END_LINE: Final = "TcpConnectionEnd"


class SessionLog:
    """Writes lines about one session to all loggers of its filter chain."""

    __slots__ = ("_loggers", "_downstream")

    def __init__(self, loggers: Sequence[Any], downstream: Connection) -> None:
        self._loggers = loggers
        self._downstream = downstream

    def write(self, log_type: str, upstream: Optional[Connection], upstream_info: Optional[UpstreamInfo]) -> None:
        """One line of `log_type`."""
        if not self._loggers:
            return
        info = self._downstream.info
        refresh_stream_info(self._downstream)
        if upstream is not None and upstream_info is not None:
            upstream_info.wire_bytes_sent = upstream.bytes_sent
            upstream_info.wire_bytes_received = upstream.bytes_read
        for logger in self._loggers:
            logger.log(info, log_type)
