"""From the protocol options of a configuration to the settings of the codec, for either side."""

from __future__ import annotations

from typing import Callable, Optional

from ..config.model.http_protocol import CommonHttpProtocolOptions, Http1ProtocolOptions
from .settings import Http1Settings, UnderscoreAction


def codec_settings(
    options: Optional[Http1ProtocolOptions],
    common: Optional[CommonHttpProtocolOptions],
    max_headers_kb: int,
    validate_scheme: bool = False,
    on_dropped_headers: Optional[Callable[[int], None]] = None,
) -> Http1Settings:
    """What the codec is to do. max_headers_kb: the limit of its side. validate_scheme, on_dropped_headers: see
    `Http1Settings`; None for the side of a server's responses, whose names Envoy leaves alone."""
    options = options or Http1ProtocolOptions()
    common = common or CommonHttpProtocolOptions()
    settings = Http1Settings(
        max_headers_kb=max_headers_kb,
        max_headers_count=100 if common.max_headers_count is None else common.max_headers_count,
        accept_http_10=options.accept_http_10,
        enable_trailers=options.enable_trailers,
        allow_absolute_url=options.allow_absolute_url is not False,
        allow_chunked_length=options.allow_chunked_length,
        allow_custom_methods=options.allow_custom_methods,
        validate_scheme=validate_scheme,
        proper_case_words=options.header_key_format is not None,
        send_fully_qualified_url=options.send_fully_qualified_url,
    )
    if on_dropped_headers is not None:
        settings.headers_with_underscores_action = UnderscoreAction(common.headers_with_underscores_action)
        settings.on_dropped_headers = on_dropped_headers
    return settings
