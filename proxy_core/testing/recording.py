"""Filters and callbacks that write down what they are told, and do what a test tells them to."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from ..buffer import Buffer
from ..filters.api import CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus

Call = Tuple[Any, ...]


class RecordingFilter:
    """A read and write filter. `log` may be shared: each entry starts with the filter's name.

    on_data_do, on_new_do, on_write_do, on_event_do: called with what the method got; a status that they return is the answer.
    The default answer of `on_data` is to keep the bytes (in `data`), drain them and stop, as a last filter does.
    """

    def __init__(
        self,
        name: str = "f",
        log: Optional[List[Call]] = None,
        on_data_do: Optional[Callable[[Buffer, bool], Any]] = None,
        on_new_do: Optional[Callable[[], Any]] = None,
        on_write_do: Optional[Callable[[Buffer, bool], Any]] = None,
        on_event_do: Optional[Callable[[ConnectionEvent], Any]] = None,
        half_close: bool = False,
    ) -> None:
        self.name = name
        self.log: List[Call] = [] if log is None else log
        self.data = bytearray()
        self.ends = 0
        self.callbacks: Any = None
        self.write_callbacks: Any = None
        self.on_data_do = on_data_do
        self.on_new_do = on_new_do
        self.on_write_do = on_write_do
        self.on_event_do = on_event_do
        self._half_close = half_close

    def initialize_read_filter_callbacks(self, callbacks: Any) -> None:
        self.callbacks = callbacks
        if self._half_close:
            callbacks.connection.half_close_enabled = True

    def initialize_write_filter_callbacks(self, callbacks: Any) -> None:
        self.write_callbacks = callbacks

    def on_new_connection(self) -> FilterStatus:
        self.log.append((self.name, "new"))
        return self._answer(self.on_new_do() if self.on_new_do else None, CONTINUE)

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.log.append((self.name, "data", bytes(data), end_stream))
        self.ends += end_stream
        if self.on_data_do is not None:
            return self._answer(self.on_data_do(data, end_stream), STOP_ITERATION)
        self.data += data.take()
        return STOP_ITERATION

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.log.append((self.name, "write", bytes(data), end_stream))
        return self._answer(self.on_write_do(data, end_stream) if self.on_write_do else None, CONTINUE)

    def on_event(self, event: ConnectionEvent) -> None:
        self.log.append((self.name, event.value))
        if self.on_event_do is not None:
            self.on_event_do(event)

    @staticmethod
    def _answer(given: Any, default: FilterStatus) -> FilterStatus:
        return given if isinstance(given, FilterStatus) else default


class RecordingCallbacks:
    """Connection callbacks: events and watermark crossings, in order."""

    def __init__(self, log: Optional[List[Call]] = None, do: Optional[Callable[[str], Any]] = None) -> None:
        self.log: List[Call] = [] if log is None else log
        self._do = do

    def on_event(self, event: ConnectionEvent) -> None:
        self._tell(event.value)

    def on_above_write_buffer_high_watermark(self) -> None:
        self._tell("high")

    def on_below_write_buffer_low_watermark(self) -> None:
        self._tell("low")

    def _tell(self, what: str) -> None:
        self.log.append(("callbacks", what))
        if self._do is not None:
            self._do(what)
