"""What a client is told when there is no response: texts, flags and details, word for word Envoy's."""

from __future__ import annotations

from typing import Dict, Final, NamedTuple

from ....upstream.http_pool.api import (
    CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_CONNECTION_FAILURE, LOCAL_RESET, OVERFLOW, PROTOCOL_ERROR,
    REMOTE_CONNECTION_FAILURE, ResetReason,
)

VIA_UPSTREAM: Final = "via_upstream"
CLUSTER_NOT_FOUND: Final = "cluster_not_found"
NO_HEALTHY_UPSTREAM: Final = "no_healthy_upstream"
RESPONSE_TIMEOUT: Final = "response_timeout"
PER_TRY_TIMEOUT: Final = "upstream_per_try_timeout"
PER_TRY_IDLE_TIMEOUT: Final = "upstream_per_try_idle_timeout"
MAX_DURATION: Final = "upstream_max_stream_duration_reached"
RETRY_BUFFER_EXCEEDED: Final = "request_payload_exceeded_retry_buffer_limit"
WEBSOCKET_REFUSED: Final = "websocket_handshake_unsuccessful"
STRICT_CHECK: Final = "request_headers_failed_strict_check"
EARLY_RESET: Final = "upstream_reset_before_response_started"
LATE_RESET: Final = "upstream_reset_after_response_started"
OVERLOADED: Final = "x-envoy-overloaded"

FLAGS: Final[Dict[ResetReason, str]] = {
    CONNECTION_TIMEOUT: "UF", REMOTE_CONNECTION_FAILURE: "UF", LOCAL_CONNECTION_FAILURE: "UF", CONNECTION_TERMINATION: "UC",
    OVERFLOW: "UO", PROTOCOL_ERROR: "UPE", LOCAL_RESET: "LR",
}


class TurnedAway(NamedTuple):
    """How a cluster says that it takes no requests now: a 503. mark: the header that says so."""

    flag: str
    body: bytes
    details: str
    mark: str


MAINTENANCE: Final = TurnedAway("UO", b"maintenance mode", "maintenance_mode", OVERLOADED)
DROP: Final = TurnedAway("DO", b"drop overload", "drop_overload", "x-envoy-drop-overload")
UNCONDITIONAL_DROP: Final = TurnedAway(
    "UDO", b"unconditional drop overload", "unconditional_drop_overload", "x-envoy-unconditional-drop-overload"
)


def reset_body(reason: ResetReason, is_retry: bool) -> bytes:
    """The body of the 503 (502 for a protocol error)."""
    again = "retried and the latest " if is_retry else ""
    return f"upstream connect error or disconnect/reset before headers. {again}reset reason: {reason.value}".encode()


def reset_details(reason: ResetReason, text: str, response_started: bool) -> str:
    """The response code details; HCM makes the blanks underscores. text: of the transport, or ""."""
    kind = LATE_RESET if response_started else EARLY_RESET
    return f"{kind}{{{reason.value}{'|' + text if text else ''}}}".replace(" ", "_")
