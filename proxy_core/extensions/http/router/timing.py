"""The timers of one request that are not of a single attempt: the route's timeout, and the cluster's limit of a stream.

Nearly all requests are over long before the former, which is 15 s by default: such a timer is set only if the request lives for a
second (`Reactor.settle_later`), and till then costs two operations of a dict.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol

from ....event.timers import SETTLE_AFTER, Timer, Timers


class Clock(Protocol):
    """What the router needs of the reactor."""

    now: float
    timers: Timers
    unsettled: Any

    def after(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` in `delay` seconds."""

    def settle_later(self, one: Any) -> None:
        """See `event.reactor.Reactor`."""


class RouteTimer:
    """Calls once `start(seconds)` have passed, unless it is stopped before."""

    __slots__ = ("_reactor", "_callback", "_due", "_timer")

    def __init__(self, reactor: Clock, callback: Callable[[], None]) -> None:
        self._reactor = reactor
        self._callback: Optional[Callable[[], None]] = callback
        self._due = 0.0
        self._timer: Optional[Timer] = None

    def start(self, seconds: float) -> None:
        """0 = never."""
        reactor = self._reactor
        if seconds > SETTLE_AFTER:
            self._due = reactor.now + seconds
            reactor.settle_later(self)
        elif seconds and self._callback is not None:
            self._timer = reactor.after(seconds, self._callback)

    def settle(self) -> None:
        """The request lasts: see `event.reactor.Settling`."""
        if self._callback is not None:
            self._timer = self._reactor.timers.at(self._due, self._callback)

    @property
    def due(self) -> Optional[float]:
        """When it will call, None if it will not."""
        if self._timer is not None:
            return self._timer.when if self._timer.active else None
        return self._due if self in self._reactor.unsettled else None

    def stop(self) -> None:
        """Don't call, now or ever. Whom it would have called is forgotten: each request would else be a cycle of references,
        which only the garbage collector frees, at 9 % of the instructions of a request."""
        self._callback = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._due:
            self._reactor.unsettled.pop(self, None)
