"""/connections: every open connection, where it is and what it waits for. Ours; Envoy has no such thing.

A downstream connection and its upstream one name each other as `peer_id`.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..network.connection import Connection
from ..network.facts import local_address_text
from .api import Request, Response, choice_of, json_reply, text
from .host import AdminHost


def connections(host: AdminHost, request: Request) -> Response:
    """GET /connections: text, one line each, or JSON with `format=json`. Times in seconds, sizes in bytes."""
    now = host.reactor.now
    found = [describe(connection, now) for connection in host.table.live()]
    if choice_of(request.query, "format", "json") is not None:
        return json_reply({"connections": found})
    return text("".join(_line(one) + "\n" for one in found) or "no connections\n")


def describe(connection: Connection, now: float) -> Dict[str, Any]:
    """The facts of one connection, as they are printed in JSON."""
    side = "downstream" if connection.id == connection.info.connection_id else "upstream"
    chain, limit = connection.read_chain, connection.settings.buffer_limit
    reason = connection.close_reason
    return {
        "id": connection.id,
        "side": side,
        **_place(connection, side),
        "peer_id": _peer(connection, side),
        "remote_address": _text(connection.remote_address),
        "local_address": local_address_text(connection) or None,
        "read_state": connection.read_state.value,
        "write_state": connection.write_state.value,
        "age_s": _seconds(now - connection.opened_at),
        "last_read_s": _seconds(now - connection.last_read),
        "last_write_s": _seconds(now - connection.last_write),
        "bytes_in": connection.bytes_read,
        "bytes_out": connection.bytes_sent,
        "read_buffer": {"bytes": connection.read_buffer.size, "limit": limit},
        "write_buffer": {
            "bytes": connection.write_buffer.size, "limit": limit, "above_high": connection.above_high,
        },
        "reading_paused_by": list(connection.pauses),
        "parked_by": chain.parked_by,
        "parked_s": _seconds(now - chain.parked_since) if chain.parked_by else None,
        "filters": [slot.name for slot in chain.filters()],
        "closing": str(reason) if reason is not None else None,
    }


def _place(connection: Connection, side: str) -> Dict[str, Any]:
    info = connection.info
    if side == "downstream":
        return {"listener": info.listener_name, "filter_chain": info.filter_chain_name}
    upstream = info.upstream
    return {
        "cluster": upstream.cluster_raw or upstream.cluster if upstream is not None else "",
        "host": upstream.connecting_to if upstream is not None else "",
    }


def _peer(connection: Connection, side: str) -> Optional[int]:
    info = connection.info
    if side == "upstream":
        return info.connection_id
    upstream = info.upstream
    # The upstream's id stays 0, which is a downstream's, until an attempt is under way.
    return upstream.connection_id or None if upstream is not None else None


def _text(address: object) -> str:
    return "" if address is None else str(address)


def _seconds(value: float) -> float:
    return round(max(0.0, value), 3)


def _line(facts: Dict[str, Any]) -> str:
    """The same on one line; what does not apply is left out."""
    here = facts["listener"] if facts["side"] == "downstream" else facts["cluster"]
    parts = [
        f"[C{facts['id']}] {facts['side']} {here or '-'}",
        f"{facts['local_address'] or '-'} <-> {facts['remote_address'] or '-'}",
        f"read={facts['read_state']} write={facts['write_state']} age={facts['age_s']:.1f}s "
        f"last_read={facts['last_read_s']:.1f}s last_write={facts['last_write_s']:.1f}s",
        f"in={facts['bytes_in']} out={facts['bytes_out']}",
        "buffered={read_buffer[bytes]}/{write_buffer[bytes]} of {read_buffer[limit]}".format_map(facts),
    ]
    if facts["peer_id"] is not None:
        parts.append(f"peer=C{facts['peer_id']}")
    if facts["filters"]:
        parts.append("filters=" + ",".join(facts["filters"]))
    if facts["reading_paused_by"]:
        parts.append("paused by " + ", ".join(facts["reading_paused_by"]))
    if facts["parked_by"]:
        parts.append(f"parked by {facts['parked_by']} for {facts['parked_s']:.1f}s")
    if facts["closing"]:
        parts.append(f"closing: {facts['closing']}")
    return " ".join(parts)
