"""The client's end of a connection: the codec that an upstream pool uses, fed by the test."""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple, Union

from ...http.codec import ClientCodec
from ...http.events import Data, EndOfMessage, InformationalHead, RequestHead, ResponseHead, Waiting
from ...http.headers import Headers
from ...http.settings import Http1Settings

Pairs = Union[Headers, Iterable[Tuple[str, str]]]


class Response:
    """What the client has seen of one. complete: its end was there."""

    def __init__(self, head: ResponseHead) -> None:
        self.status = head.status
        self.headers = head.headers
        self.body = b""
        self.trailers: Optional[Headers] = None
        self.complete = False

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes{'' if self.complete else ', not complete'}>"


class Client:
    """Makes bytes of requests, and responses of bytes. responses: all final ones; interim: the statuses of the others."""

    def __init__(self) -> None:
        self.responses: List[Response] = []
        self.interim: List[int] = []
        self._codec = ClientCodec(Http1Settings(enable_trailers=True, allow_custom_methods=True))
        self._chunked = False

    def begin(self, method: str, path: str, host: str, headers: Pairs, length: Optional[int]) -> bytes:
        """The head of a request. length: of its body; None for one that comes in chunks."""
        lines = as_headers(headers)
        if length is None:
            lines.set("transfer-encoding", "chunked")
        elif length and "content-length" not in lines:
            lines.set("content-length", str(length))
        return self._codec.send_request(RequestHead(method, path, headers=lines, authority=host), length == 0)

    def data(self, data: bytes) -> bytes:
        """Some of its body."""
        return self._codec.send_data(data)

    def end(self, trailers: Pairs = ()) -> bytes:
        """Its end."""
        lines = as_headers(trailers)
        return self._codec.send_end(lines if len(lines) else None)

    def receive(self, data: bytes) -> None:
        """What came back."""
        self._codec.receive(data)
        self._read()

    def receive_eof(self) -> None:
        """The proxy has closed."""
        self._codec.receive_eof()
        self._read()

    def _read(self) -> None:
        while True:
            event = self._codec.next_event()
            if isinstance(event, InformationalHead):
                self.interim.append(event.status)
            elif isinstance(event, ResponseHead):
                self.responses.append(Response(event))
            elif isinstance(event, Data):
                self.responses[-1].body += event.data
            elif isinstance(event, EndOfMessage):
                self.responses[-1].trailers = event.trailers
                self.responses[-1].complete = True
            elif isinstance(event, Waiting) or event is not None:
                return


def as_headers(pairs: Pairs) -> Headers:
    """A copy, or the map that these pairs make."""
    return pairs.copy() if isinstance(pairs, Headers) else Headers(pairs)
