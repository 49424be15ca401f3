"""One connection as one row: the facts that the list, the live page and `top` show. JSON-ready; times in seconds, sizes in bytes.

Each row is made when it is asked for, from what the connection keeps anyway.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional, Tuple

from ..http.connection_manager.stall import parked
from ..network.connection import Connection
from ..network.facts import local_address_text
from ..network.states import CLOSED as OVER
from ..network.states import CONNECTING, ENDED, FLUSHING, LINGERING
from ..observe.reasons import ClosedConnection, ending_text
from .connection_streams import active_stream, is_stalled, parked_stream, stream_rows

CLOSED: Final = "closed"
STALLED: Final = "stalled"
ABOVE_HIGH: Final = "above_high"
HALF_CLOSED: Final = "half_closed"
# What can be asked for; a live connection may be several of these at once. The most telling first.
STATES: Final = (
    "connecting", "flushing", "lingering", STALLED, "parked", ABOVE_HIGH, "paused", HALF_CLOSED, "open", CLOSED,
)


def states_of(connection: Connection) -> List[str]:
    """All of STATES that a live connection is in, the most telling first."""
    chain, read, write = connection.read_chain, connection.read_state, connection.write_state
    if write is OVER:
        return [CLOSED]  # it leaves the table at the end of this turn
    stream = active_stream(connection)
    held = parked(stream) if stream is not None else None
    is_parked = bool(chain.parked_by) or held is not None
    has_stalled = chain.stalled if chain.parked_by else stream is not None and is_stalled(stream)
    found = (
        ("connecting", write is CONNECTING),
        ("flushing", write is FLUSHING or not connection.is_open and write is not LINGERING),
        ("lingering", write is LINGERING),
        (STALLED, is_parked and has_stalled),
        ("parked", is_parked),
        (ABOVE_HIGH, connection.above_high),
        ("paused", bool(connection.pauses)),
        (HALF_CLOSED, (read is ENDED) is not (write is ENDED)),
    )
    return [name for name, is_so in found if is_so] or ["open"]


def side_of(connection: Connection) -> str:
    """Whether it came from a client or goes to a host."""
    return "downstream" if connection.id == connection.info.connection_id else "upstream"


def place_of(connection: Connection) -> Tuple[str, str, str, str]:
    """Listener, filter chain, cluster and host of the pair it belongs to, "" where there is none. Of an HTTP client: where its
    request goes that is under way."""
    info = connection.info
    upstream = info.upstream
    if upstream is None:
        stream = active_stream(connection)
        upstream = stream.info.upstream if stream is not None else None
    if upstream is None:
        return info.listener_name, info.filter_chain_name, "", ""
    return info.listener_name, info.filter_chain_name, upstream.cluster_raw or upstream.cluster, upstream.connecting_to


def peer_id_of(connection: Connection) -> Optional[int]:
    """The other connection of the pair, if there is one."""
    info = connection.info
    if connection.id != info.connection_id:
        return info.connection_id if info.connection_id >= 0 else None  # below 0: made before a client needs it
    # The upstream's id stays 0, which is a downstream's, until an attempt is under way.
    return info.upstream.connection_id or None if info.upstream is not None else None


def row(connection: Connection, now: float) -> Dict[str, Any]:
    """The row of a live connection. now: the reactor's clock."""
    chain, limit = connection.read_chain, connection.settings.buffer_limit
    listener, filter_chain, cluster, host = place_of(connection)
    states = states_of(connection)
    reason = connection.close_reason
    write_chain = connection.write_chain
    held = None if chain.parked_by else parked_stream(connection)
    parked_by, parked_since = (chain.parked_by, chain.parked_since) if held is None else (held.name, held.since)
    return {
        "id": connection.id,
        "side": side_of(connection),
        "state": states[0],
        "states": states,
        "listener": listener,
        "filter_chain": filter_chain,
        "cluster": cluster,
        "host": host,
        "peer_id": peer_id_of(connection),
        "remote_address": _text(connection.remote_address),
        "local_address": local_address_text(connection) or None,
        "read_state": connection.read_state.value,
        "write_state": connection.write_state.value,
        "age_s": seconds(now - connection.opened_at),
        "last_read_s": seconds(now - connection.last_read),
        "last_write_s": seconds(now - connection.last_write),
        "bytes_in": connection.bytes_read,
        "bytes_out": connection.bytes_sent,
        "read_buffer": {"bytes": connection.read_buffer.size, "limit": limit},
        "write_buffer": {
            "bytes": connection.write_buffer.size, "limit": limit, "above_high": connection.above_high,
        },
        "reading_paused_by": list(connection.pauses),
        "paused_s": seconds(now - connection.paused_at) if connection.pauses else None,
        "parked_by": parked_by,
        "parked_s": seconds(now - parked_since) if parked_by else None,
        "stalled": STALLED in states,
        "filters": [slot.name for slot in chain.slots],
        "write_filters": [slot.name for slot in write_chain.filters()] if write_chain is not None else [],
        "closing": str(reason) if reason is not None else None,
        "streams": stream_rows(connection, now),
    }


def closed_row(one: ClosedConnection, now: float) -> Dict[str, Any]:
    """The row of one that is over."""
    by, how, detail, config = _ending(one.reason)
    return {
        "id": one.id,
        "side": one.side,
        "state": CLOSED,
        "states": [CLOSED],
        "listener": one.listener,
        "filter_chain": one.filter_chain,
        "cluster": one.cluster,
        "host": one.host,
        "peer_id": one.peer_id,
        "remote_address": _text(one.remote_address),
        "local_address": _text(one.local_address) or None,
        "closed_s": seconds(now - one.closed_at),
        "duration_s": seconds(one.closed_at - one.opened_at),
        "bytes_in": one.received,
        "bytes_out": one.sent,
        "unsent_bytes": one.unsent,
        "closed_by": by,
        "closed_how": how,
        "detail": detail,
        "config": config,
        "response_flags": list(one.flags),
        "paused_by": list(one.paused_by),
        "parked_by": one.parked_by,
        "reason": ending_text(by, how, detail, config),
    }


def seconds(value: float) -> float:
    """A time for JSON."""
    return round(max(0.0, value), 3)


def _ending(reason: Any) -> Tuple[str, str, str, str]:
    if reason is None:
        return "local", "error", "no reason was recorded", ""
    return reason.by, reason.how, reason.detail, reason.config


def _text(address: object) -> str:
    return "" if address is None else str(address)
