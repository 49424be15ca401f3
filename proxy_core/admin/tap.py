"""/tap: what the tap filters record, as it happens: JSON lines, as in `observe.tap`. Ours; Envoy's /tap is another thing.

Connections that come while somebody looks on are recorded for him, from their beginning. Who reads slowly misses records, and
is told how many by a line {"type": "lost", "records": 12}; what waits for him is never more than WAITING bytes and a record.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Callable, Final, Optional

from ..event.reactor import Reactor
from ..observe.tap import TapHub
from .api import Request, Response, Sink, text
from .host import AdminHost

JSON_LINES: Final = "application/x-ndjson"
WAITING: Final = 1 << 18
# An empty line so often keeps the connection from looking idle.
SAY_SOMETHING_AFTER: Final = 15.0


def tap(host: AdminHost, request: Request) -> Response:
    """GET /tap. 400 for a number of records that is none."""
    most: Optional[int] = None
    if "records" in request.query:
        try:
            most = int(request.query["records"])
        except ValueError:
            most = 0
        if most < 1:
            return text(f"records: expected a number greater than 0, found '{request.query['records']}'\n", 400)
    begin = functools.partial(
        _begin, host.context.singletons.get(TapHub), host.reactor, request.query.get("name", ""), most
    )
    return Response(200, b"", JSON_LINES, stream=begin)


def _begin(hub: TapHub, reactor: Reactor, name: str, most: Optional[int], sink: Sink) -> Callable[[], None]:
    viewer = TapViewer(hub, reactor, name, most, sink)
    return viewer.stop


class TapViewer:
    """One who looks on. name: "" = all taps. most: records, None = any number."""

    def __init__(self, hub: TapHub, reactor: Reactor, name: str, most: Optional[int], sink: Sink) -> None:
        self._hub = hub
        self._reactor = reactor
        self._name = name
        self._left = most
        self._sink = sink
        self._lost = 0
        self._is_over = False
        self._timer: Any = None
        hub.viewers.append(self)
        self._say_something()

    def show(self, name: str, line: str) -> None:
        """A record."""
        if self._is_over or self._name not in ("", name):
            return
        if self._sink.waiting > WAITING:
            self._lost += 1
            return
        self._tell_lost()
        self._sink.write(line.encode())
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._sink.end()

    def stop(self) -> None:
        """He is gone, or has what he wanted."""
        self._is_over = True
        self._hub.viewers.remove(self)
        self._timer.cancel()

    def _tell_lost(self) -> None:
        if self._lost:
            self._sink.write(json.dumps({"type": "lost", "records": self._lost}).encode() + b"\n")
            self._lost = 0

    def _say_something(self) -> None:
        self._timer = self._reactor.after(SAY_SOMETHING_AFTER, self._say_something)
        if self._sink.waiting <= WAITING:
            self._tell_lost()
            self._sink.write(b"\n")
