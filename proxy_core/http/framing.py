"""How a body ends: the rules that both parsers and the writer share (RFC 9112 section 6).

Place in the data's way: asked once per message, when its head is complete. Whoever reads these headers
differently from the next hop lets a request be smuggled in a body, so whatever can be read in two ways is
refused: two lengths, a length and a chunked coding, any coding but one plain `chunked`. Answers as Envoy's.
"""

from __future__ import annotations

from typing import Final, Optional, Tuple

from .headers import Headers
from .settings import CONTENT_LENGTH_AND_CHUNKED, INVALID_TRANSFER_ENCODING, Http1Settings, ProtocolError

# Kinds of framing.
NO_BODY: Final = "no body"
CONTENT_LENGTH: Final = "content-length"
CHUNKED: Final = "chunked"
UNTIL_CLOSE: Final = "until close"
RAW: Final = "raw"  # a tunnel: bytes until the connection ends, in both directions

# (kind, length); length counts for CONTENT_LENGTH only.
Framing = Tuple[str, int]

_MAX_DIGITS: Final = 20  # of 2**64 - 1, the largest length that Envoy takes


def content_length(value: str) -> int:
    """The length that a content-length header states. Raises ProtocolError unless it is digits that fit 64
    bits."""
    # isdecimal() on latin-1 text is true for 0-9 only; isdigit() would let superscripts through. Digits are
    # counted before int(), which takes quadratic time for long numbers and refuses over 4,300 digits.
    if value.isdecimal() and len(value.lstrip("0")) <= _MAX_DIGITS:
        length = int(value.lstrip("0") or "0")
        if length < 1 << 64:
            return length
    raise ProtocolError("invalid content-length")


def stated_framing(headers: Headers, settings: Http1Settings) -> Optional[Framing]:
    """The framing that the headers state, or None if they say nothing. Raises ProtocolError.

    With `allow_chunked_length` the content-length beside a chunked coding is removed (RFC 9112 section 6.1).
    """
    length = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if coding is None:
        return None if length is None else (CONTENT_LENGTH, content_length(length))
    chunked = coding.lower() == "chunked"
    if length is not None:
        if not (chunked and settings.allow_chunked_length):
            raise ProtocolError("content-length and transfer-encoding", details=CONTENT_LENGTH_AND_CHUNKED)
        headers.remove("content-length")
    if not chunked:
        raise ProtocolError("unsupported transfer-encoding", 501, INVALID_TRANSFER_ENCODING)
    return (CHUNKED, 0)


def tokens(value: Optional[str]) -> Tuple[str, ...]:
    """The comma-separated tokens of a header value, lower case, empty ones left out; () for None."""
    if value is None:
        return ()
    if "," not in value:
        lowered = value.strip().lower()
        return (lowered,) if lowered else ()
    return tuple(token for token in (part.strip().lower() for part in value.split(",")) if token)


def keeps_alive(version_is_11: bool, headers: Headers) -> bool:
    """Whether a message with this version and these headers leaves the connection open (RFC 9112 section
    9.3).

    `proxy-connection: close` counts as well, as in Envoy's `HeaderUtility::shouldCloseConnection`.
    """
    connection = headers.get("connection")
    if not version_is_11:
        return connection is not None and "keep-alive" in tokens(connection)
    if connection is not None and "close" in tokens(connection):
        return False
    proxy_connection = headers.get("proxy-connection")
    return proxy_connection is None or "close" not in tokens(proxy_connection)


def is_upgrade(headers: Headers) -> bool:
    """Whether the headers ask for, or grant, another protocol (RFC 9110 section 7.8)."""
    return headers.get("upgrade") is not None and "upgrade" in tokens(headers.get("connection"))
