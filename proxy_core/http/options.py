"""From the protocol options of a configuration to the settings of the codec, for either side."""

from __future__ import annotations

from typing import Optional

from ..config.model.http_protocol import CommonHttpProtocolOptions, Http1ProtocolOptions
from .settings import Http1Settings, UnderscoreAction


def codec_settings(
    options: Optional[Http1ProtocolOptions],
    common: Optional[CommonHttpProtocolOptions],
    max_headers_kb: int,
    validate_scheme: bool = False,
) -> Http1Settings:
    """What the codec is to do. max_headers_kb: the limit of its side. validate_scheme: see `Http1Settings`."""
    options = options or Http1ProtocolOptions()
    common = common or CommonHttpProtocolOptions()
    return Http1Settings(
        max_headers_kb=max_headers_kb,
        max_headers_count=100 if common.max_headers_count is None else common.max_headers_count,
        accept_http_10=options.accept_http_10,
        enable_trailers=options.enable_trailers,
        allow_absolute_url=options.allow_absolute_url is not False,
        allow_chunked_length=options.allow_chunked_length,
        allow_custom_methods=options.allow_custom_methods,
        headers_with_underscores_action=UnderscoreAction(common.headers_with_underscores_action),
        validate_scheme=validate_scheme,
        proper_case_words=options.header_key_format is not None,
        send_fully_qualified_url=options.send_fully_qualified_url,
    )
