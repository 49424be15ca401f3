"""What the parked filters of a stream wait for: named, so that operators can see it, and undone when the stream is over."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...event.timers import Timer


class StreamHold:
    """`filters.api.Hold` of an HTTP filter, and what `schedule` answers."""

    __slots__ = ("reason", "_stream", "_timer", "_callback")

    def __init__(self, stream: Any, reason: str) -> None:
        """stream: the `stream.ActiveStream`, which this module stays below of."""
        self.reason = reason
        self._stream = stream
        self._timer: Optional[Timer] = None
        self._callback: Optional[Callable[[], None]] = None
        if not stream.over:
            stream.holds += (self,)

    def call_in(self, delay: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `delay` seconds, unless this is released before or the stream is over."""
        if self._stream.over:
            return
        self._callback = callback
        self._timer = self._stream.reactor.after(delay, self._fire, self._stream.connection)

    def release(self) -> None:
        """The promise is kept or void. Harmless to call twice."""
        self.stop_timer()
        self._stream.holds = tuple(hold for hold in self._stream.holds if hold is not self)

    cancel = release

    def stop_timer(self) -> None:
        """Nothing is to be called any more."""
        self._callback = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        callback = self._callback
        self.release()
        if callback is not None:
            callback()
