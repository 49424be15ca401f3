"""GET /ui/events: pictures as server-sent events, one viewer at a time.

A viewer has one timer, and only while it is connected. It costs a hundredth of a core at most: what a walk takes
is measured, and the next one begins a hundred times later, within BEAT and LONGEST_BEAT. A viewer who has not yet
taken the last picture gets no other one.

    waiting --timer--> walking --step, step, ...--> sent --> waiting
"""

from __future__ import annotations

import json
from typing import Callable, Dict, Final, Optional

from ...event.timers import Timer
from ..api import Request, Response, Sink
from ..host import AdminHost
from .picture import picture
from .survey import MOST_ROWS, ORDERS, SEVERITY, Moved, Selection, Survey

EVENT_STREAM: Final = "text/event-stream"
BEAT: Final = 0.5  # seconds between two pictures
LONGEST_BEAT: Final = 10.0  # below the half minute after which a silent reply counts as dead
SHARE: Final = 0.01  # of a core
STEP: Final = 100  # connections looked at without a pause, which takes half a millisecond
PAUSE: Final = 0.002  # seconds between two steps
RETRY_MS: Final = 2000  # after which a browser comes back


class Viewer:
    """One stream of pictures, from its beginning until `stop`."""

    __slots__ = ("_host", "_sink", "_wanted", "_timer", "_survey", "_moved", "_spent", "_walked_at")

    def __init__(self, host: AdminHost, sink: Sink, wanted: Selection) -> None:
        self._host = host
        self._sink = sink
        self._wanted = wanted
        self._timer: Optional[Timer] = None
        self._survey: Optional[Survey] = None
        self._moved: Optional[Moved] = None
        self._spent = 0.0
        self._walked_at = 0.0

    def begin(self) -> None:
        """The first picture, at once."""
        self._sink.write(f"retry: {RETRY_MS}\n\n".encode("ascii"))
        self._walk()

    def stop(self) -> None:
        """Nobody looks any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._timer = self._host.reactor.after(seconds, callback)

    def _on_beat(self) -> None:
        if self._sink.waiting:
            self._after(BEAT, self._on_beat)
        else:
            self._walk()

    def _walk(self) -> None:
        host = self._host
        began = host.reactor.clock()
        names = {entry.name for entry in host.listeners.lists}
        self._survey = Survey(host.table.live(), names, self._moved, self._wanted)
        self._spent = host.reactor.clock() - began
        self._step()

    def _step(self) -> None:
        survey, clock = self._survey, self._host.reactor.clock
        assert survey is not None
        began = clock()
        is_complete = survey.step(STEP)
        if is_complete:
            self._send(survey)
        self._spent += clock() - began
        if is_complete:
            self._after(min(max(BEAT, self._spent / SHARE), LONGEST_BEAT), self._on_beat)
        else:
            self._after(PAUSE, self._step)

    def _send(self, survey: Survey) -> None:
        now = self._host.reactor.now
        tree = picture(self._host, survey, max(now - self._walked_at, PAUSE))
        tree["walk_ms"] = round(self._spent * 1000, 2)
        self._walked_at, self._moved, self._survey = now, survey.moved, None
        self._sink.write(b"event: picture\ndata: %b\n\n" % json.dumps(tree, separators=(",", ":")).encode("ascii"))


def events(host: AdminHost, request: Request) -> Response:
    """GET /ui/events. The query selects what is shown one by one: listener, chain, state, cluster, host; order, rows."""
    wanted = selection(request.query)

    def begin(sink: Sink) -> Callable[[], None]:
        viewer = Viewer(host, sink, wanted)
        viewer.begin()
        return viewer.stop
    return Response(200, b"", EVENT_STREAM, stream=begin)


def selection(query: Dict[str, str]) -> Selection:
    """What a query asks for. What makes no sense is not asked for."""
    state, order, rows = query.get("state", ""), query.get("order", ""), query.get("rows", "")
    default = Selection()
    return Selection(
        listener=query.get("listener", ""),
        chain=query.get("chain"),
        state=state if state in SEVERITY else "",
        cluster=query.get("cluster", ""),
        host=query.get("host", ""),
        order=order if order in ORDERS else default.order,
        rows=min(int(rows), MOST_ROWS) if rows.isascii() and rows.isdigit() and len(rows) < 6 else default.rows,
    )
