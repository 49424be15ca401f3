"""A response body that goes out at a rate: what comes faster waits here. Mirrors `StreamRateLimiter`.

The time is cut into slices, and a slice has so many bytes. What a slow upstream leaves unused can be made up for within a second.
When more waits than the stream may keep, the upstream is told to wait.
"""

from __future__ import annotations

from typing import Any, Final, Optional

from ....buffer import Buffer
from ....http.filter_api import EncoderFilterCallbacks
from ...token_bucket import TokenBucket

SLICE: Final = 0.05  # seconds
SLICES_A_SECOND: Final = 20
WAIT: Final = "response_rate_limit"


class Throttle:
    """rate: KiB a second, at least 1."""

    __slots__ = ("_encoder", "_slice", "_slices", "_waiting", "_timer", "_ended", "_trailers", "_paused", "_begun")

    def __init__(self, encoder: EncoderFilterCallbacks, rate: int) -> None:
        self._encoder = encoder
        self._slice = max(1, int(rate * 1024 * SLICE))
        self._slices = TokenBucket(encoder.reactor, SLICES_A_SECOND, SLICES_A_SECOND, 1.0)
        self._waiting = Buffer()
        self._timer: Optional[Any] = None
        self._ended = False
        self._trailers = False
        self._paused = False
        self._begun = False

    def write(self, data: Buffer, end_stream: bool) -> None:
        """Take some of the body. It goes on from the loop, not from inside this call."""
        if not self._begun:
            self._begun = True
            self._slices.start_with(1)
        self._waiting.move_from(data)
        self._ended = end_stream
        limit = self._encoder.encoder_buffer_limit
        if not self._paused and limit and self._waiting.size > limit:
            self._paused = True
            self._encoder.pause_producer()
        if self._timer is None:
            self._wait(0.0)

    def write_trailers(self) -> bool:
        """The end of the body. True: trailers have to wait for what is left of it."""
        self._trailers = self._waiting.size > 0
        return self._trailers

    def close(self) -> None:
        """The stream is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._timer = self._encoder.schedule(seconds, self._go_on, WAIT)

    def _go_on(self) -> None:
        self._timer = None
        waiting = self._waiting
        taken = self._slices.take_up_to(-(-waiting.size // self._slice))
        passing = Buffer()
        size = min(taken * self._slice, waiting.size)
        if size:
            passing.append(waiting.peek(size))
            waiting.drain(size)
        if waiting.size:
            self._wait(max(self._slices.seconds_to_next(), 0.001))
        elif self._trailers:
            self._encoder.inject_encoded_data(passing, False)
            self._encoder.continue_encoding()
            return
        if self._paused and waiting.size <= self._encoder.encoder_buffer_limit // 2:
            self._paused = False
            self._encoder.resume_producer()
        if passing.size or (self._ended and not waiting.size):
            self._encoder.inject_encoded_data(passing, self._ended and not waiting.size)
