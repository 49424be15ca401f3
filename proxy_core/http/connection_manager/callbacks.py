"""What a filter sees of its stream: `filter_api.DecoderFilterCallbacks` and `EncoderFilterCallbacks` in one object.

Place in the data's way: `chain` makes one per filter and stream. A filter may keep it longer than the stream lives; every call on
a stream that is over does nothing.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Optional

from ...buffer import Buffer
from ...observe.stream_info import StreamInfo
from ..events import RequestHead, ResponseHead
from ..filter_api import WatermarkCallbacks
from ..headers import Headers
from ..route_api import Route
from .holds import StreamHold
from .iteration import Iteration

ABSENT: Final = -1  # the place of a filter in a direction of which it overrides no hook


class FilterCallbacks:
    """decode_at, encode_at: the filter's places in the two iterations."""

    __slots__ = ("name", "connection", "reactor", "info", "decode_at", "encode_at", "_stream")

    def __init__(self, name: str, stream: Any) -> None:
        """stream: the `stream.ActiveStream`, which this module stays below of."""
        self.name = name
        self.connection = stream.connection
        self.reactor = stream.reactor
        self.info: StreamInfo = stream.info
        self.decode_at = ABSENT
        self.encode_at = ABSENT
        self._stream = stream

    # -- both ways -------------------------------------------------------------------------------------------------

    @property
    def request(self) -> RequestHead:
        """The head of the request, as it is now."""
        head: RequestHead = self._stream.head
        return head

    @property
    def response(self) -> Optional[ResponseHead]:
        """The head of the response, once there is one."""
        head: Optional[ResponseHead] = self._stream.response
        return head

    @property
    def route(self) -> Optional[Route]:
        """See `filter_api.StreamCallbacks.route`."""
        route: Optional[Route] = self._stream.route
        return route

    def clear_route_cache(self) -> None:
        """See `filter_api.StreamCallbacks.clear_route_cache`."""
        self._stream.clear_route_cache()

    def route_config(self) -> Optional[Any]:
        """See `filter_api.StreamCallbacks.route_config`."""
        route = self._stream.route
        return None if route is None else route.filter_config(self.name)

    def send_local_reply(
        self, status: int, body: bytes = b"", details: str = "",
        change_headers: Optional[Callable[[Headers], None]] = None,
    ) -> None:
        """See `filter_api.StreamCallbacks.send_local_reply`."""
        self._stream.send_local_reply(status, body, details, change_headers)

    def reset_stream(self, details: str) -> None:
        """See `filter_api.StreamCallbacks.reset_stream`."""
        self._stream.reset(details)

    def hold(self, reason: str) -> StreamHold:
        """See `filter_api.StreamCallbacks.hold`."""
        return StreamHold(self._stream, f"{self.name}: {reason}")

    def schedule(self, delay: float, callback: Callable[[], None], reason: str) -> StreamHold:
        """See `filter_api.StreamCallbacks.schedule`."""
        hold = StreamHold(self._stream, f"{self.name}: {reason}")
        hold.call_in(delay, callback)
        return hold

    # -- the way to the upstream -----------------------------------------------------------------------------------

    @property
    def decoding_buffer(self) -> Buffer:
        """See `filter_api.DecoderFilterCallbacks`."""
        buffer: Buffer = self._stream.decode.buffer_of(self.decode_at)
        return buffer

    @property
    def decoder_buffer_limit(self) -> int:
        """Bytes of it that may be kept."""
        limit: int = self._stream.decode.limit
        return limit

    def set_decoder_buffer_limit(self, limit: int) -> None:
        """Change it, for this stream."""
        self._stream.decode.limit = limit
        self._stream.decode.limit_changed()

    def continue_decoding(self) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        if self._stream.may_decode:
            self._stream.decode.resume(self.decode_at)

    def add_decoded_data(self, data: Buffer, streaming: bool) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        if self._stream.may_decode:
            self._stream.decode.add(self.decode_at, data, streaming)

    def inject_decoded_data(self, data: Buffer, end_stream: bool) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        if self._stream.may_decode:
            self._stream.decode.inject(self.decode_at, data, end_stream)

    def pause_sender(self, holder: str) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.pause_sender(holder)

    def resume_sender(self, holder: str) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.resume_sender(holder)

    def add_downstream_watermark_callbacks(self, callbacks: WatermarkCallbacks) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.watch_client(callbacks)

    def remove_downstream_watermark_callbacks(self, callbacks: WatermarkCallbacks) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.unwatch_client(callbacks)

    def encode_1xx(self, status: int, headers: Headers) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.encode_1xx(status, headers)

    def encode_headers(self, head: ResponseHead, end_stream: bool, details: str) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.encode_headers(head, end_stream, details)

    def encode_data(self, data: Buffer, end_stream: bool) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.encode_data(data, end_stream)

    def encode_trailers(self, trailers: Headers) -> None:
        """See `filter_api.DecoderFilterCallbacks`."""
        self._stream.encode_trailers(trailers)

    def recreate_stream(self) -> bool:
        """See `filter_api.DecoderFilterCallbacks`."""
        done: bool = self._stream.recreate()
        return done

    # -- the way back ----------------------------------------------------------------------------------------------

    @property
    def encoding_buffer(self) -> Buffer:
        """What is kept of the response body."""
        encode: Iteration = self._stream.encode
        if encode.kept is None:
            encode.kept = Buffer()
        return encode.kept

    @property
    def encoder_buffer_limit(self) -> int:
        """Bytes of it that may be kept."""
        limit: int = self._stream.encode.limit
        return limit

    def continue_encoding(self) -> None:
        """See `filter_api.EncoderFilterCallbacks`."""
        if not self._stream.interrupted:
            self._stream.encode.resume(self.encode_at)

    def add_encoded_data(self, data: Buffer, streaming: bool) -> None:
        """See `filter_api.EncoderFilterCallbacks`."""
        if not self._stream.interrupted:
            self._stream.encode.add(self.encode_at, data, streaming)

    def inject_encoded_data(self, data: Buffer, end_stream: bool) -> None:
        """See `filter_api.EncoderFilterCallbacks`."""
        if not self._stream.interrupted:
            self._stream.encode.inject(self.encode_at, data, end_stream)

    def pause_producer(self) -> None:
        """See `filter_api.EncoderFilterCallbacks`."""
        self._stream.tell_above_high()

    def resume_producer(self) -> None:
        """See `filter_api.EncoderFilterCallbacks`."""
        self._stream.tell_below_low()
