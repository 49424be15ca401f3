"""A reply that is written as things happen: one viewer's `api.Sink`, between an endpoint's stream and the codec.

Place in the data's way: the endpoint -> `StreamedReply.write` -> codec (chunks) -> the connection's write buffer.
Envoy's nearest thing is the admin's `/tap`.

    begin -> (write)* -> end                    the endpoint has said all; the connection takes the next request
    begin -> (write)* -> viewer_left            the client is gone, or has ended its side

A client that ends its side leaves, although it could still read: browsers and curl go that way, and a stream
without an end should not have to write in order to find out.
"""

from __future__ import annotations

from typing import Callable, Optional

from ..buffer import Buffer
from ..http.codec import ServerCodec
from ..http.events import ResponseHead
from ..network.connection import Connection
from .api import Stream


class StreamedReply:
    """head: as it was sent. size: bytes of the body so far. on_end: told when the endpoint has said all."""

    __slots__ = ("head", "size", "_connection", "_codec", "_on_end", "_stop", "_is_over")

    def __init__(
        self, connection: Connection, codec: ServerCodec, head: ResponseHead, on_end: Callable[[], None]
    ) -> None:
        self.head = head
        self.size = 0
        self._connection = connection
        self._codec = codec
        self._on_end = on_end
        self._stop: Optional[Callable[[], None]] = None
        self._is_over = False

    def begin(self, stream: Stream) -> None:
        """The head is out."""
        stop = stream(self)
        if self._is_over:  # it had said all before it returned
            stop()
        else:
            self._stop = stop

    @property
    def waiting(self) -> int:
        """See `api.Sink`."""
        return self._connection.write_buffer.size

    @property
    def is_full(self) -> bool:
        """See `api.Sink`."""
        return self._connection.above_high

    def write(self, data: bytes) -> None:
        """See `api.Sink`. No data is no chunk: an empty one would be the last."""
        if data and not self._is_over:
            self.size += len(data)
            self._connection.write(Buffer(self._codec.send_data(data)), False)

    def end(self) -> None:
        """See `api.Sink`."""
        if not self._is_over:
            self._connection.write(Buffer(self._codec.send_end()), False)
            self.viewer_left()
            self._on_end()

    def viewer_left(self) -> None:
        """Nothing is to be written any more."""
        self._is_over = True
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
