"""The access logs of a session: at the end always, and at its start, on connecting and periodically where configured."""

from __future__ import annotations

from typing import Any, Final, Sequence

from ....network.connection import Connection
from ....network.facts import refresh_stream_info

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

    def write(self, log_type: str) -> None:
        """One line of `log_type`."""
        if not self._loggers:
            return
        info = self._downstream.info
        refresh_stream_info(self._downstream)
        for logger in self._loggers:
            logger.log(info, log_type)
