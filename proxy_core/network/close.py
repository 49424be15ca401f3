"""How a connection is closed, and the record of why. Close types are Envoy's, plus one of ours.

A closed connection has exactly one reason: the first one given. Later calls of `close` on the way down do not replace it.
"""

from __future__ import annotations

import enum
from typing import Final


class CloseType(enum.Enum):
    """What happens to bytes that are queued for sending when `Connection.close` is called."""

    FLUSH_WRITE = "FlushWrite"  # send them, then close
    NO_FLUSH = "NoFlush"  # offer them to the kernel once, drop the rest, close now
    FLUSH_WRITE_AND_DELAY = "FlushWriteAndDelay"  # send them, then wait for the peer or the delayed-close timer
    ABORT = "Abort"  # drop them, close now, do not try to write a TLS goodbye either
    ABORT_RESET = "AbortReset"  # drop them and send RST
    # Ours: send what is queued, then RST. Envoy's AbortReset loses a reply that the upstream sent before it reset.
    FLUSH_WRITE_AND_RESET = "FlushWriteAndReset"


FLUSH_WRITE: Final = CloseType.FLUSH_WRITE
NO_FLUSH: Final = CloseType.NO_FLUSH
FLUSH_WRITE_AND_DELAY: Final = CloseType.FLUSH_WRITE_AND_DELAY
ABORT: Final = CloseType.ABORT
ABORT_RESET: Final = CloseType.ABORT_RESET
FLUSH_WRITE_AND_RESET: Final = CloseType.FLUSH_WRITE_AND_RESET


class CloseReason:
    """Who ended a connection, how, and why.

    by: "peer" or "local". how: "FIN", "RST", "timeout", "policy", "error", "drain", "shutdown".
    detail: Envoy's detail string where it has one ("tcp_session_idle_timeout"), else a short sentence.
    config: the configured value behind it ("idle_timeout 1h, default"), or "".
    """

    __slots__ = ("by", "how", "detail", "config")

    def __init__(self, by: str, how: str, detail: str = "", config: str = "") -> None:
        self.by = by
        self.how = how
        self.detail = detail
        self.config = config

    def __str__(self) -> str:
        text = f"{self.by} {self.how}"
        if self.detail:
            text += f": {self.detail}"
        return f"{text} ({self.config})" if self.config else text

    def __repr__(self) -> str:
        return f"CloseReason({self})"
