"""The way of a response through the filters, and behind the last of them to the codec. See `iteration` and `response`.

What is kept of a body is bounded by `limit`: a filter that buffers has the response replaced by a 500 over it, or broken off if
its head is out; one that streams has the producer told to wait.
"""

from __future__ import annotations

from typing import Any, Final

from ...buffer import Buffer
from ..headers import Headers
from .iteration import Iteration
from .response import send_data, send_head, send_trailers

TOO_LARGE: Final = "response_payload_too_large"


class Encode(Iteration):
    """Towards the client."""

    __slots__ = ()


    def head_passed(self, end_stream: bool) -> None:
        """To the codec."""
        send_head(self._stream, end_stream)

    def data_passed(self, data: Buffer, end_stream: bool) -> None:
        """To the codec."""
        send_data(self._stream, data, end_stream)

    def trailers_passed(self, trailers: Headers) -> None:
        """To the codec."""
        send_trailers(self._stream, trailers)

    def over_limit(self, streaming: bool) -> None:
        """500, the end in the middle, or a word to the producer."""
        stream = self._stream
        if streaming:
            stream.tell_above_high()
            return
        stream.manager.stats.rs_too_large.inc()
        stream.send_local_reply(500, b"Internal Server Error", TOO_LARGE)

    def below_limit(self) -> None:
        """The producer may go on."""
        self._stream.tell_below_low()
