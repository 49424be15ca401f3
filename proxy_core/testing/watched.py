"""A filter with a witness: every call and its answer is written down, and what breaks the filter contract is named.

The witness stands in the chain in the filter's place and hands everything on. It sees what the engine rightly tolerates and
what nevertheless is a bug: a chain that is continued twice for one stop, bytes injected after the end, an answer that is none.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional

from ..buffer import Buffer
from ..filters.api import (
    CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, Hold, ReadFilterCallbacks, WriteFilterCallbacks,
)

CONTINUES = "continue_reading"
INJECTS_READ = "inject_read_data_to_filter_chain"
INJECTS_WRITE = "inject_write_data_to_filter_chain"


class Call(NamedTuple):
    """One call of a filter's method, or of its callbacks by the filter.

    at: simulated seconds. method: its name. data: the bytes in the buffer when it was called. status: the answer, None where
    there is none or the method raised.
    """

    at: float
    filter: str
    method: str
    data: bytes = b""
    end_stream: bool = False
    status: Optional[FilterStatus] = None


class Witness:
    """What was seen, of all filters of one connection in one list. now: the simulated time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.calls: List[Call] = []
        self.misuses: List[str] = []
        self._now = now

    def begins(self, name: str, method: str, data: bytes = b"", end_stream: bool = False) -> int:
        """A call; the number under which its answer can be added."""
        self.calls.append(Call(self._now(), name, method, data, end_stream))
        return len(self.calls) - 1

    def answered(self, number: int, status: FilterStatus) -> None:
        """The answer to call `number`."""
        self.calls[number] = self.calls[number]._replace(status=status)

    def object_to(self, name: str, what: str) -> None:
        """The filter breaks the contract."""
        self.misuses.append(f"{name}: {what}")


class WatchedFilter:
    """See the module docstring."""

    def __init__(self, inner: Any, name: str, witness: Witness) -> None:
        self.inspects_data = getattr(inner, "inspects_data", True)
        self.name = name
        self.witness = witness
        self._inner = inner
        self._reading = 0  # calls of on_new_connection and on_data that have not returned
        self._continued = False  # within the innermost of them
        self._stopped = False  # and nobody has continued since
        self._injected_end = False

    # -- what the engine calls -------------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """With callbacks that are watched too."""
        self._inner.initialize_read_filter_callbacks(WatchedReadCallbacks(callbacks, self))

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """With callbacks that are watched too."""
        self._inner.initialize_write_filter_callbacks(WatchedWriteCallbacks(callbacks, self))

    def on_new_connection(self) -> FilterStatus:
        """Watched."""
        return self._read("on_new_connection", self.witness.begins(self.name, "on_new_connection"), ())

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Watched."""
        number = self.witness.begins(self.name, "on_data", bytes(data), end_stream)
        return self._read("on_data", number, (data, end_stream))

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Watched."""
        number = self.witness.begins(self.name, "on_write", bytes(data), end_stream)
        status = self._checked("on_write", number, self._inner.on_write(data, end_stream))
        if status is STOP_ITERATION and data.size:
            self.witness.object_to(
                self.name, f"on_write stopped and left {data.size} bytes in the buffer: they are lost, take what you "
                "mean to inject later",
            )
        return status

    def on_event(self, event: ConnectionEvent) -> None:
        """Watched. A pure write filter need not have it."""
        self.witness.begins(self.name, f"on_event {event.value}")
        hears = getattr(self._inner, "on_event", None)
        if hears is not None:
            hears(event)

    def _read(self, method: str, number: int, arguments: Any) -> FilterStatus:
        outer = self._continued
        self._continued = False
        self._reading += 1
        try:
            status = self._checked(method, number, getattr(self._inner, method)(*arguments))
            if self._continued and status is CONTINUE:
                self.witness.object_to(
                    self.name, f"{method} called {CONTINUES}() and answered CONTINUE: the filters behind it run twice; "
                    "answer STOP_ITERATION",
                )
            self._stopped = status is STOP_ITERATION and not self._continued
        finally:
            self._reading -= 1
            self._continued = outer
        return status

    def _checked(self, method: str, number: int, status: Any) -> FilterStatus:
        if not isinstance(status, FilterStatus):
            self.witness.object_to(self.name, f"{method} answered {status!r}: answer CONTINUE or STOP_ITERATION")
            return CONTINUE  # as the engine takes it
        self.witness.answered(number, status)
        return status

    # -- what the filter calls -------------------------------------------------------------------------------------

    def continues(self) -> None:
        """The filter calls `continue_reading`."""
        self.witness.begins(self.name, CONTINUES)
        if self._reading:
            if self._continued:
                self.witness.object_to(self.name, f"{CONTINUES}() twice in one callback")
            self._continued = True
        elif not self._stopped:
            self.witness.object_to(
                self.name, f"{CONTINUES}() though it has not stopped since it last went on: a second continue lets bytes "
                "through that it has not decided on",
            )
        self._stopped = False

    def injects(self, data: Buffer, end_stream: bool) -> None:
        """The filter injects into the read chain."""
        self.witness.begins(self.name, INJECTS_READ, bytes(data), end_stream)
        if self._injected_end:
            self.witness.object_to(self.name, f"injected {data.size} bytes after end_stream: nobody will see them")
        self._injected_end = self._injected_end or end_stream


class WatchedReadCallbacks:
    """The engine, as a watched filter sees it."""

    def __init__(self, inner: ReadFilterCallbacks, watched: WatchedFilter) -> None:
        self.connection = inner.connection
        self.name = inner.name
        self._inner = inner
        self._watched = watched

    def continue_reading(self) -> None:
        """Watched."""
        self._watched.continues()
        self._inner.continue_reading()

    def inject_read_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Watched."""
        self._watched.injects(data, end_stream)
        self._inner.inject_read_data_to_filter_chain(data, end_stream)

    def hold(self, reason: str) -> Hold:
        """Handed on."""
        return self._inner.hold(reason)

    def schedule(self, delay: float, callback: Callable[[], None], reason: str) -> Any:
        """Handed on."""
        return self._inner.schedule(delay, callback, reason)


class WatchedWriteCallbacks:
    """The engine, as a watched write filter sees it."""

    def __init__(self, inner: WriteFilterCallbacks, watched: WatchedFilter) -> None:
        self.connection = inner.connection
        self.name = inner.name
        self._inner = inner
        self._watched = watched

    def inject_write_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Watched."""
        self._watched.witness.begins(self.name, INJECTS_WRITE, bytes(data), end_stream)
        self._inner.inject_write_data_to_filter_chain(data, end_stream)

    def hold(self, reason: str) -> Hold:
        """Handed on."""
        return self._inner.hold(reason)
