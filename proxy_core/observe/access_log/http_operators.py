"""Operators about HTTP. Where `StreamInfo.http` is None, on TCP, they are accepted and yield nothing.

This is the one place where HTTP facts plug in: an HTTP connection manager puts an object with the methods of
`HttpFacts` into `StreamInfo.http`.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Protocol
from urllib.parse import parse_qsl

from ..stream_info import StreamInfo
from .values import Getter, LogContext, Value, truncate


class HttpFacts(Protocol):
    """What a log line can ask about a request. Header names come in lower case; the first value counts."""

    def request_header(self, name: str) -> Optional[str]: ...

    def response_header(self, name: str) -> Optional[str]: ...

    def response_trailer(self, name: str) -> Optional[str]: ...

    def fact(self, name: str) -> Value:
        """What is known under this name, or None.

        name: an operator of `FACTS` ("PROTOCOL"), or "POINT:<name>" for a moment in reactor seconds
        ("POINT:DS_RX_END").
        """
        ...


# Operator -> what it yields without an HTTP request.
FACTS: Dict[str, Value] = {
    "PROTOCOL": None,
    "UPSTREAM_PROTOCOL": None,
    "RESPONSE_CODE": 0,
    "ROUTE_NAME": None,
    "VIRTUAL_CLUSTER_NAME": None,
    "LOCAL_REPLY_BODY": "",
    "GRPC_STATUS_NUMBER": None,
    "REQUEST_HEADERS_BYTES": 0,
    "RESPONSE_HEADERS_BYTES": 0,
    "RESPONSE_TRAILERS_BYTES": 0,
    "DOWNSTREAM_HEADER_BYTES_SENT": 0,
    "DOWNSTREAM_HEADER_BYTES_RECEIVED": 0,
    "UPSTREAM_HEADER_BYTES_SENT": 0,
    "UPSTREAM_HEADER_BYTES_RECEIVED": 0,
    "REQUEST_DURATION": None,
    "REQUEST_TX_DURATION": None,
    "RESPONSE_DURATION": None,
    "RESPONSE_TX_DURATION": None,
    "DOWNSTREAM_HANDSHAKE_DURATION": None,
    "ROUNDTRIP_DURATION": None,
}


def http_facts() -> Dict[str, Getter]:
    """The operators of FACTS: no parameters, no length."""
    return {name: fact(name, default) for name, default in FACTS.items()}


def fact(name: str, default: Value = None) -> Getter:
    """`HttpFacts.fact(name)`, or `default` without HTTP."""
    def get(info: StreamInfo, context: LogContext) -> Value:
        if info.http is None:
            return default
        value: Value = info.http.fact(name)
        return default if value is None else value

    return get


def header(which: Callable[[HttpFacts, str], Optional[str]], params: str, length: Optional[int]) -> Getter:
    """`NAME` or `NAME?OTHER`, as in %REQ(X?Y):n%: the first that is there, cut to `length` bytes.

    Raises ValueError for more than one alternative.
    """
    names = [name.strip().lower() for name in params.split("?")]
    if len(names) > 2:
        raise ValueError(f"More than 1 alternative header specified in token: {params}")

    def get(info: StreamInfo, context: LogContext) -> Value:
        http: Optional[HttpFacts] = info.http
        if http is None:
            return None
        for name in names:
            value = which(http, name)
            if value is not None:
                return truncate(value, length)
        return None

    return get


def request_header(params: str, length: Optional[int]) -> Getter:
    return header(lambda http, name: http.request_header(name), params, length)


def response_header(params: str, length: Optional[int]) -> Getter:
    return header(lambda http, name: http.response_header(name), params, length)


def response_trailer(params: str, length: Optional[int]) -> Getter:
    return header(lambda http, name: http.response_trailer(name), params, length)


def path(params: str, length: Optional[int]) -> Getter:
    """%PATH(WQ|NQ:PATH|ORIG|ORIG_OR_PATH):n%: the path, with its query or not, rewritten or not."""
    query, _, source = params.partition(":")
    if query not in ("", "WQ", "NQ"):
        raise ValueError(f"Invalid PATH option: '{query}', only 'WQ'/'NQ' are allowed")
    headers = _path_headers("PATH", source or "ORIG_OR_PATH")

    def get(info: StreamInfo, context: LogContext) -> Value:
        value = _first_header(info.http, headers)
        if value is None:
            return None
        return truncate(value.partition("?")[0] if query == "NQ" else value, length)

    return get


def query_param(params: str, length: Optional[int]) -> Getter:
    """%QUERY_PARAM(name):n%: the first value of a query parameter of the path."""
    def get(info: StreamInfo, context: LogContext) -> Value:
        value = _first_header(info.http, [":path"])
        pairs = parse_qsl((value or "").partition("?")[2], keep_blank_values=True)
        return truncate(next((found for name, found in pairs if name == params), None), length)

    return get


def query_params(params: str, length: Optional[int]) -> Getter:
    """%QUERY_PARAMS(ORIG):n%: the query string."""
    headers = _path_headers("QUERY_PARAMS", params or "PATH")

    def get(info: StreamInfo, context: LogContext) -> Value:
        value = _first_header(info.http, headers)
        return truncate((value or "").partition("?")[2] or None, length)

    return get


def grpc_status(params: str, length: Optional[int]) -> Getter:
    """%GRPC_STATUS(CAMEL_STRING|SNAKE_STRING|NUMBER)%"""
    style = params or "CAMEL_STRING"
    if style not in ("CAMEL_STRING", "SNAKE_STRING", "NUMBER"):
        raise ValueError(
            f"GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: {params}"
        )
    return fact("GRPC_STATUS_NUMBER" if style == "NUMBER" else f"GRPC_STATUS_{style}")


def _path_headers(operator: str, source: str) -> List[str]:
    choices = {
        "PATH": [":path"],
        "ORIG": ["x-envoy-original-path"],
        "ORIG_OR_PATH": ["x-envoy-original-path", ":path"],
    }
    if source not in choices:
        raise ValueError(
            f"Invalid {operator} option: '{source}', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed"
        )
    return choices[source]


def _first_header(http: Optional[HttpFacts], names: List[str]) -> Optional[str]:
    if http is None:
        return None
    for name in names:
        value = http.request_header(name)
        if value is not None:
            return value
    return None
