"""Whether a request can still go on: a filter that stopped it and forgot it is found out, and reported once.

Place in the data's way: none. A stream whose filter stops notes that here, which costs two operations of a dict; if it still is
so a second later it is looked at. A filter that waits for something says so by `callbacks.hold(...)` or
`callbacks.schedule(...)`. What else can wake it is more of the message, if it is offered more.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Optional

from ...event.timers import Timer
from ...network.settings import Stall
from .iteration import Iteration, Slot

SUSPECT_AFTER: Final = 1.0  # seconds, as `filters.chain` gives a network filter
REQUEST: Final = "request"
RESPONSE: Final = "response"
MOST_OF_A_LINE: Final = 120  # characters of a request line in a log


class Parked(NamedTuple):
    """What holds a stream up. direction: REQUEST or RESPONSE. since: in the reactor's seconds."""

    name: str
    direction: str
    since: float
    kept: int
    slot: Slot
    iteration: Iteration


def parked(stream: Any) -> Optional[Parked]:
    """stream: an `ActiveStream`. None if no filter holds it up; one that answers the request itself need not let it go on."""
    if stream.over:
        return None
    response = stream.encode.parked()
    if response is not None:
        return _parked(stream.encode, response, RESPONSE)
    request = stream.decode.parked() if stream.response is None else None
    return _parked(stream.decode, request, REQUEST) if request is not None else None


def _parked(iteration: Iteration, slot: Slot, direction: str) -> Parked:
    kept = iteration.kept.size if iteration.kept is not None else 0
    return Parked(slot.name, direction, slot.since, kept, slot, iteration)


def is_stuck(stream: Any, found: Parked) -> bool:
    """Whether nothing is left that could wake it."""
    return not stream.holds and not found.iteration.offers_more_to(found.slot)


def request_line(stream: Any) -> str:
    """Of its request, as it is now and not too long: "GET /index.html"."""
    head = stream.head
    if head is None:
        return "without a head yet"
    line = f"{head.method} {head.path or head.authority}"
    return line if len(line) <= MOST_OF_A_LINE else f"{line[:MOST_OF_A_LINE]}..."


class StallWatch:
    """Of one stream, from the first time that a filter stopped it. A `event.reactor.Settling`."""

    __slots__ = ("_stream", "_asked_at", "_timer", "_reported", "_reported_since")

    def __init__(self, stream: Any) -> None:
        """stream: the `stream.ActiveStream`, which this module stays below of."""
        self._stream = stream
        self._asked_at = 0.0
        self._timer: Optional[Timer] = None
        self._reported: Optional[Slot] = None
        self._reported_since = 0.0

    def look_later(self) -> None:
        """Something may be left waiting: look at it in `SUSPECT_AFTER` seconds."""
        reactor = self._stream.reactor
        self._asked_at = reactor.now
        if self._timer is None:
            reactor.settle_later(self)

    def settle(self) -> None:
        """It has lasted long enough to be worth a timer."""
        stream = self._stream
        if parked(stream) is not None:
            self._timer = stream.reactor.timers.at(self._asked_at + SUSPECT_AFTER, self._look, stream.connection)

    def stop(self) -> None:
        """The stream is over."""
        self._stream.reactor.unsettled.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def stalled(self) -> bool:
        """Whether it is stalled, and was reported as that."""
        slot = self._reported
        return slot is not None and slot.since == self._reported_since

    def _look(self) -> None:
        self._timer = None
        stream = self._stream
        if self._asked_at + SUSPECT_AFTER > stream.reactor.now:  # asked again since
            self.settle()
            return
        found = parked(stream)
        if found is None or self.stalled or not is_stuck(stream, found):
            return
        self._reported, self._reported_since = found.slot, found.since
        stall = Stall(found.name, found.since, found.kept, False, request_line(stream))
        stream.connection.settings.on_stall(stream.connection, stall)
