"""What a pool and its user say to each other: `Stream` is the user, `ResetReason` why there is no response, or no more of it.

Mirrors `Http::ConnectionPool::Callbacks`, `Http::ResponseDecoder` and `Http::StreamResetReason`.
"""

from __future__ import annotations

import enum
from typing import Any, Final, Optional, Protocol

from ...buffer import Buffer
from ...http.events import ResponseHead
from ...http.headers import Headers
from ...observe.stream_info import StreamInfo
from ..host import Host


class ResetReason(enum.Enum):
    """Envoy's words for it (`Http::Utility::resetReasonToString`), which the client gets to read."""

    CONNECTION_TIMEOUT = "connection timeout"
    REMOTE_CONNECTION_FAILURE = "remote connection failure"
    LOCAL_CONNECTION_FAILURE = "local connection failure"
    CONNECTION_TERMINATION = "connection termination"
    OVERFLOW = "overflow"
    PROTOCOL_ERROR = "protocol error"
    LOCAL_RESET = "local reset"

    __hash__ = object.__hash__


CONNECTION_TIMEOUT: Final = ResetReason.CONNECTION_TIMEOUT
REMOTE_CONNECTION_FAILURE: Final = ResetReason.REMOTE_CONNECTION_FAILURE
LOCAL_CONNECTION_FAILURE: Final = ResetReason.LOCAL_CONNECTION_FAILURE
CONNECTION_TERMINATION: Final = ResetReason.CONNECTION_TERMINATION
OVERFLOW: Final = ResetReason.OVERFLOW
PROTOCOL_ERROR: Final = ResetReason.PROTOCOL_ERROR
LOCAL_RESET: Final = ResetReason.LOCAL_RESET

CONNECT_FAILURES: Final = frozenset((CONNECTION_TIMEOUT, REMOTE_CONNECTION_FAILURE, LOCAL_CONNECTION_FAILURE))


class Stream(Protocol):
    """One request and its response, as the pool's user sees it.

    `on_pool_ready` or `on_pool_failure` comes once. After the former: any number of `on_informational`, `on_head`, any number of
    `on_data`, perhaps `on_trailers`; or `on_reset` at any time, and then nothing more. `end_stream` is told once.
    """

    @property
    def info(self) -> Optional[StreamInfo]:
        """What is known of the client's request, for whoever asks who has a connection. None for one of the proxy's own."""

    def on_pool_ready(self, client: Any, host: Host) -> None:
        """client: the `Http1Client` that is this stream's until its response is complete or it is reset."""

    def on_pool_failure(self, reason: ResetReason, text: str, host: Optional[Host]) -> None:
        """No connection. text: Envoy's transport failure text, or "". host: None if no host was asked."""

    def on_informational(self, status: int, headers: Headers) -> None:
        """A 1xx response other than 101."""

    def on_head(self, head: ResponseHead, end_stream: bool) -> None:
        """The final head."""

    def on_data(self, data: Buffer, end_stream: bool) -> None:
        """Some of the body; `data` is the stream's to keep."""

    def on_trailers(self, trailers: Headers) -> None:
        """The end, with trailers."""

    def on_reset(self, reason: ResetReason, text: str) -> None:
        """The response will not be complete. The connection is gone."""

    def on_above_write_buffer_high_watermark(self) -> None:
        """The upstream takes no more for now."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """It does again."""


class PendingStream(Protocol):
    """What the user has until a connection is ready."""

    def cancel(self) -> None:
        """The user lost interest; its stream hears nothing more."""
