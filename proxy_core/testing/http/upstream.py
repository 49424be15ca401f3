"""The terminal filter in a test's hand: it stands where the router would."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from ...buffer import Buffer
from ...http.events import RequestHead, ResponseHead
from ...http.filter_api import STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter
from ...http.headers import Headers
from .client import Pairs, as_headers


class Answer(NamedTuple):
    """A response that is sent as soon as the request is complete. pieces: its body, one piece a call."""

    status: int = 200
    headers: Tuple[Tuple[str, str], ...] = ()
    pieces: Tuple[bytes, ...] = ()
    trailers: Tuple[Tuple[str, str], ...] = ()


class Upstream(HttpFilter):
    """One request, as it came past the filters. ends: how often its end was told; 1 is right.

    head: as it came; body, trailers. pressure: "high" and "low", when the client read too slowly and when it had caught up.
    cancelled: the stream ended before the response did.
    """

    def __init__(self, answer: Optional[Answer]) -> None:
        """answer: None to answer by hand, with `respond` and what follows."""
        self.head: Optional[RequestHead] = None
        self.pieces: List[bytes] = []
        self.trailers: Optional[Headers] = None
        self.ends = 0
        self.pressure: List[str] = []
        self.responded = False
        self.cancelled = False
        self._answer = answer

    @property
    def body(self) -> bytes:
        """What came of it."""
        return b"".join(self.pieces)

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        self.head = head
        self.decoder.add_downstream_watermark_callbacks(self)
        self._ended(end_stream)
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if data.size:
            self.pieces.append(data.take())
        self._ended(end_stream)
        return STOP_NO_BUFFER

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        self.trailers = trailers
        self._ended(True)
        return STOP_ITERATION

    def _ended(self, end_stream: bool) -> None:
        self.ends += end_stream
        if end_stream and self._answer is not None:
            answer, self._answer = self._answer, None
            self.respond(answer.status, answer.headers, end=not answer.pieces and not answer.trailers)
            for number, piece in enumerate(answer.pieces, 1):
                self.send(piece, number == len(answer.pieces) and not answer.trailers)
            if answer.trailers:
                self.send_trailers(answer.trailers)

    # -- what the test does ----------------------------------------------------------------------------------------

    def respond(self, status: int = 200, headers: Pairs = (), body: bytes = b"", end: bool = True) -> None:
        """Send a response, or with end=False the beginning of one."""
        self.responded = end
        self.decoder.encode_headers(ResponseHead(status, headers=as_headers(headers)), end and not body, "via_upstream")
        if body:
            self.send(body, end)

    def send(self, data: bytes, end: bool = False) -> None:
        """More of its body."""
        self.responded = end
        self.decoder.encode_data(Buffer(data), end)

    def send_trailers(self, trailers: Pairs) -> None:
        """Its end, with trailers."""
        self.responded = True
        self.decoder.encode_trailers(as_headers(trailers))

    # -- what it is told -------------------------------------------------------------------------------------------

    def on_above_write_buffer_high_watermark(self) -> None:
        """The client, or a filter on the way back, wants less."""
        self.pressure.append("high")

    def on_below_write_buffer_low_watermark(self) -> None:
        """It has caught up."""
        self.pressure.append("low")

    def on_destroy(self) -> None:
        self.cancelled = not self.responded
