"""Limits and switches of the HTTP/1 codec, and the error that a peer earns by breaking them.

Place in the data's way: the connection manager builds one `Http1Settings` per listener or cluster when it
loads its configuration; every codec of it shares that object. Mirrors Envoy's `Http::Http1Settings` and
`Http1ResponseCodeDetails`.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Final

from ..errors import PeerError
from .recall import Recall

# Envoy's response code details of the codec (source/common/http/http1/codec_impl.cc).
CODEC_ERROR: Final = "http1.codec_error"
INVALID_CHARACTERS: Final = "http1.invalid_characters"
HEADERS_TOO_LARGE: Final = "http1.headers_too_large"
TOO_MANY_HEADERS: Final = "http1.too_many_headers"
INVALID_TRANSFER_ENCODING: Final = "http1.invalid_transfer_encoding"
CONTENT_LENGTH_AND_CHUNKED: Final = "http1.content_length_and_chunked_not_allowed"
CONTENT_LENGTH_NOT_ALLOWED: Final = "http1.content_length_not_allowed"
TRANSFER_ENCODING_NOT_ALLOWED: Final = "http1.transfer_encoding_not_allowed"
BODY_DISALLOWED: Final = "http1.body_disallowed"
INVALID_URL: Final = "http1.invalid_url"
INVALID_SCHEME: Final = "http1.invalid_scheme"
HTTPS_ON_PLAINTEXT: Final = "http1.https_url_on_plaintext_connection"
CONNECTION_HEADER_REJECTED: Final = "http1.connection_header_rejected"
UNEXPECTED_UNDERSCORE: Final = "http1.unexpected_underscore"
INVALID_AUTHORITY: Final = "http.invalid_authority"
LOW_VERSION: Final = "low_version"


class ProtocolError(PeerError):
    """The peer's bytes are not the HTTP/1 that we accept; this connection can't go on.

    status: what a server answers (400, 403, 426, 431, 501). A client's user turns any of them into its 502.
    details: Envoy's response code details ("http1.codec_error").
    reason: one short sentence with none of the peer's bytes in it.
    """

    def __init__(self, reason: str, status: int = 400, details: str = CODEC_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.details = details

    def again(self) -> ProtocolError:
        """The same error without the frames it was raised through: whoever keeps it, and is in one of them, would else be a
        cycle of references."""
        return ProtocolError(self.reason, self.status, self.details)


class UnderscoreAction(enum.Enum):
    """Envoy's `headers_with_underscores_action`."""

    ALLOW = "ALLOW"
    REJECT_REQUEST = "REJECT_REQUEST"
    DROP_HEADER = "DROP_HEADER"


class Http1Settings:
    """Limits and switches, named as in Envoy's configuration. Not to be changed once a codec uses it.

    max_headers_kb: KiB of start line and header lines together, blank line included; the same again for
        trailers. 60 for requests; Envoy's cluster default for responses is 80.
    max_headers_count: header lines of a head, `host` among them, after repeats of known names were joined.
    max_chunk_line_bytes: one chunk-size line with its extensions. Envoy has no limit here. RFC 9112 section
        7.1.1 asks for one, since extensions are discarded and a peer could send them for ever.
    headers_with_underscores_action: for requests only. on_dropped_headers: told how many header lines it has dropped of one.
    validate_scheme: refuse an https target with 403; for plaintext connections straight from users.
    """

    __slots__ = (
        "max_headers_kb", "max_headers_count", "max_chunk_line_bytes", "accept_http_10",
        "enable_trailers", "allow_absolute_url", "allow_chunked_length", "allow_custom_methods",
        "headers_with_underscores_action", "validate_scheme", "proper_case_words",
        "send_fully_qualified_url", "on_dropped_headers",
        "known_lines", "known_requests", "known_statuses", "known_responses",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_headers_kb: int = 60,
        max_headers_count: int = 100,
        max_chunk_line_bytes: int = 16384,
        accept_http_10: bool = False,
        enable_trailers: bool = False,
        allow_absolute_url: bool = True,
        allow_chunked_length: bool = False,
        allow_custom_methods: bool = False,
        headers_with_underscores_action: UnderscoreAction = UnderscoreAction.ALLOW,
        validate_scheme: bool = False,
        proper_case_words: bool = False,
        send_fully_qualified_url: bool = False,
        on_dropped_headers: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.max_headers_kb = max_headers_kb
        self.max_headers_count = max_headers_count
        self.max_chunk_line_bytes = max_chunk_line_bytes
        self.accept_http_10 = accept_http_10
        self.enable_trailers = enable_trailers
        self.allow_absolute_url = allow_absolute_url
        self.allow_chunked_length = allow_chunked_length
        self.allow_custom_methods = allow_custom_methods
        self.headers_with_underscores_action = headers_with_underscores_action
        self.validate_scheme = validate_scheme
        self.proper_case_words = proper_case_words
        self.send_fully_qualified_url = send_fully_qualified_url
        self.on_dropped_headers = on_dropped_headers
        # What the codecs that go by these settings have read lately (see `parser`): start lines, and blocks of header lines.
        self.known_lines: Recall[Any] = Recall()
        self.known_requests: Recall[Any] = Recall()
        self.known_statuses: Recall[Any] = Recall()
        self.known_responses: Recall[Any] = Recall()
