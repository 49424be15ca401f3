"""One request with its response, decompressed where it is gzip. Mirrors `DecompressorFilter`.

A body that is no gzip, is cut off, or grows too much ends its stream: Envoy passes on what it has and calls that the whole.
"""

from __future__ import annotations

from typing import Callable, Final, Optional

from ....buffer import Buffer
from ....errors import PeerError
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import CONTINUE, STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFactoryContext, HttpFilter
from ....http.headers import Headers
from ....observe.stats import Scope
from ...feature_flag import FeatureFlag
from ..bodies import forbids_transformation, joined, opens_tunnel, tokens
from .config import CommonDirectionConfig, Decompressor
from .gzip import ENCODING, Inflater, InflaterFactory

_BAD_BODY: Final = "decompressor_bad_body"
_CUT_OFF: Final = "the gzip data is incomplete"
_LIBRARY_STATS: Final = (
    "zlib_errno", "zlib_stream_error", "zlib_data_error", "zlib_mem_error", "zlib_buf_error", "zlib_version_error",
)


class Direction:
    """One way: what is decompressed, and its part of the stats."""

    __slots__ = ("flag", "_ignores_no_transform", "decompressed", "not_decompressed", "total_compressed_bytes",
                 "total_uncompressed_bytes")

    def __init__(self, config: Optional[CommonDirectionConfig], context: HttpFactoryContext, scope: Scope) -> None:
        self.flag = FeatureFlag(config.enabled if config is not None else None, context.runtime)
        self._ignores_no_transform = config is not None and config.ignore_no_transform_header
        self.decompressed = scope.counter("decompressed")
        self.not_decompressed = scope.counter("not_decompressed")
        self.total_compressed_bytes = scope.counter("total_compressed_bytes")
        self.total_uncompressed_bytes = scope.counter("total_uncompressed_bytes")

    def begin(self, headers: Headers, make: Callable[[], Inflater]) -> Optional[Inflater]:
        """What decompresses the body behind these headers, which are changed to fit; None if it stays as it is."""
        codings = joined(headers, "content-encoding")
        if codings is not None and self.flag.enabled and (self._ignores_no_transform or not forbids_transformation(headers)):
            first, _, others = codings.partition(",")
            if first.strip(" \t").lower() == ENCODING:
                self.decompressed.value += 1
                headers.remove("content-length")
                if others.strip(" \t"):
                    headers.set("content-encoding", others.strip(" \t"))
                else:
                    headers.remove("content-encoding")
                return make()
        self.not_decompressed.value += 1
        return None

    def inflate(self, body: Inflater, data: Buffer, end_stream: bool) -> None:
        """Replace what is in `data`. Raises `PeerError`."""
        self.total_compressed_bytes.value += data.size
        plain = body.inflate(data.take())
        self.total_uncompressed_bytes.value += len(plain)
        data.append(plain)
        if end_stream and not body.complete:
            raise PeerError(_CUT_OFF)


class Settings:
    """Decided once per configuration."""

    __slots__ = ("factory", "request", "response", "advertises", "_library_scope")

    def __init__(self, config: Decompressor, context: HttpFactoryContext) -> None:
        assert config.decompressor_library is not None
        library = config.decompressor_library
        self.factory = InflaterFactory(library, f"{context.path}.decompressor_library")
        scope = context.scope.scope("decompressor").scope(library.name).scope(ENCODING)
        own, back = config.request_direction_config, config.response_direction_config
        self.request = Direction(own.common_config if own is not None else None, context, scope.scope("request"))
        self.response = Direction(back.common_config if back is not None else None, context, scope.scope("response"))
        self.advertises = own is None or own.advertise_accept_encoding is not False
        self._library_scope = scope.scope("decompressor_library")

    def make(self) -> Inflater:
        """For one body. From the first on the library's stats are listed, as in Envoy."""
        self._library_scope.zeros(counters=_LIBRARY_STATS)
        return self.factory.make()

    def count_error(self) -> None:
        """A body was no good."""
        self._library_scope.counter("zlib_data_error").inc()


class DecompressorFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("_settings", "_request", "_response")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._request: Optional[Inflater] = None
        self._response: Optional[Inflater] = None

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Tell the upstream that gzip is welcome, and look at the request's own coding."""
        settings = self._settings
        if settings.advertises and settings.response.flag.enabled:
            _advertise(head.headers)
        if not end_stream and not head.upgrade:
            self._request = settings.request.begin(head.headers, settings.make)
        return CONTINUE

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of the request's body."""
        if self._request is None:
            return CONTINUE
        try:
            self._settings.request.inflate(self._request, data, end_stream)
        except PeerError:
            self._refuse_request()
            return STOP_NO_BUFFER
        return CONTINUE

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """Its end."""
        if self._request is not None and not self._request.complete:
            self._refuse_request()
            return STOP_ITERATION
        return CONTINUE

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Look at the response's coding."""
        if not end_stream and not opens_tunnel(self.encoder.request, head):
            self._response = self._settings.response.begin(head.headers, self._settings.make)
        return CONTINUE

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of the response's body."""
        if self._response is None:
            return CONTINUE
        try:
            self._settings.response.inflate(self._response, data, end_stream)
        except PeerError:
            self._break_response()
            return STOP_NO_BUFFER
        return CONTINUE

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        """Its end."""
        if self._response is not None and not self._response.complete:
            self._break_response()
            return STOP_ITERATION
        return CONTINUE

    def _refuse_request(self) -> None:
        self._settings.count_error()
        self.decoder.send_local_reply(400, b"Bad Request", _BAD_BODY)

    def _break_response(self) -> None:
        self._settings.count_error()
        self.encoder.reset_stream(_BAD_BODY)


def _advertise(headers: Headers) -> None:
    """Put gzip at the end of `accept-encoding`, without a weight, instead of where it was."""
    value = joined(headers, "accept-encoding") or ""
    others = [token for token in tokens(value) if token and token.partition(";")[0].strip().lower() != ENCODING]
    headers.set("accept-encoding", ",".join([*others, ENCODING]))
