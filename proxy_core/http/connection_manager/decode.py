"""The way of a request through the filters: the last one, the router, consumes. See `iteration`.

What is kept of a body is bounded by `limit`: a filter that buffers ends the request with 413 over it, one that streams has
reading from the client paused instead.
"""

from __future__ import annotations

from typing import Any, Final

from .iteration import Iteration

TOO_LARGE: Final = "request_payload_too_large"
KEPT_BODY_HOLDER: Final = "request body kept for a filter is over its limit"


class Decode(Iteration):
    """Towards the upstream."""

    __slots__ = ()

    consumed = True

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
