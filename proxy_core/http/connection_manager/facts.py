"""What is known about one request with its response: `StreamInfo.http`, asked by access logs, formats and matchers.

Place in the data's way: the stream makes one, it and the router write plain attributes, `fact` computes what somebody asks for.
Nothing here refers to the stream, so that a stream that is over leaves no cycle of references behind.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Optional

from ...observe.access_log.values import Value
from ..events import HTTP_11, RequestHead, ResponseHead
from ..headers import Headers
from ..route_api import Route
from ..routing.text import readable


class StreamFacts:
    """Moments are the reactor's seconds, None until they come; `us_...` are written by the router.

    request, response: the heads as they are now. response_code: 0 until there is a response. started: the first byte of the
    request. rx_end: its last byte. tx_begin, tx_end: of the response. us_...: the same at the upstream.
    route: as chosen last. local_reply_body: text of an answer that was made here. health_check: not to be counted or logged
    as a user's request.
    """

    __slots__ = (
        "request", "response", "response_code", "response_trailers", "route", "virtual_cluster", "local_reply_body",
        "health_check", "started", "rx_end", "tx_begin", "tx_end", "us_tx_begin", "us_tx_end", "us_rx_begin", "us_rx_end",
        "header_bytes_received", "header_bytes_sent", "upstream_header_bytes_received", "upstream_header_bytes_sent",
        "upstream_protocol",
    )

    def __init__(self, started: float) -> None:
        self.request: Optional[RequestHead] = None
        self.response: Optional[ResponseHead] = None
        self.response_code = 0
        self.response_trailers: Optional[Headers] = None
        self.route: Optional[Route] = None
        self.virtual_cluster = ""
        self.local_reply_body = ""
        self.health_check = False
        self.started = started
        self.rx_end: Optional[float] = None
        self.tx_begin: Optional[float] = None
        self.tx_end: Optional[float] = None
        self.us_tx_begin: Optional[float] = None
        self.us_tx_end: Optional[float] = None
        self.us_rx_begin: Optional[float] = None
        self.us_rx_end: Optional[float] = None
        self.header_bytes_received = 0
        self.header_bytes_sent = 0
        self.upstream_header_bytes_received = 0
        self.upstream_header_bytes_sent = 0
        self.upstream_protocol = ""

    def request_header(self, name: str) -> Optional[str]:
        """The first value of a header of the request, or of a pseudo header of Envoy's (":path")."""
        request = self.request
        if request is None:
            return None
        pseudo = _PSEUDO.get(name)
        return readable(request.headers.get(name) if pseudo is None else pseudo(request))

    def response_header(self, name: str) -> Optional[str]:
        """The first value of a header of the response; ":status" is one."""
        if self.response is None:
            return None
        return str(self.response.status) if name == ":status" else readable(self.response.headers.get(name))

    def response_trailer(self, name: str) -> Optional[str]:
        """The first value of a trailer of the response."""
        return None if self.response_trailers is None else readable(self.response_trailers.get(name))

    def fact(self, name: str) -> Value:
        """What is known under this name of `http_operators.FACTS`, or None."""
        compute = _FACTS.get(name)
        return None if compute is None else compute(self)


_PSEUDO: Final[Dict[str, Callable[[RequestHead], Optional[str]]]] = {
    ":method": lambda head: head.method,
    ":path": lambda head: head.path or None,
    ":authority": lambda head: head.authority,
    "host": lambda head: head.authority,
    ":scheme": lambda head: head.scheme or None,
}


def header_bytes(headers: Optional[Headers]) -> int:
    """Names and values, as Envoy's `HeaderMap::byteSize`."""
    return 0 if headers is None else sum(len(name) + len(value) for name, value in headers.items())


def _request_bytes(facts: StreamFacts) -> int:
    head = facts.request
    if head is None:
        return 0
    pseudo = ((name, _PSEUDO[name](head)) for name in (":method", ":path", ":authority", ":scheme"))
    return header_bytes(head.headers) + sum(len(name) + len(value) for name, value in pseudo if value is not None)


def _response_bytes(facts: StreamFacts) -> int:
    head = facts.response
    return 0 if head is None else header_bytes(head.headers) + len(":status") + len(str(head.status))


def _route_name(facts: StreamFacts) -> Value:
    return facts.route.name or None if facts.route is not None else None


def _since_start(moment: str) -> Callable[[StreamFacts], Value]:
    return lambda facts: _milliseconds(facts.started, getattr(facts, moment))


def _milliseconds(begin: Optional[float], end: Optional[float]) -> Optional[int]:
    return None if begin is None or end is None else max(0, int((end - begin) * 1000 + 1e-6))


def _grpc_status(facts: StreamFacts) -> Optional[int]:
    for value in (facts.response_trailer("grpc-status"), facts.response_header("grpc-status")):
        if value is not None and value.isdecimal():
            return int(value)
    return None


_GRPC_NAMES: Final = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
    "Unauthenticated",
)


def _grpc_name(facts: StreamFacts, snake: bool) -> Optional[str]:
    number = _grpc_status(facts)
    if number is None or number >= len(_GRPC_NAMES):
        return None if number is None else str(number)
    name = _GRPC_NAMES[number]
    if not snake or name == "OK":
        return name
    return "".join(f"_{letter}" if letter.isupper() and at else letter for at, letter in enumerate(name)).upper()


_FACTS: Final[Dict[str, Callable[[StreamFacts], Any]]] = {
    "PROTOCOL": lambda facts: HTTP_11 if facts.request is None else facts.request.version,
    "UPSTREAM_PROTOCOL": lambda facts: facts.upstream_protocol or None,
    "RESPONSE_CODE": lambda facts: facts.response_code,
    "ROUTE_NAME": _route_name,
    "VIRTUAL_CLUSTER_NAME": lambda facts: facts.virtual_cluster or None,
    "LOCAL_REPLY_BODY": lambda facts: facts.local_reply_body,
    "HEALTH_CHECK": lambda facts: facts.health_check,
    "GRPC_STATUS_NUMBER": _grpc_status,
    "GRPC_STATUS_CAMEL_STRING": lambda facts: _grpc_name(facts, snake=False),
    "GRPC_STATUS_SNAKE_STRING": lambda facts: _grpc_name(facts, snake=True),
    "REQUEST_HEADERS_BYTES": _request_bytes,
    "RESPONSE_HEADERS_BYTES": _response_bytes,
    "RESPONSE_TRAILERS_BYTES": lambda facts: header_bytes(facts.response_trailers),
    "DOWNSTREAM_HEADER_BYTES_RECEIVED": lambda facts: facts.header_bytes_received,
    "DOWNSTREAM_HEADER_BYTES_SENT": lambda facts: facts.header_bytes_sent,
    "UPSTREAM_HEADER_BYTES_RECEIVED": lambda facts: facts.upstream_header_bytes_received,
    "UPSTREAM_HEADER_BYTES_SENT": lambda facts: facts.upstream_header_bytes_sent,
    "REQUEST_DURATION": _since_start("rx_end"),
    "REQUEST_TX_DURATION": _since_start("us_tx_end"),
    "RESPONSE_DURATION": _since_start("us_rx_begin"),
    "RESPONSE_TX_DURATION": lambda facts: _milliseconds(facts.us_rx_begin, facts.tx_end),
    "POINT:DS_RX_BEG": lambda facts: facts.started,
    "POINT:DS_RX_END": lambda facts: facts.rx_end,
    "POINT:DS_TX_BEG": lambda facts: facts.tx_begin,
    "POINT:DS_TX_END": lambda facts: facts.tx_end,
    "POINT:US_TX_BEG": lambda facts: facts.us_tx_begin,
    "POINT:US_TX_END": lambda facts: facts.us_tx_end,
    "POINT:US_RX_BEG": lambda facts: facts.us_rx_begin,
    "POINT:US_RX_END": lambda facts: facts.us_rx_end,
}
