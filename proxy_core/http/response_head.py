"""A response head, from its lines to a `ResponseHead` or `InformationalHead` and the framing of what follows.

Place in the data's way: the parser calls `parse_status_line` when the line is there, `parse_response_headers` and
`build_response_head` when the head is complete. Mirrors `ClientConnectionImpl::onHeadersCompleteBase` of Envoy; the framing
rules are RFC 9112 section 6.3. Unlike in Envoy a status has exactly three digits (RFC 9110 section 15), not four.
"""

from __future__ import annotations

import re
from typing import Final, Optional, Tuple, Union

from .events import HTTP_10, HTTP_11, InformationalHead, RequestHead, ResponseHead
from .framing import (
    CONTENT_LENGTH,
    NO_BODY,
    RAW,
    UNTIL_CLOSE,
    Framing,
    is_upgrade,
    keeps_alive,
    stated_framing,
)
from .head_block import RESPONSE_JOINED, check_characters, parse_header_lines
from .headers import Headers
from .settings import (
    CONTENT_LENGTH_NOT_ALLOWED,
    INVALID_TRANSFER_ENCODING,
    TRANSFER_ENCODING_NOT_ALLOWED,
    Http1Settings,
    ProtocolError,
)

_STATUS_LINE: Final = re.compile(
    r"HTTP/([0-9]\.[0-9])[ \t]+([1-9][0-9][0-9])(?:[ \t]+(.*))?", re.DOTALL
).fullmatch

StatusLine = Tuple[str, int, str]  # version, status, reason


def parse_status_line(raw: bytes) -> StatusLine:
    """The version (HTTP_11 or HTTP_10), status and reason of a status line without its LF. Raises
    ProtocolError."""
    check_characters(raw)
    match = _STATUS_LINE(raw.decode("latin-1").rstrip("\r \t"))
    if match is None:
        raise ProtocolError("malformed status line")
    version, status, reason = match.groups()
    return HTTP_11 if version == "1.1" else HTTP_10, int(status), (reason or "").replace("\r", "")


def parse_response_headers(block: bytes, settings: Http1Settings) -> Tuple[Headers, Optional[Framing]]:
    """The header lines, and the framing that they state. Raises ProtocolError."""
    headers = parse_header_lines(block, RESPONSE_JOINED, settings)
    return headers, stated_framing(headers, settings)


def build_response_head(
    line: StatusLine, headers: Headers, stated: Optional[Framing], request: RequestHead
) -> Tuple[Union[ResponseHead, InformationalHead], Framing]:
    """The head, and how its body ends. request: what is being answered. Raises ProtocolError."""
    version, status, reason = line
    if status < 200 or status == 204:
        _refuse_framing(headers)
    if status < 200 and status != 101:
        return InformationalHead(status, reason, headers), (NO_BODY, 0)
    head = ResponseHead(status, reason, version, headers)
    if request.upgrade and _opens_tunnel(head, request):
        framing: Framing = (RAW, 0)
    elif request.method == "HEAD" or status in (101, 204, 304):
        framing = (NO_BODY, 0)
    elif stated is None:
        framing = (UNTIL_CLOSE, 0)
    else:
        framing = (NO_BODY, 0) if stated == (CONTENT_LENGTH, 0) else stated
    # After a tunnel, a refused one too, or a 101 that nobody asked for, what the server reads and sends is
    # not known.
    in_step = not request.upgrade and status != 101 and framing[0] is not UNTIL_CLOSE
    head.keep_alive = in_step and keeps_alive(version is HTTP_11, headers)
    head.end_stream = framing[0] is NO_BODY
    return head, framing


def _opens_tunnel(head: ResponseHead, request: RequestHead) -> bool:
    if head.status == 101:
        return request.upgrade != "connect" and is_upgrade(head.headers)
    if request.upgrade != "connect" or head.status >= 300:
        return False
    if "transfer-encoding" in head.headers:
        raise ProtocolError("transfer-encoding in the answer to CONNECT", details=INVALID_TRANSFER_ENCODING)
    return True


def _refuse_framing(headers: Headers) -> None:
    # RFC 9110 section 8.6 and RFC 9112 section 6.1: neither header may be in a 1xx or 204. A length of 0 is
    # papered over.
    if "transfer-encoding" in headers:
        raise ProtocolError("transfer-encoding in a 1xx or 204", details=TRANSFER_ENCODING_NOT_ALLOWED)
    length = headers.get("content-length")
    if length is not None:
        if length != "0":
            raise ProtocolError("content-length in a 1xx or 204", details=CONTENT_LENGTH_NOT_ALLOWED)
        headers.remove("content-length")
