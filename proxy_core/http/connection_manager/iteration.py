"""How the HTTP filters of one stream are run, in one direction. Mirrors Envoy's `Http::FilterManager`.

Place in the data's way: the stream hands head, data and trailers to an `Iteration`, which calls the hooks of the filters one
after the other and obeys their statuses. `decode` (towards the upstream; the last filter consumes) and `encode` (towards the
client; behind the last filter is the codec) differ only in where the limit of the kept body is felt and in what comes last.

What the statuses do to a filter's place (`Slot`):

    RUNNING    it takes part
    STOPPED    it stopped headers, data or trailers: the next piece still reaches it, not those behind it
    FROZEN     it stopped everything: pieces are kept in the manager's buffer until it continues

A filter that has seen the end of the message gets no data that others add. A hook that a filter does not override is None and
counts as CONTINUE. After each hook the stream is looked at: it may be over, or about to be answered.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Optional, Protocol, Sequence

from ...buffer import Buffer
from ..filter_api import (
    CONTINUE, CONTINUE_AND_DONT_END_STREAM, STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK,
    FilterStatus,
)
from ..headers import Headers

RUNNING: Final = "running"
STOPPED: Final = "stopped"
FROZEN: Final = "frozen"

# Which kind of hook is on the stack.
NOTHING: Final = ""
HEADERS: Final = "headers"
DATA: Final = "data"
TRAILERS: Final = "trailers"


class Slot:
    """One filter's place in one direction: its hooks, bound, and how far it has got."""

    __slots__ = ("headers", "data", "trailers", "name", "state", "since", "headers_continued", "ended", "from_here")

    def __init__(
        self,
        name: str,
        headers: Optional[Callable[[Any, bool], FilterStatus]],
        data: Optional[Callable[[Buffer, bool], FilterStatus]],
        trailers: Optional[Callable[[Headers], FilterStatus]],
    ) -> None:
        self.name = name
        self.headers = headers
        self.data = data
        self.trailers = trailers
        self.state = RUNNING
        self.since = 0.0  # when it stopped, if it is not the end of the way; 0.0 while it runs
        self.headers_continued = False  # those behind it have seen the head
        self.ended = False  # it was told end_stream
        self.from_here = False  # what was frozen begins at this filter, not behind it


class Interruptible(Protocol):
    """What an iteration needs of its stream."""

    interrupted: bool

    def filter_stopped(self, slot: Slot) -> None:
        """A filter that is not the end of the way stopped, or still does."""

    def settle_interruption(self) -> None:
        """A hook has returned in which the stream was answered or given up: do now what had to wait for that."""

    def contain(self, error: Exception) -> None:
        """A hook has failed, or has made what can't be sent: end the stream, whoever is on the stack (maybe its upstream)."""


class Iteration:
    """One direction of one stream; `Decode` and `Encode` say where it leads to.

    head, trailers: given when they come. complete: the message's end was seen. kept: the manager's buffer, None until it is
    needed. limit: bytes that may be kept, 0 for any number. calling: the kind of hook that is on the stack.
    """

    __slots__ = ("slots", "head", "trailers", "complete", "kept", "limit", "calling", "_stream", "_streaming", "_paused")

    # Whether the last filter is the end of the way, so that it can't stop anything.
    consumed = False

    def __init__(self, stream: Interruptible, limit: int) -> None:
        self.slots: Sequence[Slot] = ()
        self.head: Any = None
        self.trailers: Optional[Headers] = None
        self.complete = False
        self.kept: Optional[Buffer] = None
        self.limit = limit
        self.calling = NOTHING
        self._stream: Any = stream  # not as `Interruptible`: mypy would take `interrupted` for unchanged by a call
        self._streaming = False
        self._paused = False

    # -- for the two directions ------------------------------------------------------------------------------------

    def head_passed(self, end_stream: bool) -> None:
        """The head is past the last filter."""

    def data_passed(self, data: Buffer, end_stream: bool) -> None:
        """So is this piece; what the filters left of it is to be taken."""

    def trailers_passed(self, trailers: Headers) -> None:
        """So are the trailers."""

    def over_limit(self, streaming: bool) -> None:
        """More is kept than the limit allows. streaming: pause the sender, else the stream fails."""

    def below_limit(self) -> None:
        """Half of the limit or less is kept after a pause."""

    # -- the three kinds of pieces ---------------------------------------------------------------------------------

    def run_headers(self, position: int, end_stream: bool) -> None:
        """The head, from the filter at `position` on."""
        stream, slots, added_at = self._stream, self.slots, -1
        try:
            for at in range(position, len(slots)):
                slot = slots[at]
                slot.ended = end_stream and added_at < 0
                status = CONTINUE
                if slot.headers is not None:
                    self.calling = HEADERS
                    status = slot.headers(self.head, slot.ended)
                    self.calling = NOTHING
                    if stream.interrupted:
                        stream.settle_interruption()
                        return
                going_on = status is CONTINUE
                if going_on:
                    slot.headers_continued = True
                else:
                    going_on = self._obey_headers(slot, status)
                    end_stream = end_stream and status is not CONTINUE_AND_DONT_END_STREAM
                if end_stream and added_at < 0 and self.kept is not None:
                    added_at = at  # a message without a body got one from this filter
                if not going_on and not (self.consumed and at + 1 == len(slots)):
                    stream.filter_stopped(slot)
                    if added_at >= 0 and not (added_at == at and slot.state is FROZEN):
                        self._continue_behind(added_at)
                    return
            self.head_passed(end_stream and added_at < 0)
            if added_at >= 0 and not stream.interrupted:
                self._continue_behind(added_at)
        except Exception as error:
            stream.contain(error)

    def run_data(self, position: int, data: Buffer, end_stream: bool) -> None:
        """A piece of the body, from the filter at `position` on."""
        stream, slots = self._stream, self.slots
        try:
            for at in range(position, len(slots)):
                slot = slots[at]
                if slot.state is FROZEN:
                    self._keep(data)
                    return
                if slot.ended:
                    return
                slot.ended = end_stream and self.trailers is None
                status = CONTINUE
                if slot.data is not None:
                    self.calling = DATA
                    status = slot.data(data, slot.ended)
                    self.calling = NOTHING
                    if stream.interrupted:
                        stream.settle_interruption()
                        return
                if status is CONTINUE:
                    if slot.state is STOPPED:
                        if self._keep(data):
                            self.resume(at)
                        return
                elif not self._obey_data(slot, status, data) and not (self.consumed and at + 1 == len(slots)):
                    stream.filter_stopped(slot)
                    return
            self.data_passed(data, end_stream)
        except Exception as error:
            stream.contain(error)

    def run_trailers(self, position: int) -> None:
        """The end with trailers, from the filter at `position` on."""
        stream, trailers, slots = self._stream, self.trailers, self.slots
        assert trailers is not None
        try:
            for at in range(position, len(slots)):
                slot = slots[at]
                if slot.state is FROZEN:
                    return
                status = CONTINUE
                if slot.trailers is not None:
                    self.calling = TRAILERS
                    status = slot.trailers(trailers)
                    self.calling = NOTHING
                    if stream.interrupted:
                        stream.settle_interruption()
                        return
                slot.ended = True
                if status is not CONTINUE:
                    if slot.state is RUNNING:
                        slot.state = STOPPED
                    if not (self.consumed and at + 1 == len(slots)):
                        stream.filter_stopped(slot)
                        return
                elif slot.state is STOPPED:
                    self.resume(at)
                    return
            self.trailers_passed(trailers)
        except Exception as error:
            stream.contain(error)

    # -- what statuses do ------------------------------------------------------------------------------------------

    def _obey_headers(self, slot: Slot, status: FilterStatus) -> bool:
        """A status other than CONTINUE; whether iteration goes on."""
        if status is CONTINUE_AND_DONT_END_STREAM:
            slot.headers_continued = True
            return True
        frozen = status is STOP_ALL_AND_BUFFER or status is STOP_ALL_AND_WATERMARK
        slot.state = FROZEN if frozen else STOPPED
        if frozen:
            self._streaming = status is STOP_ALL_AND_WATERMARK
        return False

    def _obey_data(self, slot: Slot, status: FilterStatus, data: Buffer) -> bool:
        slot.state = STOPPED
        if status is STOP_AND_BUFFER or status is STOP_AND_WATERMARK:
            self._streaming = status is STOP_AND_WATERMARK
            self._keep(data)
        elif self.complete and self.trailers is None and self.kept is None:
            self.kept = Buffer()  # so that continuing tells those behind that the message has ended
        return False

    # -- going on --------------------------------------------------------------------------------------------------

    def resume(self, at: int) -> None:
        """Go on behind the filter at `at`: with the head if those behind have not seen it, what was kept, the trailers."""
        slot = self.slots[at]
        if self._stream.interrupted:
            return
        slot.from_here = slot.state is FROZEN
        slot.state = RUNNING
        slot.since = 0.0
        if not slot.headers_continued:
            slot.headers_continued = True
            self.run_headers(at + 1, self.complete and self.kept is None and self.trailers is None)
            if self._stream.interrupted:
                return
        begin = at if slot.from_here else at + 1
        slot.from_here = False
        had_trailers = self.trailers is not None
        if self.kept is not None:
            self.run_data(begin, self.kept, self.complete and not had_trailers)
            self._after_drain()
        if had_trailers and not self._stream.interrupted:
            self.run_trailers(begin)

    def _continue_behind(self, at: int) -> None:
        self.slots[at].state = STOPPED
        self.resume(at)

    # -- the body that is kept -------------------------------------------------------------------------------------

    def add(self, at: int, data: Buffer, streaming: bool) -> None:
        """The filter at `at` adds to the body: see `filter_api.DecoderFilterCallbacks.add_decoded_data`."""
        if self.calling is TRAILERS and self.slots[at].state is RUNNING:
            self.run_data(at + 1, data, False)
        else:
            self._streaming = streaming
            self._keep(data)

    def inject(self, at: int, data: Buffer, end_stream: bool) -> None:
        """Exactly these bytes for those behind the filter at `at`."""
        slot = self.slots[at]
        if self._stream.interrupted:
            return
        if not slot.headers_continued:
            slot.headers_continued = True
            self.run_headers(at + 1, False)
        if not self._stream.interrupted:
            self.run_data(at + 1, data, end_stream)

    def limit_changed(self) -> None:
        """The limit may have been raised above what is kept, or lowered below it."""
        self._after_drain()
        self._check_limit()

    def _keep(self, data: Buffer) -> bool:
        """Put it into the manager's buffer; False if that was too much, and the stream has been given another end."""
        kept = self.kept
        if kept is None:
            kept = self.kept = Buffer()
        if data is not kept:
            kept.move_from(data)
        return self._check_limit()

    def _check_limit(self) -> bool:
        if self.kept is None or self._paused or not self.kept.size > self.limit > 0:
            return True
        self._paused = self._streaming
        self.over_limit(self._streaming)
        return self._paused

    def _after_drain(self) -> None:
        if self._stream.interrupted:
            return  # those behind have seen the end, and with it the stream was over
        if self._paused and self.kept is not None and self.kept.size <= self.limit // 2:
            self._paused = False
            self.below_limit()

    def detach(self) -> None:
        """The stream is over: refer to it no more."""
        self._stream = GONE

    # -- for whoever asks why --------------------------------------------------------------------------------------

    def parked(self) -> Optional[Slot]:
        """The first filter that holds this direction up, None if nobody does. One that always stops, and passes things on by
        `inject`, holds nothing up any more once those behind it have seen the end."""
        slots = self.slots
        for at, slot in enumerate(slots[:-1] if self.consumed else slots):
            if slot.state is not RUNNING:
                return None if at + 1 < len(slots) and slots[-1].ended else slot
        return None

    def offers_more_to(self, slot: Slot) -> bool:
        """Whether a filter that stopped will be asked again as soon as more of the message comes."""
        return slot.state is STOPPED and not self.complete and not self._paused


class _Gone:
    """The stream of an iteration whose stream is over."""

    interrupted = True

    def filter_stopped(self, slot: Slot) -> None:
        """Nobody waits for it."""

    def settle_interruption(self) -> None:
        """Nothing is left to be done."""

    def contain(self, error: Exception) -> None:
        """Nothing runs any more that could fail."""


GONE: Final = _Gone()
