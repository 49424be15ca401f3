"""The state of every connection as text: what SIGQUIT prints."""

from __future__ import annotations

from ..network.connection import Connection
from ..network.facts import local_address_text
from ..network.table import ConnectionTable
from ..observe.log import conn_tag


def describe_connections(table: ConnectionTable, now: float) -> str:
    """One line per connection, oldest first, with a headline."""
    live = table.live()
    lines = [f"{len(live)} connections"]
    lines += [describe(connection, now) for connection in live]
    return "\n".join(lines) + "\n"


def describe(connection: Connection, now: float) -> str:
    """Where a connection is and what it waits for, on one line."""
    parts = [
        conn_tag(connection.id),
        f"{_text(connection.remote_address)} -> {local_address_text(connection)}",
        f"read={connection.read_state.value} write={connection.write_state.value}",
        f"age={now - connection.opened_at:.1f}s last_read={now - connection.last_read:.1f}s "
        f"last_write={now - connection.last_write:.1f}s",
        f"in={connection.bytes_read} out={connection.bytes_sent}",
        f"buffered={connection.read_buffer.size}/{connection.write_buffer.size}",
    ]
    if connection.pauses:
        parts.append("paused by " + ", ".join(connection.pauses))
    if connection.read_chain.parked_by:
        since = now - connection.read_chain.parked_since
        parts.append(f"parked by {connection.read_chain.parked_by} for {since:.1f}s")
    return " ".join(parts)


def _text(address: object) -> str:
    return "-" if address is None else str(address) or "(unnamed)"
