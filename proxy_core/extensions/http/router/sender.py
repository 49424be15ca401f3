"""Where a request comes from, as those see it who forward it: `attempt` and `tunnel`. They pause it, and say why."""

from __future__ import annotations

from typing import Final, Protocol

from ....observe.stream_info import StreamInfo

# On whose behalf reading is paused.
UPSTREAM_FULL: Final = "upstream write buffer over its limit"
NOT_CONNECTED: Final = "waiting for the upstream connection"


class Sender(Protocol):
    """Where the request comes from, as the callbacks of a decoder filter have it."""

    info: StreamInfo

    @property
    def decoder_buffer_limit(self) -> int:
        """Bytes that may be kept before it is paused."""

    def pause_sender(self, holder: str) -> None:
        """It is to send no more for now."""

    def resume_sender(self, holder: str) -> None:
        """It may again."""
