"""envoy.extensions.upstreams.http.v3: how HTTP is spoken with the hosts of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, message, optional, plain
from ..kinds import Bool, String
from ..nested import Nested
from .http_protocol import CommonHttpProtocolOptions, Http1ProtocolOptions

_NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@message("envoy.config.core.v3.UpstreamHttpProtocolOptions")
@dataclass(eq=False, repr=False)
class UpstreamHttpProtocolOptions(Message):
    """What TLS takes from a request."""

    auto_sni: bool = plain(Bool(), help="The TLS server name is the request's host.")
    auto_san_validation: bool = plain(Bool(), help="The server's certificate must have that name.")
    override_auto_sni_header: str = plain(String(), help="The name is in this header, if the request has it.")


@message(f"{_NAME}.ExplicitHttpConfig", unsupported=("http2_protocol_options", "http3_protocol_options"),
         required_oneofs=("protocol_config",))
@dataclass(eq=False, repr=False)
class ExplicitHttpConfig(Message):
    """Always this protocol."""

    http_protocol_options: Optional[Http1ProtocolOptions] = optional(Nested(Http1ProtocolOptions), oneof="protocol_config")


@message(f"{_NAME}.UseDownstreamHttpConfig", unsupported=("http2_protocol_options", "http3_protocol_options"))
@dataclass(eq=False, repr=False)
class UseDownstreamHttpConfig(Message):
    """The protocol of the client, which is HTTP/1 always."""

    http_protocol_options: Optional[Http1ProtocolOptions] = optional(Nested(Http1ProtocolOptions))


@message(
    _NAME,
    unsupported=(
        "auto_config", "http_filters", "header_validation_config", "outlier_detection", "retry_policy",
        "request_mirror_policies", "hash_policy",
    ),
    required_oneofs=("upstream_protocol_options",),
)
@dataclass(eq=False, repr=False)
class HttpProtocolOptions(Message):
    """All of it, for a cluster's `typed_extension_protocol_options`."""

    common_http_protocol_options: Optional[CommonHttpProtocolOptions] = optional(Nested(CommonHttpProtocolOptions))
    upstream_http_protocol_options: Optional[UpstreamHttpProtocolOptions] = optional(Nested(UpstreamHttpProtocolOptions))
    explicit_http_config: Optional[ExplicitHttpConfig] = optional(
        Nested(ExplicitHttpConfig), oneof="upstream_protocol_options"
    )
    use_downstream_protocol_config: Optional[UseDownstreamHttpConfig] = optional(
        Nested(UseDownstreamHttpConfig), oneof="upstream_protocol_options"
    )

    @property
    def http1(self) -> Optional[Http1ProtocolOptions]:
        """The options of HTTP/1, wherever they stand."""
        for one in (self.explicit_http_config, self.use_downstream_protocol_config):
            if one is not None and one.http_protocol_options is not None:
                return one.http_protocol_options
        return None
