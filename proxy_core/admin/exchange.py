"""One request to the admin and its reply, with what an access log wants to know of them.

Place in the data's way: `filter` makes one for each request head, gives it the pieces of the body, and writes
the log when the reply is out. Mirrors what Envoy's connection manager keeps per stream.
"""

from __future__ import annotations

from typing import Dict, Final, Optional, Sequence

from ..http.events import HTTP_11, RequestHead, ResponseHead
from ..http.headers import Headers
from ..network.connection import Connection
from ..observe.access_log.logger import AccessLog
from ..observe.access_log.values import Value
from ..observe.stream_info import StreamInfo
from .api import Request, normalise_path, parse_query

LOG_TYPE: Final = "DownstreamEnd"
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
# A form and JSON are kept to be read; any other body is counted and dropped, as no endpoint wants one.
MOST_KEPT_BYTES: Final = 64 * 1024
MOST_BODY_BYTES: Final = 16 * 1024 * 1024

SCHEME: Final = "http"


class Exchange:
    """head: None for bytes that were no request. started: the reactor's seconds."""

    __slots__ = ("head", "started", "info", "_connection", "_body_size", "_kept")

    def __init__(self, connection: Connection, head: Optional[RequestHead], wall: float) -> None:
        self.head = head
        self.started = connection.reactor.now
        self._connection = connection
        self._body_size = 0
        self._kept: Optional[bytearray] = bytearray() if head is not None and _content_type(head) in (FORM, JSON) else None
        self.info = _stream_info(connection, wall)

    def take_body(self, data: bytes) -> bool:
        """Count a piece of the body; False when it is too much."""
        self._body_size += len(data)
        if self._kept is None:
            return self._body_size <= MOST_BODY_BYTES
        self._kept += data
        return self._body_size <= MOST_KEPT_BYTES

    def request(self) -> Optional[Request]:
        """The request for a handler, None if its target is no path. A form counts when there is no query, as
        in Envoy.
        """
        head = self.head
        assert head is not None
        target, _, query = head.path.partition("?")
        path = normalise_path(target)
        if path is None or "#" in query:
            return None
        body = bytes(self._kept or b"")
        if not query and _content_type(head) == FORM:
            query = body.decode("latin-1")
        return Request(head.method, path, parse_query(query), body)

    def finish(
        self, details: str, reply: Optional[ResponseHead], body_size: int, logs: Sequence[AccessLog]
    ) -> None:
        """The exchange is over. details: Envoy's response code details. reply: None if there was none."""
        info = self.info
        info.end_mono = self._connection.reactor.now
        info.response_code_details = details
        info.http = ExchangeFacts(self.head, reply)
        info.bytes_received = self._body_size
        info.bytes_sent = body_size
        for log in logs:
            log.log(info, LOG_TYPE)


class ExchangeFacts:
    """`observe.access_log.http_operators.HttpFacts` of an exchange."""

    __slots__ = ("_request", "_reply", "_facts")

    def __init__(self, request: Optional[RequestHead], reply: Optional[ResponseHead]) -> None:
        self._request = request
        self._reply = reply
        self._facts: Dict[str, Value] = {
            "PROTOCOL": HTTP_11 if request is None else request.version,
            "RESPONSE_CODE": 0 if reply is None else reply.status,
            "REQUEST_HEADERS_BYTES": 0 if request is None else _request_size(request),
            "RESPONSE_HEADERS_BYTES": 0 if reply is None else _size(reply.headers) + len(":status200"),
        }

    def request_header(self, name: str) -> Optional[str]:
        """A header of the request, or one of Envoy's pseudo headers of it."""
        request = self._request
        if request is None:
            return None
        return _pseudo_headers(request).get(name) if name.startswith(":") else request.headers.get(name)

    def response_header(self, name: str) -> Optional[str]:
        """A header of the reply."""
        if self._reply is None:
            return None
        return str(self._reply.status) if name == ":status" else self._reply.headers.get(name)

    def response_trailer(self, name: str) -> Optional[str]:
        """There are none."""
        return None

    def fact(self, name: str) -> Value:
        """What is known of those in `http_operators.FACTS`."""
        return self._facts.get(name)


def _content_type(head: RequestHead) -> str:
    """Of a POST, without its parameters."""
    kind = head.headers.get("content-type") or ""
    return kind.partition(";")[0].strip().lower() if head.method == "POST" else ""


def _stream_info(connection: Connection, wall: float) -> StreamInfo:
    """The connection's addresses, with a beginning of its own."""
    whole = connection.info
    info = StreamInfo(whole.connection_id, wall, connection.reactor.now)
    info.listener_name = whole.listener_name
    info.downstream_remote_address = whole.downstream_remote_address
    info.downstream_local_address = whole.downstream_local_address
    info.downstream_direct_remote_address = whole.downstream_direct_remote_address
    info.downstream_direct_local_address = whole.downstream_direct_local_address
    return info


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) for name, value in headers.items())


def _pseudo_headers(head: RequestHead) -> Dict[str, Optional[str]]:
    return {
        ":method": head.method, ":path": head.path or None, ":authority": head.authority, ":scheme": SCHEME,
    }


def _request_size(head: RequestHead) -> int:
    """Names and values, the pseudo headers too, as Envoy counts them."""
    pseudo = sum(len(name) + len(value or "") for name, value in _pseudo_headers(head).items())
    return _size(head.headers) + pseudo
