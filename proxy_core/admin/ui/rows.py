"""One pair of connections as the page draws it: client, filters, host, and the four buffers between them.

The facts are those of `connection_rows.row`; here they are made small, because forty of them go out twice a
second. `streams` are the HTTP requests of the client's connection.
"""

from __future__ import annotations

from typing import Any, Dict, Final

from ...network.connection import Connection
from ...observe.reasons import ClosedConnection
from ..connection_rows import closed_row, row
from .survey import Pair

# Of `connection_streams.stream_row`, what the page shows.
STREAM_FACTS: Final = (
    "method", "path", "state", "age_s", "bytes_in", "bytes_out", "response_code", "route", "cluster", "host", "upstream_id",
    "flags", "filters", "parked_by", "parked_direction", "parked_s", "stalled",
)


def pair_row(pair: Pair, now: float, seconds: float) -> Dict[str, Any]:
    """seconds: since the walk before, for the rates in bytes a second."""
    near = row(pair.near, now)
    listener, chain, cluster, host = pair.place
    return {
        "id": pair.near.id,
        "state": pair.state,
        "states": near["states"],
        "client": near["remote_address"],
        "listener": listener,
        "chain": chain,
        "cluster": cluster,
        "host": host,
        "filters": near["filters"],
        "parked_by": near["parked_by"],
        "parked_s": near["parked_s"],
        "age_s": near["age_s"],
        "closing": near["closing"],
        "in_rate": round(pair.received / seconds),
        "out_rate": round(pair.sent / seconds),
        "near": _end(near),
        "far": _end(row(pair.far, now)) if pair.far is not None else None,
        "streams": [_stream(one) for one in near["streams"]],
    }


def _stream(facts: Dict[str, Any]) -> Dict[str, Any]:
    """A request; `filters` and `parked_by` are those of HTTP."""
    return {name: facts[name] for name in STREAM_FACTS}


def _end(facts: Dict[str, Any]) -> Dict[str, Any]:
    """One of the two connections. Its reading is what `paused` is about."""
    read, write = facts["read_buffer"], facts["write_buffer"]
    return {
        "id": facts["id"],
        "read": [read["bytes"], read["limit"]],
        "write": [write["bytes"], write["limit"], write["above_high"]],
        "paused": facts["reading_paused_by"],
        "paused_s": facts["paused_s"],
        "reads": facts["read_state"],
        "writes": facts["write_state"],
        "quiet_s": min(facts["last_read_s"], facts["last_write_s"]),
    }


def ended_row(one: ClosedConnection, now: float) -> Dict[str, Any]:
    """One that is over."""
    facts = closed_row(one, now)
    return {name: facts[name] for name in ("id", "listener", "cluster", "closed_s", "closed_how", "reason")}


def is_open(connection: Connection) -> bool:
    """Whether there is still something to draw: it may have ended since the walk came by."""
    return connection.fd >= 0
