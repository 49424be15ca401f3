"""How HTTP is spoken with a cluster: the options of its configuration, worked out once. Mirrors
`Upstream::HttpProtocolOptionsConfigImpl`."""

from __future__ import annotations

from typing import Final, NamedTuple

from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.http_upstream import HttpProtocolOptions
from ...http.options import codec_settings
from ...http.settings import Http1Settings

DEFAULT_IDLE_TIMEOUT: Final = 3600.0
DEFAULT_HEADERS_KB: Final = 80
OPTIONS_KEY: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class HttpOptions(NamedTuple):
    """Times in seconds, 0.0 for no limit; max_requests: of one connection, 0 for any number.

    settings: of the codec. per_downstream: no connection is used for two clients. auto_sni: the TLS server name is the request's
    host; sni_header: or this header's value. auto_san: the certificate must have that name.
    """

    settings: Http1Settings
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    max_connection_duration: float = 0.0
    max_requests: int = 0
    max_stream_duration: float = 0.0
    per_downstream: bool = False
    auto_sni: bool = False
    sni_header: str = ""
    auto_san: bool = False


def options_of(config: ClusterConfig) -> HttpOptions:
    """Those of one cluster."""
    given = config.typed_extension_protocol_options.get(OPTIONS_KEY)
    message = given.message if given is not None else None
    if not isinstance(message, HttpProtocolOptions):
        message = HttpProtocolOptions()
    common = message.common_http_protocol_options
    names = message.upstream_http_protocol_options
    kilobytes = DEFAULT_HEADERS_KB if common is None or common.max_response_headers_kb is None else common.max_response_headers_kb
    settings = codec_settings(message.http1, common, kilobytes)
    options = HttpOptions(settings, per_downstream=config.connection_pool_per_downstream_connection)
    if common is not None:
        options = options._replace(
            idle_timeout=DEFAULT_IDLE_TIMEOUT if common.idle_timeout is None else common.idle_timeout,
            max_connection_duration=common.max_connection_duration or 0.0,
            max_requests=common.max_requests_per_connection or 0,
            max_stream_duration=common.max_stream_duration or 0.0,
        )
    if names is not None:
        options = options._replace(
            auto_sni=names.auto_sni, sni_header=names.override_auto_sni_header.lower(), auto_san=names.auto_san_validation
        )
    return options
