"""The read filter of a connection that no session has yet: keeps what the host says, and minds when it ends."""

from __future__ import annotations

from typing import Final

from ..buffer import Buffer
from ..filters.api import CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ..network.close import CloseReason
from ..network.closing import BoundedHolder
from ..network.connection import Connection

# More than a greeting: the rest may wait in the kernel, where the host notices that nobody reads.
MOST_KEPT: Final = 16384
_HOLDER: Final = BoundedHolder("no session has this connection yet")  # the pool has an idle timeout


class Unclaimed:
    """See the module docstring."""

    __slots__ = ("_connection",)

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Remember whose filter it is."""
        self._connection: Connection = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """There is nobody to tell."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Bytes stay in the read buffer. A host that has said its last word is of no use to the next session."""
        connection = self._connection
        if end_stream:
            connection.close_socket(REMOTE_CLOSE, CloseReason("peer", "FIN", "before any session had this connection"))
        elif data.size >= MOST_KEPT and _HOLDER not in connection.pauses:
            connection.pause_reading(_HOLDER)
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """The pool hears of it."""

    @staticmethod
    def release(connection: Connection) -> None:
        """Some session has it now, whose filter is in this one's place: it gets what was kept."""
        if _HOLDER in connection.pauses:
            connection.resume_reading(_HOLDER)
        elif connection.read_buffer.size:
            connection.reactor.defer(connection.deliver_buffered, connection)
