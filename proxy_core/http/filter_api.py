"""What an HTTP filter is, and what the connection manager gives it. Mirrors `envoy/http/filter.h`.

Place in the data's way: codec -> stream -> *decode* methods of the filters in the order of the configuration, the router last;
the answer comes back through the *encode* methods in the reverse order. Each stream (one request with its response) has filter
instances of its own. Inherit from `HttpFilter` and write only the methods you need: a hook that a class does not override
costs nothing, because the chain is sorted out once per configuration.

What a status means, and who may answer it:

    CONTINUE                       all        the next filter gets its turn
    STOP_ITERATION                 headers    later filters don't see the headers yet; data still reaches this filter
                                   trailers   later filters don't see the trailers yet
    CONTINUE_AND_DONT_END_STREAM   headers    go on although the message ended: this filter will add a body
    STOP_ALL_AND_BUFFER            headers    nothing more runs, here or later, until `continue_...`; the body is kept, and one
                                              over the limit ends the stream (413, or 500 on the way back)
    STOP_ALL_AND_WATERMARK         headers    the same, but over the limit the sender is paused instead
    STOP_AND_BUFFER                data       keep the bytes in the manager's buffer, within the limit as above
    STOP_AND_WATERMARK             data       keep them, and pause the sender over the limit
    STOP_NO_BUFFER                 data       this filter took the bytes; nothing is kept

A filter that stopped headers goes on with `continue_decoding()` / `continue_encoding()`, or by answering CONTINUE to data.
`end_stream` is told exactly once, with the last piece: headers, data or trailers.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Final, Mapping, Optional, Protocol

from ..buffer import Buffer
from ..filters.api import Hold
from ..observe.stream_info import StreamInfo
from .events import RequestHead, ResponseHead
from .headers import Headers
from .route_api import Route


class FilterStatus(enum.Enum):
    """A filter's answer; see the table above."""

    CONTINUE = "continue"
    STOP_ITERATION = "stop iteration"
    CONTINUE_AND_DONT_END_STREAM = "continue and don't end stream"
    STOP_ALL_AND_BUFFER = "stop all iteration and buffer"
    STOP_ALL_AND_WATERMARK = "stop all iteration and watermark"
    STOP_AND_BUFFER = "stop iteration and buffer"
    STOP_AND_WATERMARK = "stop iteration and watermark"
    STOP_NO_BUFFER = "stop iteration, no buffer"


CONTINUE: Final = FilterStatus.CONTINUE
STOP_ITERATION: Final = FilterStatus.STOP_ITERATION
CONTINUE_AND_DONT_END_STREAM: Final = FilterStatus.CONTINUE_AND_DONT_END_STREAM
STOP_ALL_AND_BUFFER: Final = FilterStatus.STOP_ALL_AND_BUFFER
STOP_ALL_AND_WATERMARK: Final = FilterStatus.STOP_ALL_AND_WATERMARK
STOP_AND_BUFFER: Final = FilterStatus.STOP_AND_BUFFER
STOP_AND_WATERMARK: Final = FilterStatus.STOP_AND_WATERMARK
STOP_NO_BUFFER: Final = FilterStatus.STOP_NO_BUFFER


class WatermarkCallbacks(Protocol):
    """Whoever produces bytes for a slower reader."""

    def on_above_write_buffer_high_watermark(self) -> None:
        """More is queued than the limit: stop producing. May come more than once; count them."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """The other half of one call of the above."""


class StreamCallbacks(Protocol):
    """What both directions offer. `connection` is the downstream `network.connection.Connection`, `reactor` its reactor.

    name: the filter's configured name. request: the head of the request, as changed so far. response: the head of the response
    once there is one. route: chosen at the first look and kept until `clear_route_cache()`; None where no route matches.
    """

    name: str
    connection: Any
    reactor: Any
    info: StreamInfo

    @property
    def request(self) -> RequestHead:
        """The head of the request, as changed so far."""

    @property
    def response(self) -> Optional[ResponseHead]:
        """The head of the response, once there is one."""

    @property
    def route(self) -> Optional[Route]:
        """The route of this request as it looks now."""

    def clear_route_cache(self) -> None:
        """The head was changed so that another route may match: choose again at the next look."""

    def route_config(self) -> Optional[Any]:
        """This filter's own configuration for the route (weighted cluster, route, virtual host, route table: the first that
        has one), as `HttpExtension.build_route` prepared it."""

    def send_local_reply(
        self, status: int, body: bytes = b"", details: str = "",
        change_headers: Optional[Callable[[Headers], None]] = None,
    ) -> None:
        """Answer the request here: the response runs through the encode hooks of the filters. After the response has begun the
        stream is reset instead. `details`: Envoy's response code details. Return a STOP status afterwards."""

    def reset_stream(self, details: str) -> None:
        """End the stream without an answer, or in the middle of one; the connection closes."""

    def hold(self, reason: str) -> Hold:
        """Declare what this parked filter waits for; shown to operators."""

    def schedule(self, delay: float, callback: Callable[[], None], reason: str) -> Any:
        """Call `callback` in `delay` seconds unless the stream has ended; has `cancel()`. Counts as a hold until then."""


class DecoderFilterCallbacks(StreamCallbacks, Protocol):
    """The way to the upstream."""

    @property
    def decoding_buffer(self) -> Buffer:
        """What the manager keeps of the request body since a filter has stopped it; for the last filter, what that has added."""

    @property
    def decoder_buffer_limit(self) -> int:
        """Bytes of request body that may be kept."""

    def set_decoder_buffer_limit(self, limit: int) -> None:
        """Change it, for this stream."""

    def continue_decoding(self) -> None:
        """Go on behind this filter, with what was kept."""

    def add_decoded_data(self, data: Buffer, streaming: bool) -> None:
        """Add to the body: kept with the rest if headers or data are stopped (streaming: pause rather than fail over the
        limit), else from inside `decode_trailers` or headers with CONTINUE_AND_DONT_END_STREAM."""

    def inject_decoded_data(self, data: Buffer, end_stream: bool) -> None:
        """Hand exactly these bytes to the filters behind this one."""

    def pause_sender(self, holder: str) -> None:
        """Stop reading the request (Envoy's onDecoderFilterAboveWriteBufferHighWatermark); counted by holder."""

    def resume_sender(self, holder: str) -> None:
        """The other half of `pause_sender`."""

    def add_downstream_watermark_callbacks(self, callbacks: WatermarkCallbacks) -> None:
        """Be told when the client reads too slowly. Told at once if it is so already."""

    def remove_downstream_watermark_callbacks(self, callbacks: WatermarkCallbacks) -> None:
        """Not any more."""

    def encode_1xx(self, status: int, headers: Headers) -> None:
        """An interim response. For the filter that produces the response: the router."""

    def encode_headers(self, head: ResponseHead, end_stream: bool, details: str) -> None:
        """The final head of the response. For the filter that produces it. details: "via_upstream"."""

    def encode_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of its body; taken from `data`."""

    def encode_trailers(self, trailers: Headers) -> None:
        """Its end, with trailers."""

    def recreate_stream(self) -> bool:
        """Route this request again from the start with its present head and kept body (internal redirects). False where that
        is impossible; else the stream is gone when this returns."""


class EncoderFilterCallbacks(StreamCallbacks, Protocol):
    """The way back to the client."""

    @property
    def encoding_buffer(self) -> Buffer:
        """What the manager keeps of the response body."""

    @property
    def encoder_buffer_limit(self) -> int:
        """Bytes of response body that may be kept."""

    def continue_encoding(self) -> None:
        """Go on behind this filter, with what was kept."""

    def add_encoded_data(self, data: Buffer, streaming: bool) -> None:
        """As `add_decoded_data`, on the way back."""

    def inject_encoded_data(self, data: Buffer, end_stream: bool) -> None:
        """Hand exactly these bytes to the filters behind this one on the way back."""

    def pause_producer(self) -> None:
        """Tell whoever produces the response to stop for a while (Envoy's onEncoderFilterAboveWriteBufferHighWatermark)."""

    def resume_producer(self) -> None:
        """The other half of one call of `pause_producer`."""


class HttpFilter:
    """A filter that lets everything through. `decoder` and `encoder` are set before any hook is called."""

    decoder: DecoderFilterCallbacks
    encoder: EncoderFilterCallbacks

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """The request's head, which may be changed in place."""
        return CONTINUE

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of its body, which may be changed in place."""
        return CONTINUE

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """Its end, if there are trailers."""
        return CONTINUE

    def encode_1xx(self, status: int, headers: Headers) -> FilterStatus:
        """An interim response on its way back."""
        return CONTINUE

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """The response's head, which may be changed in place."""
        return CONTINUE

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Some of its body."""
        return CONTINUE

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        """Its end, if there are trailers."""
        return CONTINUE

    def on_local_reply(self, status: int, details: str) -> None:
        """Somebody is about to answer this request without the upstream. Any of the filters may hear it."""

    def on_stream_complete(self) -> None:
        """The stream is about to be logged: the last moment to add to `info`."""

    def on_destroy(self) -> None:
        """The stream is over, however it ended. Cancel what is still under way; no callback may be used any more."""


# Called once per stream for each filter of the chain.
HttpFilterFactory = Callable[[], HttpFilter]


class HttpFactoryContext(Protocol):
    """What an HTTP filter may use of the server: `filters.registry.FactoryContext`, and besides

    scope: the `observe.stats.Scope` of "http.<stat_prefix>."; stat_prefix: that prefix, bare; http_pools: the
    `upstream.http_pool.HttpPools` of the process, pool: its `upstream.tcp_pool.TcpPool`; wall_clock: called for the seconds since
    the epoch; formats: the `http.routing.formatting.Formats`, which compile header values; node_cluster: the cluster that this
    proxy belongs to; health_failed: whether the proxy is to look ill (`/healthcheck/fail`); name: the filter's configured name.
    """

    reactor: Any
    stats: Any
    scope: Any
    clusters: Any
    http_pools: Any
    pool: Any
    wall_clock: Any
    formats: Any
    node_cluster: str
    health_failed: Any
    access_logs: Any
    runtime: Any
    drain: Any
    random: Any
    singletons: Any
    stat_prefix: str
    name: str
    path: str


PerRoute = Mapping[str, Any]
