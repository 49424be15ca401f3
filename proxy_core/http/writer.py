"""The sending half: from heads, data and ends to bytes.

Place in the data's way: the codec calls it with what its user wants to say; the bytes go to the connection's
write buffer. Mirrors `StreamEncoderImpl` of Envoy: which framing headers are added, and where (last), is as
measured there.

Nothing is written that the peer could read in another way than it was meant: a CR, LF or NUL in a header, or
a body that is not as long as its content-length says, is a bug of ours and a ValueError, before any byte of
it is returned.
"""

from __future__ import annotations

import re
from typing import Dict, Final, FrozenSet, Iterable, Optional, Tuple

from .framing import CHUNKED, CONTENT_LENGTH, NO_BODY, RAW, UNTIL_CLOSE, Framing
from .headers import Headers

# Envoy's table (`CodeUtility::toString`), dumped from 1.40.0. What is not in it is "Unknown".
REASONS: Final[Dict[int, str]] = {
    100: "Continue", 101: "Switching Protocols",
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
    205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
    304: "Not Modified", 305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
    411: "Length Required", 412: "Precondition Failed", 413: "Payload Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
    421: "Misdirected Request", 422: "Unprocessable Entity", 423: "Locked", 424: "Failed Dependency",
    425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected",
    510: "Not Extended", 511: "Network Authentication Required",
    599: "Last Unassigned Server Error Code",
}  # fmt: skip

# Requests of these methods say nothing about a body that they don't have.
_METHODS_WITHOUT_BODY: Final[FrozenSet[str]] = frozenset(("GET", "HEAD", "DELETE", "TRACE", "CONNECT"))

_LINE: Final = ": ".join
_WORD_START: Final = re.compile(r"(?:^|[^a-zA-Z0-9])[a-z]")

NamedValue = Tuple[str, str]
# How the body will be framed, and the header that says so unless one is there already.
Announcement = Tuple[Framing, Optional[NamedValue]]

_SAY_EMPTY: Final[NamedValue] = ("content-length", "0")
_SAY_CHUNKED: Final[NamedValue] = ("transfer-encoding", "chunked")


def status_line(version: str, status: int, reason: str) -> str:
    """A status line without its end; "" as the reason stands for the usual one."""
    return f"{version} {status} {reason or REASONS.get(status, 'Unknown')}"


def encode_head(
    start_line: str,
    headers: Headers,
    last: Optional[NamedValue],
    proper_case: bool,
    host: Optional[NamedValue] = None,
) -> bytes:
    """A complete head. host, last: one more header line before and behind the others.

    Raises ValueError for what must not be sent.
    """
    pairs: Iterable[NamedValue] = headers.items()
    if host is not None:
        pairs = (host, *pairs)
    if last is not None:
        pairs = (*pairs, last)
    if proper_case:
        pairs = [(_proper(name), value) for name, value in pairs]
    lines = [start_line, *map(_LINE, pairs), "", ""]
    out = "\r\n".join(lines).encode("latin-1")
    if len(out) - len(out.translate(None, b"\r\n\0")) != 2 * (len(lines) - 1):
        raise ValueError("CR, LF or NUL in a header to be sent")
    return out


def _proper(name: str) -> str:
    # Envoy's header_key_format proper_case_words.
    return _WORD_START.sub(lambda match: match.group().upper(), name)


def response_framing(
    status: int, headers: Headers, end_stream: bool, method: Optional[str], http_10: bool, tunnel: bool
) -> Announcement:
    """How the response's body is framed. method: of the request, None if there was none that could be
    read."""
    if headers.get("transfer-encoding") is not None:
        headers.remove("transfer-encoding")  # what came from the other side is not how this side is framed
    if tunnel:
        headers.remove("content-length")
        return (RAW, 0), None
    if status < 200 or status == 204:
        headers.remove("content-length")  # RFC 9110 section 8.6
        return (NO_BODY, 0), None
    length = headers.get("content-length")
    bodiless = method == "HEAD" or status == 304
    if length is not None:
        return ((NO_BODY, 0) if bodiless else (CONTENT_LENGTH, _own_length(length, end_stream))), None
    if status == 304:
        return (NO_BODY, 0), None
    if end_stream and not bodiless:
        return (NO_BODY, 0), _SAY_EMPTY
    if http_10:
        return ((NO_BODY if bodiless else UNTIL_CLOSE), 0), None
    return ((NO_BODY if bodiless else CHUNKED), 0), _SAY_CHUNKED


def request_framing(method: str, headers: Headers, end_stream: bool, tunnel: bool) -> Announcement:
    """How the request's body is framed."""
    if headers.get("transfer-encoding") is not None:
        headers.remove("transfer-encoding")
    if tunnel:
        headers.remove("content-length")
        return (RAW, 0), None
    length = headers.get("content-length")
    if length is not None:
        return (CONTENT_LENGTH, _own_length(length, end_stream)), None
    if not end_stream:
        return (CHUNKED, 0), _SAY_CHUNKED
    return (NO_BODY, 0), None if method in _METHODS_WITHOUT_BODY else _SAY_EMPTY


def _own_length(value: str, end_stream: bool) -> int:
    if not value.isdecimal():
        raise ValueError("content-length to be sent is not a number")
    length = int(value)
    if length and end_stream:
        raise ValueError("body is shorter than its content-length")
    return length


class BodyWriter:
    """Frames one body after the other: `start`, any number of `write`, `finish`."""

    __slots__ = ("_kind", "_left")

    def __init__(self) -> None:
        self._kind: str = NO_BODY
        self._left = 0

    def start(self, framing: Framing) -> None:
        """The next body is framed like this."""
        self._kind, self._left = framing

    def write(self, data: bytes) -> bytes:
        """The bytes that carry `data`. In a message without body (HEAD, 204, 304) there are none.

        Raises ValueError for more data than the content-length says.
        """
        kind = self._kind
        if kind is CHUNKED:
            # An empty chunk would be the last one.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if kind is CONTENT_LENGTH:
            if len(data) > self._left:
                raise ValueError("body is longer than its content-length")
            self._left -= len(data)
            return data
        return b"" if kind is NO_BODY else data

    def finish(self, trailers: Optional[Headers], proper_case: bool) -> bytes:
        """The bytes that end the body. Trailers can only be said in chunks; elsewhere they are left out.

        Raises ValueError for less data than the content-length said.
        """
        if self._kind is CONTENT_LENGTH and self._left:
            raise ValueError("body is shorter than its content-length")
        if self._kind is not CHUNKED:
            return b""
        if not trailers:
            return b"0\r\n\r\n"
        return encode_head("0", trailers, None, proper_case)
