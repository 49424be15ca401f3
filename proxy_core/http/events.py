"""What the codec says to its user: heads, body pieces, ends, and why nothing more can be said now.

Place in the data's way: `ServerCodec.next_event()` and `ClientCodec.next_event()` return these, and the heads
are also what `send_request()` and `send_response()` take. They correspond to the callbacks of Envoy's
`RequestDecoder` and `ResponseDecoder` (decodeHeaders, decodeData, decodeTrailers), turned into values so that
the codec does no I/O and calls nobody.

A message is always: one head, any number of `Data`, one `EndOfMessage`. `InformationalHead`s (1xx) come
before the head of a response.
"""

from __future__ import annotations

import enum
from typing import Final, Optional, Tuple, Union

from .headers import Headers

HTTP_10: Final = "HTTP/1.0"
HTTP_11: Final = "HTTP/1.1"


class RequestHead:
    """A request line with its header lines.

    method: as sent ("GET").
    target: the request target as sent; `path` and `authority` are what it means.
    version: HTTP_11 or HTTP_10 (also for HTTP/0.9 and every other version, as in Envoy).
    headers: without `host`, which is `authority`.
    path: path and query in origin form; "" for CONNECT.
    authority: `host` header, or the host and port of an absolute-form target; None if the request has
        neither.
    scheme: "http" or "https" if the target said so, else "".
    upgrade: the value of an effective Upgrade header ("websocket"), "connect" for CONNECT, "" for other
        requests. If not empty, what follows on the connection are raw bytes and not HTTP.
    keep_alive: False if this request is the last on its connection.
    expect_continue: the client waits for 100 Continue before it sends the body.
    end_stream: no body follows. (EndOfMessage comes in any case.)
    """

    __slots__ = (
        "method", "target", "version", "headers", "path", "authority", "scheme", "upgrade", "keep_alive",
        "expect_continue", "end_stream",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        target: str,
        version: str = HTTP_11,
        headers: Optional[Headers] = None,
        authority: Optional[str] = None,
        scheme: str = "",
        path: Optional[str] = None,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = Headers() if headers is None else headers
        self.path = target if path is None else path
        self.authority = authority
        self.scheme = scheme
        self.upgrade = ""
        self.keep_alive = True
        self.expect_continue = False
        self.end_stream = False

    def again(self, line: Tuple[str, str, str]) -> RequestHead:
        """A head with the same header lines behind another request line: method, target in origin form, version."""
        method, target, version = line
        head = RequestHead(method, target, version, self.headers.copy(), self.authority, self.scheme)
        head.upgrade = self.upgrade
        head.keep_alive = self.keep_alive
        head.expect_continue = self.expect_continue
        head.end_stream = self.end_stream
        return head

    def __repr__(self) -> str:
        line = f"{self.method!r}, {self.target!r}, {self.version!r}"
        return f"RequestHead({line}, {self.headers!r}, {self.authority!r})"


class ResponseHead:
    """A final status line with its header lines.

    status: 100 to 999. reason: as received; "" when sending means "the usual text for this status".
    version: as received; what is sent goes by the version of the request.
    keep_alive: False if the connection can't be used for another request.
    end_stream: no body follows. (EndOfMessage comes in any case.)
    """

    __slots__ = ("status", "reason", "version", "headers", "keep_alive", "end_stream")

    def __init__(
        self, status: int, reason: str = "", version: str = HTTP_11, headers: Optional[Headers] = None
    ) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.headers = Headers() if headers is None else headers
        self.keep_alive = True
        self.end_stream = False

    def __repr__(self) -> str:
        return f"ResponseHead({self.status!r}, {self.reason!r}, {self.version!r}, {self.headers!r})"


class InformationalHead:
    """A 1xx response other than 101: the final one is still to come."""

    __slots__ = ("status", "reason", "headers")

    def __init__(self, status: int, reason: str = "", headers: Optional[Headers] = None) -> None:
        self.status = status
        self.reason = reason
        self.headers = Headers() if headers is None else headers

    def __repr__(self) -> str:
        return f"InformationalHead({self.status!r}, {self.reason!r}, {self.headers!r})"


class Data:
    """Some bytes of a body, or of a tunnel. How a body is cut into pieces means nothing."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Data({self.data!r})"


class EndOfMessage:
    """The message is complete. trailers: None if there were none, or if they are not enabled."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Optional[Headers] = None) -> None:
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"EndOfMessage({self.trailers!r})"


class ConnectionClosed:
    """The peer closed its side between two messages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ConnectionClosed()"


class Waiting(enum.Enum):
    """Why there is no event now."""

    NEED_DATA = "need data"
    PAUSED = "paused"


NEED_DATA: Final = Waiting.NEED_DATA  # call receive() or receive_eof()
PAUSED: Final = Waiting.PAUSED  # the peer's message is complete; more will be read when ours is, too

# Both are immutable in practice and carry nothing, so one object serves every message.
END_OF_MESSAGE: Final = EndOfMessage()
CONNECTION_CLOSED: Final = ConnectionClosed()

MessageEvent = Union[RequestHead, ResponseHead, InformationalHead, Data, EndOfMessage, ConnectionClosed]
Event = Union[MessageEvent, Waiting]
