"""What is decided once per listener or cluster and shared by all of its connections."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, NamedTuple

from ..observe.stats import Counter

DEFAULT_BUFFER_LIMIT = 1 << 20

# One read per wake-up, 64 KiB at most. Above 128 KiB glibc maps and unmaps memory for every call (+20 us on small
# messages); below, bulk transfer pays more system calls.
READ_SIZE = 65536
# Once a read came back full, larger ones pay for themselves: a third less CPU per gigabyte.
BULK_READ_SIZE = 262144


class Stall(NamedTuple):
    """Something is stopped with nothing left that could wake it.

    filter: the name of the filter that stopped it. since: when, on the reactor's clock. kept: bytes that are kept back.
    more_may_come: more bytes could come, but do not. request: the line of the HTTP request that is stopped, "" where a whole
    connection is.
    """

    filter: str
    since: float
    kept: int
    more_may_come: bool
    request: str = ""


def _nobody_listens(connection: Any, stall: Stall) -> None:
    """The default `on_stall`."""


@dataclasses.dataclass
class ConnectionSettings:
    """Limits of a connection. Times in seconds; 0 switches a bound off.

    buffer_limit: high watermark of each buffer, bytes (`per_connection_buffer_limit_bytes`); the low one is half of it.
    high_watermark_timeout: a write buffer above its high watermark for this long ends the connection
        (`per_connection_buffer_high_watermark_timeout`).
    The rest is ours, set through runtime keys (see `server.runtime`):
    half_closed_timeout: silence on a connection of which one direction has ended.
    flush_timeout: no progress while the last bytes before a close wait for a peer that does not read.
    paused_timeout: silence on a connection whose reading is paused.
    linger_timeout: how long a closed connection takes and drops input so that its last reply is not destroyed by a RST.
    delayed_close_timeout: how long FlushWriteAndDelay waits for the peer; set by the HTTP connection manager.
    on_stall: told (connection, stall) when a chain, or one HTTP request, is parked with nothing left to wake it.
    """

    buffer_limit: int = DEFAULT_BUFFER_LIMIT
    high_watermark_timeout: float = 0.0
    half_closed_timeout: float = 300.0
    flush_timeout: float = 60.0
    paused_timeout: float = 3600.0
    linger_timeout: float = 5.0
    delayed_close_timeout: float = 0.0
    on_stall: Callable[[Any, Stall], None] = _nobody_listens

    def __post_init__(self) -> None:
        limit = self.buffer_limit or BULK_READ_SIZE
        self.low_watermark = self.buffer_limit // 2
        self.read_size = min(limit, READ_SIZE)
        self.bulk_read_size = min(limit, BULK_READ_SIZE)


class FlowCounters:
    """How often reading was paused and resumed because the other side takes no more."""

    __slots__ = ("paused", "resumed")

    def __init__(self, paused: Counter, resumed: Counter) -> None:
        self.paused = paused
        self.resumed = resumed


class ByteCounters:
    """Where a connection counts its bytes. Slots, because the read and flush paths add to them directly."""

    __slots__ = ("rx_total", "tx_total")

    def __init__(self, rx_total: Counter, tx_total: Counter) -> None:
        self.rx_total = rx_total
        self.tx_total = tx_total
