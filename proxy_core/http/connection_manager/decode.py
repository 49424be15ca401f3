"""The way of a request through the filters: the last one, the router, consumes. See `iteration`.

What is kept of a body is bounded by `limit`: a filter that buffers ends the request with 413 over it, one that streams has
reading from the client paused instead.
"""

from __future__ import annotations

from typing import Any, Final, Optional

from ...buffer import Buffer
from .iteration import Iteration

TOO_LARGE: Final = "request_payload_too_large"
KEPT_BODY_HOLDER: Final = "request body kept for a filter is over its limit"


class Decode(Iteration):
    """Towards the upstream. retained: what the last filter has taken and may have to send again; not what is kept for one that
    buffers, which would have that sent twice."""

    __slots__ = ("retained",)

    consumed = True

    def __init__(self, stream: Any, limit: int) -> None:
        super().__init__(stream, limit)
        self.retained: Optional[Buffer] = None

    def add(self, at: int, data: Buffer, streaming: bool) -> None:
        """See `Iteration.add`. The last filter sees to the limit itself."""
        if at + 1 < len(self.slots):
            super().add(at, data, streaming)
        else:
            self.buffer_of(at).move_from(data)

    def buffer_of(self, at: int) -> Buffer:
        """The part of the body that the filter at `at` may look at, apart from the piece that it is given."""
        if at + 1 < len(self.slots):
            if self.kept is None:
                self.kept = Buffer()
            return self.kept
        if self.retained is None:
            self.retained = Buffer()
        return self.retained

    def over_limit(self, streaming: bool) -> None:
        """413, or a pause."""
        if streaming:
            self._stream.pause_sender(KEPT_BODY_HOLDER)
        else:
            self._stream.manager.stats.downstream_rq_too_large.inc()
            self._stream.owner.close_after_response()
            self._stream.send_local_reply(413, b"Payload Too Large", TOO_LARGE)

    def below_limit(self) -> None:
        """The pause is over."""
        self._stream.resume_sender(KEPT_BODY_HOLDER)
