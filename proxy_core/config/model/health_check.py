"""envoy.config.core.v3.HealthCheck with what belongs to it: how a cluster asks its hosts whether they are well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Final, List, Optional, Type

from ..descriptor import Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Bytes, Duration, Enum, String, Struct, UInt32, UInt64
from ..nested import AnyOf, AnyValue, Nested
from .core import Int64Range, TypedExtensionConfig
from .header_value import HeaderValueOption, check_header_text
from .matcher import StringMatcher
from .proxy_protocol import ProxyProtocolConfig

_POSITIVE = Duration(gt=0)
REQUEST_METHOD = Enum(
    METHOD_UNSPECIFIED=0, GET=1, HEAD=2, POST=3, PUT=4, DELETE=5, CONNECT=6, OPTIONS=7, TRACE=8, PATCH=9
)
_STATUS_RANGES: Final = {"expected_statuses": "expected", "retriable_statuses": "retriable"}


@message("envoy.config.core.v3.HealthCheck.Payload", required_oneofs=("payload",))
@dataclass(eq=False, repr=False)
class Payload(Message):
    """Bytes to send, or to find in what came."""

    text: Optional[str] = optional(String(min_len=1), oneof="payload", help="Hexadecimal digits: '50494e47'.")
    binary: Optional[bytes] = optional(Bytes(), oneof="payload", help="Base64.")

    def check(self, report: Report) -> None:
        if self.text:
            try:
                bytes.fromhex(self.text)
            except ValueError:
                report("text", f"invalid hex string '{self.text}'")

    @property
    def data(self) -> bytes:
        """The bytes meant."""
        return bytes.fromhex(self.text) if self.text is not None else self.binary or b""


@message("envoy.config.core.v3.HealthCheck.HttpHealthCheck", unsupported=("send", "use_alpn_protocol"))
@dataclass(eq=False, repr=False)
class HttpHealthCheck(Message):
    """A request, and which answers are good ones."""

    host: str = plain(String(), help="Host header; default: the name of the cluster.")
    path: str = plain(String(min_len=1), help="With the query: '/health?full=1'.")
    receive: List[Payload] = repeated(Nested(Payload), help="What the body must contain, in this order.")
    request_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption))
    request_headers_to_remove: List[str] = repeated(String(min_len=1))
    expected_statuses: List[Int64Range] = repeated(Nested(Int64Range), help="Default: 200.")
    codec_client_type: str = plain(Enum(HTTP1=0, HTTP2=1, HTTP3=2), help="Only HTTP1 is supported.")
    service_name_matcher: Optional[StringMatcher] = optional(
        Nested(StringMatcher), help="For the answer's x-envoy-upstream-healthchecked-cluster."
    )
    retriable_statuses: List[Int64Range] = repeated(
        Nested(Int64Range), help="Failures that count up to unhealthy_threshold; others act at once."
    )
    method: str = plain(REQUEST_METHOD, help="Default: GET.")
    response_buffer_size: Optional[int] = optional(UInt64(), help="Bytes of body to look at; default 1024, 0 = all.")

    def check(self, report: Report) -> None:
        if self.method == "CONNECT":
            report("method", "CONNECT can't be the method of a health check")
        if self.codec_client_type != "HTTP1":
            report("codec_client_type", f"{self.codec_client_type} is not supported by proxy_core")
        for field in ("host", "path"):
            check_header_text(getattr(self, field), report, field)
        for index, option in enumerate(self.request_headers_to_add):
            if option.header is not None and _is_fixed(option.header.key):
                report(f"request_headers_to_add[{index}].header.key", ":-prefixed or host headers may not be modified")
        for index, header in enumerate(self.request_headers_to_remove):
            if _is_fixed(header):
                report(f"request_headers_to_remove[{index}]", ":-prefixed or host headers may not be removed")
        for field, name in _STATUS_RANGES.items():
            for index, one in enumerate(getattr(self, field)):
                _check_statuses(one, report, f"{field}[{index}]", name)


def _is_fixed(header: str) -> bool:
    return header.startswith(":") or header.lower() == "host"


def _check_statuses(one: Int64Range, report: Report, field: str, name: str) -> None:
    if one.start >= one.end:
        text = f"Invalid http {name} status range: expecting start < end, but found start={one.start} and end={one.end}"
        report(field, text)
    elif one.start < 100:
        report(field, f"Invalid http {name} status range: expecting start >= 100, but found start={one.start}")
    elif one.end > 600:
        report(field, f"Invalid http {name} status range: expecting end <= 600, but found end={one.end}")


@message("envoy.config.core.v3.HealthCheck.TcpHealthCheck")
@dataclass(eq=False, repr=False)
class TcpHealthCheck(Message):
    """A connection; with `receive` also an exchange of bytes."""

    send: Optional[Payload] = optional(Nested(Payload), help="Only sent if something is to be received.")
    receive: List[Payload] = repeated(Nested(Payload), help="Must come in this order; other bytes may lie between.")
    proxy_protocol_config: Optional[ProxyProtocolConfig] = optional(
        Nested(ProxyProtocolConfig), help="Begin with a PROXY protocol header."
    )


@message("envoy.config.core.v3.HealthCheck.CustomHealthCheck")
@dataclass(eq=False, repr=False)
class CustomHealthCheck(Message):
    """A kind of check that is an extension."""

    name: str = plain(String(min_len=1), help="Free text; the type decides.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")


@message("envoy.config.core.v3.HealthCheck.TlsOptions")
@dataclass(eq=False, repr=False)
class TlsOptions(Message):
    """TLS of the checks' connections, where it differs from that of the traffic."""

    alpn_protocols: List[str] = repeated(String())


@message(
    "envoy.config.core.v3.HealthCheck",
    unsupported=("grpc_health_check", "event_service"),
    required_oneofs=("health_checker",),
)
@dataclass(eq=False, repr=False)
class HealthCheck(Message):
    """One way to ask, how often, and how many answers it takes."""

    timeout: Optional[float] = optional(_POSITIVE, required=True, help="For an answer.")
    interval: Optional[float] = optional(_POSITIVE, required=True, help="Between an answer and the next question.")
    interval_jitter: Optional[float] = optional(Duration(), help="Up to so much is added to every interval.")
    unhealthy_threshold: Optional[int] = optional(UInt32(), required=True, help="Failures in a row.")
    healthy_threshold: Optional[int] = optional(UInt32(), required=True, help="Successes in a row; the first is enough.")
    alt_port: Optional[int] = optional(UInt32(lte=65535), help="Of no effect; the endpoint's health_check_config has one.")
    reuse_connection: Optional[bool] = optional(Bool(), help="Default true.")
    http_health_check: Optional[HttpHealthCheck] = optional(Nested(HttpHealthCheck), oneof="health_checker")
    tcp_health_check: Optional[TcpHealthCheck] = optional(Nested(TcpHealthCheck), oneof="health_checker")
    no_traffic_interval: Optional[float] = optional(
        _POSITIVE, help="As long as the cluster never had a connection; default 60s."
    )
    custom_health_check: Optional[CustomHealthCheck] = optional(Nested(CustomHealthCheck), oneof="health_checker")
    unhealthy_interval: Optional[float] = optional(_POSITIVE, help="While unhealthy; default: interval.")
    unhealthy_edge_interval: Optional[float] = optional(
        _POSITIVE, help="After a failure that is not yet one too many; default: unhealthy_interval."
    )
    healthy_edge_interval: Optional[float] = optional(
        _POSITIVE, help="After a success that is not yet enough; default: interval."
    )
    event_log_path: str = plain(String(), deprecated=True, help="Use event_logger.")
    interval_jitter_percent: int = plain(UInt32(), help="Up to so many percent are added to every interval.")
    always_log_health_check_failures: bool = plain(Bool(), help="Not only the first and what changes something.")
    initial_jitter: Optional[float] = optional(Duration(), help="The first question waits up to so long.")
    tls_options: Optional[TlsOptions] = optional(Nested(TlsOptions))
    transport_socket_match_criteria: Optional[Dict[str, Any]] = optional(
        Struct(), help="For the cluster's transport_socket_matches, instead of the host's metadata."
    )
    no_traffic_healthy_interval: Optional[float] = optional(
        _POSITIVE, help="As no_traffic_interval, while healthy; default: that."
    )
    event_logger: List[TypedExtensionConfig] = repeated(Nested(TypedExtensionConfig))
    always_log_health_check_success: bool = plain(Bool())
    name: str = plain(String(), help="Required, and unique, if there are several.")


@message("envoy.extensions.health_checkers.redis.v3.Redis", unsupported=("aws_iam",))
@dataclass(eq=False, repr=False)
class Redis(Message):
    """A PING, or a key that must not exist."""

    key: str = plain(String(), help="Healthy as long as EXISTS says that this key is not there; default: PING.")


@message("envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink")
@dataclass(eq=False, repr=False)
class HealthCheckEventFileSink(Message):
    """Events as lines of JSON in a file."""

    event_log_path: str = plain(String(min_len=1))


# Messages of this module that an `Any` may hold.
HEALTH_CHECK_TYPES: Final[List[Type[Message]]] = [Redis, HealthCheckEventFileSink]


def check_names(checks: List[HealthCheck], report: Report) -> None:
    """Report what Envoy refuses about the names of several checks of one cluster."""
    seen: Dict[str, int] = {}
    for index, check in enumerate(checks if len(checks) > 1 else []):
        field = f"health_checks[{index}].name"
        if not check.name:
            text = f"health check at index {index} is missing a name"
            report(field, f"{text}; all health checks must have a name when multiple health checks are configured")
        elif check.name in seen:
            report(field, f"duplicate health check name '{check.name}'")
        seen[check.name] = index
