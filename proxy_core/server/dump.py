"""The state of every connection as text: what SIGQUIT prints. The lines are those of /connections."""

from __future__ import annotations

from ..admin.connection_page import line
from ..admin.connection_rows import row
from ..network.table import ConnectionTable


def describe_connections(table: ConnectionTable, now: float) -> str:
    """One line per connection, oldest first, with a headline."""
    live = table.live()
    return "\n".join([f"{len(live)} connections", *(line(row(connection, now)) for connection in live)]) + "\n"
