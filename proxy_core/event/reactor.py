"""The loop: one thread, one `turn` at a time, phases in a fixed order. Mirrors Envoy's `Event::Dispatcher`.

    1. select    sleep until a descriptor is ready, a timer is due, or someone called `Wakeup.post`
    2. now       read the clock, once; everybody uses `reactor.now`
    3. ready     each ready handler does a bounded amount of work
    4. timers    what is due
    5. flush     connections that were written to in phases 3 and 4 send, once each
    6. deferred  what must not happen inside a callback: last log lines, buffered bytes after a resume

`write()` on a connection only queues, phase 5 sends: a filter is never re-entered by its own write, and a hundred small
writes in a turn are one system call. Bulk is sent as soon as the handler that produced it has returned. Work that phases
5 and 6 create makes the next turn's select return at once.

Some facts about readiness that shape this file:

* Selectors are level-triggered. An event that we do not act on comes again in the next turn, so dropping an event is
  always safe, while acting on a stale one is not.
* Events of one turn go stale: an earlier handler may have closed the descriptor, and a socket accepted in this very turn may
  have got its number. Each registration is a fresh entry of `poller` kept in `_interest`; an event whose entry is
  no longer the registered one is dropped.
* epoll reports errors and hang-ups whatever was asked for, `selectors` turns them into READ or WRITE as registered.
  A registration without any interest is not possible there; see `hangup.py`.
* A descriptor must be unregistered before it is closed: epoll keeps a closed descriptor alive while a duplicate exists.

An exception that leaves a handler is a bug in that handler. It is logged with its traceback, counted, the handler's
`on_failure` closes what it stands for, and the loop goes on.
"""

from __future__ import annotations

import selectors
import sys
import time
import traceback
from typing import Any, Callable, Dict, Final, List, Optional, Protocol, Set, Tuple

from .hangup import HangupWatch
from .poller import Entry, SelectorPoller, new_poller
from .timers import SETTLE_AFTER, Timer, Timers

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
HANGUP: Final = 4  # only for handlers registered with mask 0

# Most pauses are over sooner than it pays to tell the kernel of them.
SLEEP_AFTER = 0.02

# Deferred work may defer more; this many rounds of it in one turn are enough to finish any closing.
DEFERRED_ROUNDS = 4


class Handler(Protocol):
    """What the reactor needs of whoever watches a descriptor."""

    def on_ready(self, mask: int) -> None:
        """READ, WRITE, both, or HANGUP. Must ignore what it no longer wants; must do a bounded amount of work."""

    def on_failure(self, error: Exception) -> None:
        """An exception left one of this handler's callbacks: give up what it stands for."""


class Flushable(Handler, Protocol):
    """A handler that queues writes."""

    def flush(self) -> None:
        """Send what is queued; called once per turn after `Reactor.queue_flush`."""


class Settling(Protocol):
    """Whoever will need timers if it lives."""

    def settle(self) -> None:
        """Set them, for the instants for which they would have been set at first."""


def _report_to_stderr(error: Exception) -> None:
    """The default report: whoever runs a reactor without a log still sees the traceback."""
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)


class Reactor:
    """See the module docstring. `clock` gives seconds that never go back; tests inject it and the selector."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        selector: Optional[selectors.BaseSelector] = None,
        report: Callable[[Exception], None] = _report_to_stderr,
    ) -> None:
        self.clock = clock
        self.now = clock()
        self.timers = Timers()
        self.turns = 0
        self.failures = 0  # exceptions that left a handler
        self.report = report
        self._poller = SelectorPoller(selector) if selector is not None else new_poller()
        self._interest: Dict[int, Entry] = {}
        self._hangups: Optional[HangupWatch] = None
        self._hangup_entry: Entry = (READ, None, -1)
        self._asleep: Set[int] = set()  # members of _hangups
        self._falling_asleep: List[Entry] = []
        self._hears_hangups = selector is None and HangupWatch.available()
        # Handlers whose `flush` is due: in this turn's flush phase, or (bulk) right after the handler that is running now,
        # while the bytes are still in the CPU's cache: 0.5 instead of 0.9 s of CPU per GB with four streams. A handler
        # appends itself, once; public, since a method call costs as much as the append.
        self.to_flush: List[Flushable] = []
        self.bulk: List[Flushable] = []
        self._deferred: List[Tuple[Callable[[], None], Any]] = []
        # See `settle_later`. Who is over takes itself out.
        self.unsettled: Dict[Settling, None] = {}
        self._will_settle = False
        self._running = False

    # -- interest --------------------------------------------------------------------------------------------------

    def watch(self, fd: int, mask: int, handler: Handler) -> None:
        """Make `mask` (READ | WRITE) the whole interest in `fd`. Free when nothing changes.

        Mask 0: report only a reset or hang-up, as HANGUP, where the system can (Linux); elsewhere nothing. It is heard
        from `SLEEP_AFTER` seconds on, which spares two system calls for each of the many short pauses.
        """
        old = self._interest.get(fd)
        if old is not None and old[0] == mask and old[1] is handler:
            return
        entry = (mask, handler, fd)
        if mask and old is not None and old[0]:
            self._poller.modify(fd, mask, entry)
        else:
            if old is not None:
                self.unwatch(fd)
            if mask:
                self._poller.register(fd, mask, entry)
            elif self._hears_hangups:
                if not self._falling_asleep:
                    self.after(SLEEP_AFTER, self._put_to_sleep)
                self._falling_asleep.append(entry)
        self._interest[fd] = entry

    def unwatch(self, fd: int) -> None:
        """Forget `fd`. Must come before it is closed."""
        old = self._interest.pop(fd, None)
        if old is None:
            return
        if old[0]:
            self._poller.unregister(fd)
        elif fd in self._asleep:
            assert self._hangups is not None
            self._asleep.discard(fd)
            self._hangups.remove(fd)

    @property
    def watched(self) -> int:
        """How many descriptors have a handler."""
        return len(self._interest)

    def _put_to_sleep(self) -> None:
        """Registrations without interest that lasted: have resets of those sockets reported."""
        if self._hangups is None:
            self._hangups = HangupWatch()
            self._poller.register(self._hangups.fileno(), READ, self._hangup_entry)
        falling_asleep, self._falling_asleep = self._falling_asleep, []
        for entry in falling_asleep:
            fd = entry[2]
            if self._interest.get(fd) is entry:
                self._hangups.add(fd)
                self._asleep.add(fd)

    # -- later -----------------------------------------------------------------------------------------------------

    def after(self, delay: float, callback: Callable[[], None], owner: Optional[Handler] = None) -> Timer:
        """Call `callback` in `delay` seconds; if it raises, `owner.on_failure` is told."""
        return self.timers.at(self.now + delay, callback, owner)

    def settle_later(self, one: Settling) -> None:
        """Call `one.settle()` in `SETTLE_AFTER` seconds at most, unless it is taken out of `unsettled` before. For timers of
        more seconds than that, which would be cancelled in nearly all cases: 4 % of the user time of a short connection."""
        self.unsettled[one] = None
        if not self._will_settle:
            self._will_settle = True
            self.after(SETTLE_AFTER, self._settle)

    def _settle(self) -> None:
        self._will_settle = False
        living, self.unsettled = self.unsettled, {}
        for one in living:
            self._call(one.settle, None)

    def defer(self, callback: Callable[[], None], owner: Optional[Handler] = None) -> None:
        """Call `callback` in the last phase of this turn, when no other callback is on the stack."""
        self._deferred.append((callback, owner))

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until `stop`."""
        self._running = True
        while self._running:
            self.turn()

    @property
    def is_running(self) -> bool:
        """Whether `run` goes on after this turn."""
        return self._running

    def stop(self) -> None:
        """Leave `run` after the current turn."""
        self._running = False

    def turn(self, most_wait: Optional[float] = None) -> None:
        """One pass through the phases, sleeping at most `most_wait` seconds (None: as long as nothing is due)."""
        ready = self._poller.ready(self._wait_time(most_wait))  # 1. select
        now = self.now = self.clock()  # 2. now
        self.turns += 1
        interest = self._interest
        for entry, mask in ready:  # 3. ready
            if interest.get(entry[2]) is entry:
                try:
                    entry[1].on_ready(mask)
                except Exception as error:
                    self.contain(error, entry[1])
                if self.bulk:
                    self._flush_bulk()
            elif entry is self._hangup_entry:
                self._tell_hangups()
        newest = self.timers.newest  # 4. timers
        timer = self.timers.pop_due(now, newest)
        while timer is not None:
            self._call(timer.callback, timer.owner)
            timer = self.timers.pop_due(now, newest)
        if self.to_flush:  # 5. flush
            flushing, self.to_flush = self.to_flush, []
            self._flush(flushing)
        if self.bulk:  # queued by timers or by phase 5
            self._flush_bulk()
        if self._deferred:  # 6. deferred
            self._run_deferred()

    def _wait_time(self, most_wait: Optional[float]) -> Optional[float]:
        if self.to_flush or self._deferred or self.bulk:
            return 0.0
        due = self.timers.next_due()
        if due is None:
            return most_wait
        wait = max(0.0, due - self.now)
        return wait if most_wait is None else min(wait, most_wait)

    def _flush_bulk(self) -> None:
        flushing, self.bulk = self.bulk, []
        self._flush(flushing)

    def _flush(self, handlers: List[Flushable]) -> None:
        for handler in handlers:
            try:
                handler.flush()
            except Exception as error:
                self.contain(error, handler)

    def _run_deferred(self) -> None:
        for _ in range(DEFERRED_ROUNDS):
            deferred, self._deferred = self._deferred, []
            for callback, owner in deferred:
                self._call(callback, owner)
            if not self._deferred:
                return

    def _tell_hangups(self) -> None:
        assert self._hangups is not None
        for fd in self._hangups.news():
            entry = self._interest.get(fd)
            if entry is not None and not entry[0]:
                try:
                    entry[1].on_ready(HANGUP)
                except Exception as error:
                    self.contain(error, entry[1])

    def _call(self, callback: Callable[[], None], owner: Optional[Handler]) -> None:
        try:
            callback()
        except Exception as error:
            self.contain(error, owner)

    def contain(self, error: Exception, owner: Optional[Handler]) -> None:
        """An exception left a callback: report and count it, and have `owner` give up what it stands for."""
        self.failures += 1
        self.report(error)
        if owner is None:
            return
        try:
            owner.on_failure(error)
        except Exception as second:
            self.failures += 1
            self.report(second)

    def close(self) -> None:
        """Give back the selector's descriptors. The reactor can't be used afterwards."""
        if self._hangups is not None:
            self._hangups.close()
        self._poller.close()
