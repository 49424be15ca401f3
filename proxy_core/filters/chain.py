"""How the filters of one connection are run. Mirrors Envoy's `FilterManagerImpl`: one loop for reading, one for writing.

The chain knows its connection only as a `ChainHost`. Rules, in the order in which they matter:

1. After every callback look again: a filter may have closed the connection. Nothing runs on a connection that is not open.
2. A filter is greeted with `on_new_connection` at most once, when iteration first reaches it.
3. Every read filter is given the connection's own read buffer. What it does not drain stays there, and a new pass starts at the
   first filter again.
4. `end_stream` is told to each filter exactly once, and a filter that has been told and stopped is the gate for those
   behind it until it continues or injects.
5. Who stopped the chain, and since when, is remembered. A chain that is parked with nothing left to wake it is a stall, and
   so is one that keeps bytes back for SUSPECT_AFTER seconds without a hold while no more come.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Final, List, Optional, Protocol, Tuple, cast

from ..buffer import Buffer
from .api import STOP_ITERATION, Hold, ReadFilter, WriteFilter


SUSPECT_AFTER: Final = 1.0


class Clock(Protocol):
    """What a chain needs of the reactor."""

    now: float

    def after(self, delay: float, callback: Callable[[], None], owner: Any = None) -> Any:
        """A timer; has `cancel()`."""


class ChainHost(Protocol):
    """What a chain needs of its connection."""

    is_open: bool
    read_buffer: Buffer

    @property
    def reactor(self) -> Clock:
        """Time and timers."""

    @property
    def read_ended(self) -> bool:
        """Whether the peer has finished sending and its bytes are all in the read buffer."""

    @property
    def may_read_more(self) -> bool:
        """Whether more bytes can still arrive without the chain draining any."""

    def chain_moved(self) -> None:
        """Filters ran outside a read of the connection: bytes may have been drained."""

    def queue_write(self, data: Buffer, end_stream: bool) -> None:
        """Past the last write filter: take all of `data` for the socket."""

    def flush(self) -> None:
        """Send what is queued, and go on with a close that waited for a write filter's hold."""

    @property
    def accepts_writes(self) -> bool:
        """Whether bytes may still be queued: open, or flushing towards a close that waits for a write filter."""

    def stalled(self, filter_name: str, since: float) -> None:
        """The chain is parked by this filter and nothing is left that could wake it."""


class _HoldsChain(Protocol):
    """A chain, as its holds see it."""

    holds: Tuple[_Hold, ...]

    def all_released(self) -> None:
        """The last hold was released."""


class _Hold:
    """One thing a filter waits for; `timer` if that is a point in time."""

    __slots__ = ("reason", "timer", "_chain")

    def __init__(self, reason: str, chain: _HoldsChain) -> None:
        self.reason = reason
        self.timer: Any = None
        self._chain = chain
        chain.holds += (self,)

    def release(self) -> None:
        """Not waiting any more."""
        self.stop_timer()
        chain = self._chain
        if self in chain.holds:
            chain.holds = tuple(hold for hold in chain.holds if hold is not self)
            if not chain.holds:
                chain.all_released()

    cancel = release  # what `schedule` answers is used as a timer

    def stop_timer(self) -> None:
        """The connection is over: nothing is to be called any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class _ReadSlot:
    """One read filter's place in the chain, and the callbacks it was given."""

    __slots__ = ("connection", "name", "filter", "_chain", "_index", "told_end")

    def __init__(self, chain: ReadChain, index: int, read_filter: ReadFilter, name: str) -> None:
        self.connection = chain.host
        self.name = name
        self.filter = read_filter
        self.told_end = False
        self._chain = chain
        self._index = index

    def continue_reading(self) -> None:
        """Run the filters after this one on what is buffered."""
        self._chain.resume_after(self._index)

    def inject_read_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Run the filters after this one on `data`."""
        self._chain.inject_after(self._index, data, end_stream)

    def hold(self, reason: str) -> Hold:
        """See `filters.api.ReadFilterCallbacks.hold`."""
        return _Hold(reason, self._chain)

    def schedule(self, delay: float, callback: Callable[[], None], reason: str) -> Any:
        """See `filters.api.ReadFilterCallbacks.schedule`."""
        host = self._chain.host
        hold = _Hold(reason, self._chain)

        def fire() -> None:
            if host.is_open:
                callback()
            hold.release()
        hold.timer = host.reactor.after(delay, fire, host)
        return hold


class ReadChain:
    """The read filters of one connection, first added first run."""

    __slots__ = ("host", "holds", "parked_since", "stalled", "lone", "_uninspected", "slots", "_greeted", "_last", "_parked",
                 "_suspicion")

    def __init__(self, host: ChainHost) -> None:
        self.host = host
        self.holds: Tuple[_Hold, ...] = ()
        self.parked_since = 0.0
        self.stalled = False
        # The last filter, once nobody in front of it wants to see bytes: alone in the chain, or behind filters
        # that let the first bytes through and have `inspects_data = False`. A connection that read bytes may hand them to it
        # directly, since nothing can be parked before it. Saves 0.4 us of a round trip's 16.
        self.lone: Optional[ReadFilter] = None
        self._uninspected = True  # no filter before the last one wants to see bytes
        self.slots: List[_ReadSlot] = []  # in order: `.name` and `.filter` of each; read only
        self._greeted = 0
        self._last = -1  # index of the last filter, which consumes and so never parks
        self._parked = -1  # index of the filter that parked the chain, -1 for none
        self._suspicion: Any = None  # a timer: whether more bytes come for a chain that is parked on some

    def __len__(self) -> int:
        return len(self.slots)

    def add(self, read_filter: ReadFilter, name: str) -> None:
        """Append a filter and hand it its callbacks."""
        slots = self.slots
        if slots and getattr(slots[-1].filter, "inspects_data", True):
            self._uninspected = False
        self._last += 1
        slot = _ReadSlot(self, self._last, read_filter, name)
        slots.append(slot)
        self.lone = None
        read_filter.initialize_read_filter_callbacks(slot)

    def filters(self) -> List[_ReadSlot]:
        """The slots in order: `.name` and `.filter` of each."""
        return list(self.slots)

    @property
    def parked_by(self) -> str:
        """The name of the filter that stopped the chain before its end, "" if none did."""
        return self.slots[self._parked].name if self._parked >= 0 else ""

    def initialize(self) -> None:
        """Greet the filters in order until one stops. Called once, when the connection is set up."""
        for index in range(self._greeted, len(self.slots)):
            self._greeted = index + 1
            if self.slots[index].filter.on_new_connection() is STOP_ITERATION or not self.host.is_open:
                self._stopped(index)
                return

    def resume_after(self, index: int) -> None:
        """`continue_reading` of the filter at `index`."""
        if not self.host.is_open:
            return
        if self._parked <= index:
            self._parked = -1
        self.run(self.host.read_buffer, self.host.read_ended, index + 1)
        self.host.chain_moved()

    def inject_after(self, index: int, data: Buffer, end_stream: bool) -> None:
        """`inject_read_data_to_filter_chain` of the filter at `index`."""
        if not self.host.is_open:
            return
        if end_stream:
            self.slots[index].told_end = True
        self.run(data, end_stream, index + 1)
        self.host.chain_moved()

    def run(self, data: Buffer, end_stream: bool, start: int = 0) -> None:
        """A pass over `data`, from the first filter when the connection has read something. The hot loop: nothing
        per filter but what the contract asks for."""
        host = self.host
        if not host.is_open:
            return
        index = start
        for slot in self.slots[start:] if start else self.slots:
            if index >= self._greeted:
                self._greeted = index + 1
                if slot.filter.on_new_connection() is STOP_ITERATION or not host.is_open:
                    self._stopped(index)
                    return
            if slot.told_end:
                return
            if end_stream:
                slot.told_end = True
            elif index == self._last and self._uninspected and data.size:
                self.lone = slot.filter
            if data.size or end_stream:
                if slot.filter.on_data(data, end_stream) is STOP_ITERATION or not host.is_open:
                    if index < self._last or self._parked >= 0:
                        self._stopped(index)
                    return
            index += 1
        self._parked = -1

    def _stopped(self, index: int) -> None:
        """A pass ended at `index`."""
        if index == self._last or not self.host.is_open:
            self._parked = -1
        elif self._parked != index:
            self._parked = index
            self.parked_since = self.host.reactor.now
            self.stalled = False
        if self._parked >= 0:
            self.check_stall()

    def all_released(self) -> None:
        """No filter waits for anything but bytes any more. Looked at a moment later: who has its answer may let go of what it
        waited for first, and continue then."""
        if self._parked >= 0:
            self.host.reactor.after(0.0, self.check_stall, self.host)

    def check_stall(self) -> None:
        """Report, once per parking, that nothing is left that could wake a parked chain. More bytes could, as long as they
        come: a filter that keeps bytes back while the peer is silent has most likely forgotten to continue."""
        host = self.host
        if self._parked < 0 or self.stalled or self.holds or not host.is_open:
            return
        if self.slots[self._last].told_end:  # a filter that injects always stops; here it has injected the end
            return
        kept = host.read_buffer.size
        if not host.may_read_more:
            self._report_stall()
        elif kept and self._suspicion is None:
            suspect = functools.partial(self._suspect, kept, self.parked_since)
            self._suspicion = host.reactor.after(SUSPECT_AFTER, suspect, host)

    def _suspect(self, kept: int, parked_since: float) -> None:
        """A while ago so many bytes were kept back, by the filter that had parked the chain then."""
        self._suspicion = None
        is_the_same = self._parked >= 0 and self.parked_since == parked_since and self.host.read_buffer.size == kept
        if is_the_same and self.host.is_open and not (self.holds or self.stalled):
            self._report_stall()
        else:
            self.check_stall()

    def _report_stall(self) -> None:
        self.stalled = True
        self.host.stalled(self.parked_by, self.parked_since)

    def clear(self) -> None:
        """Forget the filters; the connection is closed and everybody has heard it. A filter and its callbacks know each
        other: left to the garbage collector, they cost a connection with four filters a tenth more."""
        if self._suspicion is not None:
            self._suspicion.cancel()
        for slot in self.slots:
            del slot.filter
        self.slots.clear()
        self.lone = None

    def drop_holds(self) -> None:
        """The connection is over: nothing is waited for, and no timer keeps it in memory."""
        for hold in self.holds:
            hold.stop_timer()
        self.holds = ()


# What a connection has instead of its chain once everybody has heard that it is closed. Chain and connection know each other,
# and cutting this end frees both at once; a filter that still calls finds the closed connection through its old chain.
NO_FILTERS: Final = ReadChain(cast(ChainHost, None))


class _WriteSlot:
    """One write filter's place, and the callbacks it was given."""

    __slots__ = ("connection", "name", "filter", "_chain")

    def __init__(self, chain: WriteChain, write_filter: WriteFilter, name: str) -> None:
        self.connection = chain.host
        self.name = name
        self.filter = write_filter
        self._chain = chain

    def inject_write_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Run the write filters after this one on `data`, then queue it."""
        self._chain.inject_after(self, data, end_stream)

    def hold(self, reason: str) -> Hold:
        """See `filters.api.WriteFilterCallbacks.hold`."""
        return _Hold(reason, self._chain)


class WriteChain:
    """The write filters of one connection, last added first run."""

    __slots__ = ("host", "holds", "_slots")

    def __init__(self, host: ChainHost) -> None:
        self.host = host
        self.holds: Tuple[_Hold, ...] = ()
        self._slots: List[_WriteSlot] = []

    def add(self, write_filter: WriteFilter, name: str) -> None:
        """Put a filter in front and hand it its callbacks."""
        slot = _WriteSlot(self, write_filter, name)
        self._slots.insert(0, slot)
        write_filter.initialize_write_filter_callbacks(slot)

    def all_released(self) -> None:
        """No filter has bytes left to inject: a close that waited may go on."""
        self.host.flush()

    def run(self, data: Buffer, end_stream: bool, after: Optional[_WriteSlot] = None) -> bool:
        """Whether `data` got past every filter (after the given one). If not, a filter has taken it or closed."""
        start = self._slots.index(after) + 1 if after is not None else 0
        for slot in self._slots[start:]:
            if slot.filter.on_write(data, end_stream) is STOP_ITERATION or not self.host.accepts_writes:
                return False
        return True

    def inject_after(self, slot: _WriteSlot, data: Buffer, end_stream: bool) -> None:
        """`inject_write_data_to_filter_chain` of the filter in `slot`. Allowed while a flushing close waits for it."""
        if self.run(data, end_stream, after=slot):
            self.host.queue_write(data, end_stream)

    def filters(self) -> List[_WriteSlot]:
        """The slots in the order in which they see bytes."""
        return list(self._slots)

    def listeners(self, except_for: List[Any]) -> List[Any]:
        """The filters to tell about events besides those of the read chain, which may be in both. A pure write filter need
        not have `on_event`."""
        return [
            slot.filter for slot in self._slots
            if hasattr(slot.filter, "on_event") and not any(slot.filter is one for one in except_for)
        ]
