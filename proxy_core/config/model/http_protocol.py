"""envoy.config.core.v3, options of the HTTP protocol: the same messages for the client's side (HTTP connection manager) and for
the upstream's (clusters)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Empty, Message, message, optional, plain
from ..kinds import Bool, Duration, Enum, String, UInt32
from ..nested import Nested
from .core import Percent

UNDERSCORES = Enum(ALLOW=0, REJECT_REQUEST=1, DROP_HEADER=2)


@message(
    "envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat", unsupported=("stateful_formatter",),
    required_oneofs=("header_format",),
)
@dataclass(eq=False, repr=False)
class HeaderKeyFormat(Message):
    """How header names are spelt when they are sent."""

    proper_case_words: Optional[Empty] = optional(
        Nested(Empty), oneof="header_format", help="Content-Type instead of content-type."
    )


@message("envoy.config.core.v3.Http1ProtocolOptions", unsupported=("ignore_http_11_upgrade",))
@dataclass(eq=False, repr=False)
class Http1ProtocolOptions(Message):
    """HTTP/1."""

    allow_absolute_url: Optional[bool] = optional(Bool(), help="Default true: take http://host/path in request lines.")
    accept_http_10: bool = plain(Bool(), help="Serve HTTP/1.0 clients; else they get 426.")
    default_host_for_http_10: str = plain(String(), help="The host of HTTP/1.0 requests that name none.")
    header_key_format: Optional[HeaderKeyFormat] = optional(Nested(HeaderKeyFormat), help="Default: lower case.")
    enable_trailers: bool = plain(Bool(), help="Pass trailers on instead of dropping them.")
    allow_chunked_length: bool = plain(Bool(), help="Drop a content-length beside chunked instead of refusing it.")
    override_stream_error_on_invalid_http_message: Optional[bool] = optional(
        Bool(), help="Keep the connection after an invalid request whose end is known."
    )
    send_fully_qualified_url: bool = plain(Bool(), help="Towards upstreams: http://host/path in request lines.")
    use_balsa_parser: Optional[bool] = optional(Bool(), help="Of no effect: there is one parser, and it answers as Balsa.")
    allow_custom_methods: bool = plain(Bool(), help="Take any token as a method.")


@message("envoy.config.core.v3.HttpProtocolOptions")
@dataclass(eq=False, repr=False)
class CommonHttpProtocolOptions(Message):
    """What all HTTP protocols have in common."""

    idle_timeout: Optional[float] = optional(Duration(), help="Of connections without a request. Default 1h; 0s = none.")
    max_headers_count: Optional[int] = optional(UInt32(gte=1), help="Default 100.")
    max_connection_duration: Optional[float] = optional(Duration(), help="Then a connection drains. Default: none.")
    max_stream_duration: Optional[float] = optional(Duration(), help="Of one request with its response. Default: none.")
    headers_with_underscores_action: str = plain(UNDERSCORES, help="What becomes of names such as user_id.")
    max_requests_per_connection: Optional[int] = optional(UInt32(), help="Default 0: any number.")
    max_response_headers_kb: Optional[int] = optional(UInt32(gte=1, lte=8192), help="Of clusters only. Default 80.")
    max_connection_duration_jitter: Optional[Percent] = optional(
        Nested(Percent), help="Added to max_connection_duration, at random up to this."
    )
