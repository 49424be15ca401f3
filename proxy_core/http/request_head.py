"""A request head, from its lines to a `RequestHead` and the framing of what follows.

Place in the data's way: the parser calls `build_request_head` with a complete head. Mirrors
`ServerConnectionImpl::onHeadersCompleteBase` of Envoy, in its order: upgrade, framing, Connection header,
target, authority, version. The order decides which answer a request gets that is wrong in two ways.
"""

from __future__ import annotations

from typing import Final, FrozenSet, List, Tuple

from .events import HTTP_10, HTTP_11, RequestHead
from .framing import CHUNKED, CONTENT_LENGTH, NO_BODY, RAW, Framing, keeps_alive, stated_framing, tokens
from .head_block import REQUEST_JOINED, parse_header_lines
from .headers import Headers
from .request_line import RequestLine, is_authority, resolve_target
from .settings import (
    BODY_DISALLOWED,
    CONNECTION_HEADER_REJECTED,
    INVALID_AUTHORITY,
    INVALID_TRANSFER_ENCODING,
    LOW_VERSION,
    Http1Settings,
    ProtocolError,
)

_MAX_NOMINATED: Final = 10
_MAX_TE_LENGTH: Final = 256
# Options of the connection itself, not names of headers.
_OPTIONS: Final[FrozenSet[str]] = frozenset(("close", "keep-alive", "upgrade", "connection"))
# Who can have one of these taken out hides where a request came from.
_NEVER_NOMINATED: Final[FrozenSet[str]] = frozenset(
    ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")
)


def build_request_head(
    line: RequestLine, block: bytes, settings: Http1Settings
) -> Tuple[RequestHead, Framing]:
    """The head, and how its body ends. block: the header lines. Raises ProtocolError with Envoy's status and
    details."""
    method, target, version = line
    headers = parse_header_lines(block, REQUEST_JOINED, settings)
    upgrade = ""
    if "connection" in headers:
        upgrade = _take_upgrade(headers)
    framing: Framing = _connect_framing(headers) if method == "CONNECT" else _framing(headers, settings)
    keep_alive = keeps_alive(version is HTTP_11, headers)
    if framing[0] is CHUNKED and version is not HTTP_11:
        keep_alive = False  # RFC 9112 section 6.1: whoever passed it on may not have known chunks
    if "connection" in headers:
        _sanitize_connection(headers)
    authority = headers.take("host")
    scheme, path = "", target
    if target[0] != "/" or method == "CONNECT":
        scheme, replaced, path = resolve_target(method, target, settings)
        authority = authority if replaced is None else replaced
    if authority and is_authority(authority) is None:
        raise ProtocolError("invalid characters in the host", details=INVALID_AUTHORITY)
    if version is not HTTP_11 and not settings.accept_http_10:
        raise ProtocolError("HTTP version is too low", 426, LOW_VERSION)
    head = RequestHead(method, target, version, headers, authority, scheme, path)
    head.upgrade = "connect" if method == "CONNECT" else upgrade
    if head.upgrade:
        framing = (RAW, 0)
    head.keep_alive = keep_alive
    expect = headers.get("expect")
    head.expect_continue = expect is not None and expect.lower() == "100-continue"
    head.end_stream = framing[0] is NO_BODY
    return head, framing


def build_versionless_head(line: RequestLine, settings: Http1Settings) -> Tuple[RequestHead, Framing]:
    """The head of an HTTP/0.9 request, which is its line alone and the last one of its connection.

    Raises ProtocolError: 426 unless HTTP/1.0 is accepted.
    """
    method, target, _ = line
    scheme, authority, path = resolve_target(method, target, settings)
    if not settings.accept_http_10:
        raise ProtocolError("request without a version", 426, LOW_VERSION)
    head = RequestHead(method, target, HTTP_10, None, authority, scheme, path)
    head.keep_alive = False
    if method == "CONNECT":
        head.upgrade = "connect"
        return head, (RAW, 0)
    head.end_stream = True
    return head, (NO_BODY, 0)


def _framing(headers: Headers, settings: Http1Settings) -> Framing:
    stated = stated_framing(headers, settings)
    if stated is None or stated == (CONTENT_LENGTH, 0):
        return (NO_BODY, 0)  # RFC 9112 section 6.3: a request never runs until the connection closes
    return stated


def _connect_framing(headers: Headers) -> Framing:
    # RFC 9110 section 9.3.6: content in a CONNECT request has no meaning; what follows the head is the
    # tunnel's.
    length = headers.get("content-length")
    if length == "0":
        headers.remove("content-length")
    elif length is not None:
        raise ProtocolError("CONNECT with a body", details=BODY_DISALLOWED)
    if "transfer-encoding" in headers:
        raise ProtocolError("CONNECT with a transfer-encoding", 501, INVALID_TRANSFER_ENCODING)
    return (RAW, 0)


def _take_upgrade(headers: Headers) -> str:
    value = headers.get("upgrade")
    if value is None or "upgrade" not in tokens(headers.get("connection")):
        return ""
    if value.lower() != "h2c":
        return value
    # HTTP/2 in clear text is not spoken here; the request is served as the HTTP/1.1 that it also is.
    headers.remove("upgrade")
    headers.remove("http2-settings")
    return ""


def _sanitize_connection(headers: Headers) -> None:
    # RFC 9110 section 7.6.1: a proxy removes the headers that Connection names. Envoy's
    # Utility::sanitizeConnectionHeader says which names it must not obey, and that many names are an attack.
    named = tokens(headers.get("connection"))
    if len(named) >= _MAX_NOMINATED:
        raise ProtocolError("too many names in the connection header", details=CONNECTION_HEADER_REJECTED)
    kept: List[str] = []
    for name in named:
        if name in _NEVER_NOMINATED or name[0] == ":":
            raise ProtocolError("forbidden name in the connection header", details=CONNECTION_HEADER_REJECTED)
        if name in _OPTIONS or (name == "te" and _keep_te_trailers(headers)):
            kept.append(name)
        else:
            headers.remove(name)
    if len(kept) == len(named):
        return
    if kept:
        headers.set("connection", ",".join(kept))
    else:
        headers.remove("connection")


def _keep_te_trailers(headers: Headers) -> bool:
    value = headers.get("te") or ""
    if len(value) >= _MAX_TE_LENGTH:
        raise ProtocolError("te header is too long", details=CONNECTION_HEADER_REJECTED)
    if "trailers" not in tokens(value):
        return False
    headers.set("te", "trailers")
    return True
