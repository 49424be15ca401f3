"""One request with its response, compressed as far as the rules allow. Mirrors `CompressorFilter`.

Each piece of a body is flushed as it comes, so that nothing waits for the next one; what is kept is zlib's window.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, List, Optional

from ....buffer import Buffer
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import CONTINUE, FilterStatus, HttpFilter
from ....http.headers import Headers
from ..bodies import forbids_transformation, joined, opens_tunnel, tokens
from .encodings import NOT_VALID, USED, WILDCARD, Choice, choose
from .gzip import ENCODING
from .settings import Direction, DirectionStats, RouteSettings, Settings

_STATUS_HEADER: Final = "x-envoy-compression-status"
_STATE: Final = "envoy.filters.http.compressor"
_WEAK: Final = ("W/", "w/")


class _Negotiation:
    """What the client accepts, asked once for all compressors of a stream. ways: theirs."""

    __slots__ = ("ways", "_choice")

    def __init__(self) -> None:
        self.ways: List[Direction] = []
        self._choice: Optional[Choice] = None

    def choice(self, accepted: str, headers: Headers, choose_first: bool) -> Choice:
        """The outcome for a response with these headers. If no compressor takes its type, no encoding is valid."""
        if self._choice is None:
            fits = any(way.is_right_type(headers) for way in self.ways)
            self._choice = choose(accepted, ENCODING, choose_first) if fits else NOT_VALID
        return self._choice

    def __str__(self) -> str:
        return "" if self._choice is None else self._choice.name


class CompressorFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("_settings", "_route", "_accepted", "_negotiation", "_request", "_response", "_is_local")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._route: Optional[RouteSettings] = None
        self._accepted: Optional[str] = None
        self._negotiation: Optional[_Negotiation] = None
        self._request: Any = None  # zlib's compressor, while a body is compressed
        self._response: Any = None
        self._is_local = False

    # -- the request -----------------------------------------------------------------------------------------------

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Note what the client accepts; begin to compress the request if that is wanted."""
        settings, headers = self._settings, head.headers
        self._route = self.decoder.route_config()
        self._accepted = joined(headers, "accept-encoding")
        if self._accepted is not None:
            self._negotiation = self._join_negotiation()
        if self._accepted is not None and self._removes() and self._is_enabled():
            headers.remove("accept-encoding")
        way = settings.request
        if (
            way is not None and not end_stream and not head.upgrade and way.flag.enabled and way.is_long_enough(headers)
            and way.is_right_type(headers) and "content-encoding" not in headers
        ):
            headers.remove("content-length")
            headers.set("content-encoding", ENCODING)
            self._request = self._make()
            settings.request_stats.compressed.value += 1
        else:
            settings.request_stats.not_compressed.value += 1
        return CONTINUE

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of its body."""
        if self._request is not None:
            _compress(self._request, data, end_stream, False, self._settings.request_stats)
        return CONTINUE

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """The end, for which zlib has bytes of its own."""
        if self._request is not None:
            self.decoder.add_decoded_data(_end(self._request, self._settings.request_stats), True)
        return CONTINUE

    # -- the response ----------------------------------------------------------------------------------------------

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Decide. Even a response that stays as it is may say that it varies by accept-encoding, for caches."""
        settings, headers, way = self._settings, head.headers, self._settings.response
        if self._route is None:
            self._route = self.encoder.route_config()
        if not self._is_enabled():
            way.stats.not_compressed.value += 1
        elif settings.rules.status_header_enabled:
            self._encode_with_status(head, end_stream)
        else:
            fits = way.is_long_enough(headers)
            asks = fits and not end_stream
            compressible = fits and self._may_be_changed(head) and self._obstacle(head) is None
            accepted = asks and self._is_accepted(headers)
            if accepted and compressible:
                self._begin(headers)
            else:
                way.stats.not_compressed.value += 1
            if compressible:
                _vary(headers)
        return CONTINUE

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of its body."""
        if self._response is not None:
            _compress(self._response, data, end_stream, self._is_local, self._settings.response.stats)
        return CONTINUE

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        """The end, for which zlib has bytes of its own."""
        if self._response is not None:
            self.encoder.add_encoded_data(_end(self._response, self._settings.response.stats), True)
        return CONTINUE

    def _encode_with_status(self, head: ResponseHead, end_stream: bool) -> None:
        """The same, and say why. What the client accepts is asked only of a response that could be compressed."""
        headers, way = head.headers, self._settings.response
        obstacle: Optional[str] = ""
        if self._may_be_changed(head):
            obstacle = self._obstacle(head) if way.is_long_enough(headers) else "ContentLengthTooSmall"
        if obstacle is None:
            _vary(headers)
            if not end_stream and self._is_accepted(headers):
                length = headers.get("content-length") or ""
                self._begin(headers)
                headers.add(_STATUS_HEADER, f"{ENCODING};Compressed;OriginalLength={length}")
                return
        elif obstacle and not end_stream:
            headers.add(_STATUS_HEADER, f"{ENCODING};{obstacle}")
        way.stats.not_compressed.value += 1

    def _may_be_changed(self, head: ResponseHead) -> bool:
        """Whether it is a plain body that may be encoded. The payload of a tunnel is none."""
        headers = head.headers
        return not (
            forbids_transformation(headers) or "content-encoding" in headers or opens_tunnel(self.encoder.request, head)
        )

    def _obstacle(self, head: ResponseHead) -> Optional[str]:
        """What configured rule forbids to compress a response, None for none."""
        settings = self._settings
        if not settings.response.is_right_type(head.headers):
            return "ContentTypeNotAllowed"
        if settings.rules.disable_on_etag_header and "etag" in head.headers:
            settings.not_compressed_etag.value += 1
            return "EtagNotAllowed"
        return "StatusCodeNotAllowed" if head.status in settings.rules.uncompressible_response_codes else None

    def _is_accepted(self, headers: Headers) -> bool:
        settings = self._settings
        if self._accepted is None or self._negotiation is None:
            settings.no_accept_header.value += 1
            return False
        choice = self._negotiation.choice(self._accepted, headers, settings.choose_first)
        settings.choices[choice].value += 1
        return choice is USED or choice is WILDCARD

    def _begin(self, headers: Headers) -> None:
        """The tag of the content as it was does not tell the compressed content (RFC 9110, section 8.8.3)."""
        tag = headers.get("etag")
        if tag is not None and not tag.startswith(_WEAK):
            if self._settings.rules.weaken_etag_on_compress:
                headers.set("etag", f"W/{tag}")
            else:
                headers.remove("etag")
        headers.remove("content-length")
        headers.set("content-encoding", ENCODING)
        self._response = self._make()
        self._settings.response.stats.compressed.value += 1

    def on_local_reply(self, status: int, details: str) -> None:
        """The body will come in one piece, with its end."""
        self._is_local = True

    # -- both ------------------------------------------------------------------------------------------------------

    def _join_negotiation(self) -> _Negotiation:
        info = self.decoder.info
        shared = info.filter_state.get(_STATE)
        if not isinstance(shared, _Negotiation):
            shared = _Negotiation()
            info.set_filter_state(_STATE, shared)
        shared.ways.append(self._settings.response)
        return shared

    def _is_enabled(self) -> bool:
        route = self._route
        if route is not None and route.enabled is not None:
            return route.enabled
        return self._settings.response.flag.enabled

    def _removes(self) -> bool:
        route = self._route
        if route is not None and route.removes is not None:
            return route.removes
        return self._settings.rules.remove_accept_encoding_header

    def _make(self) -> Any:
        route = self._route
        make = route.factory if route is not None and route.factory is not None else self._settings.factory
        return make()


def _compress(compressor: Any, data: Buffer, end_stream: bool, at_once: bool, stats: DirectionStats) -> None:
    """at_once: with its end this is all of the body. Else it is flushed, and then ended, as if the end had come on its own: in
    Envoy it does, and so the sizes are the same."""
    stats.total_uncompressed_bytes.value += data.size
    compressed = b""
    if data.size:
        compressed = compressor.compress(data.take())
        if not at_once:
            compressed += compressor.flush(zlib.Z_SYNC_FLUSH)
    if end_stream:
        compressed += compressor.flush(zlib.Z_FINISH)
    stats.total_compressed_bytes.value += len(compressed)
    data.append(compressed)


def _end(compressor: Any, stats: DirectionStats) -> Buffer:
    rest = compressor.flush(zlib.Z_FINISH)
    stats.total_compressed_bytes.value += len(rest)
    return Buffer(rest)


def _vary(headers: Headers) -> None:
    """Add Accept-Encoding to `vary`, in Envoy's spelling, unless it is there in that spelling."""
    value = joined(headers, "vary")
    if value is None:
        headers.set("vary", "Accept-Encoding")
    elif "Accept-Encoding" not in tokens(value):
        headers.set("vary", f"{value}, Accept-Encoding")
