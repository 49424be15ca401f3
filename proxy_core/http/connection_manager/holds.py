"""What the parked filters of a stream wait for: named, so that operators can see it, and undone when the stream is over."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...event.timers import Timer


class StreamHold:
    """`filters.api.Hold` of an HTTP filter, and what `schedule` answers. timer: what it waits for, None if that is not time."""

    __slots__ = ("reason", "timer", "_stream", "_callback")

    def __init__(self, stream: Any, reason: str) -> None:
        """stream: the `stream.ActiveStream`, which this module stays below of."""
        self.reason = reason
        self._stream = stream
        self.timer: Optional[Timer] = None
        self._callback: Optional[Callable[[], None]] = None
        if not stream.over:
            stream.holds += (self,)

    def call_in(self, delay: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `delay` seconds, unless this is released before or the stream is over."""
        if self._stream.over:
            return
        self._callback = callback
        self.timer = self._stream.reactor.after(delay, self._fire, self._stream.connection)

    def release(self) -> None:
        """The promise is kept or void. Harmless to call twice."""
        self.stop_timer()
        stream = self._stream
        stream.holds = tuple(hold for hold in stream.holds if hold is not self)
        if not stream.holds and stream.stall_watch is not None:
            stream.stall_watch.look_later()

    cancel = release

    def stop_timer(self) -> None:
        """Nothing is to be called any more."""
        self._callback = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _fire(self) -> None:
        callback = self._callback
        self.release()
        if callback is not None:
            callback()
