"""When the process runs out of file descriptors: stop accepting, say so once, go on when one is free.

A listening socket that can't accept stays readable, so a naive loop spins at 100 % CPU and fills the log. Here its
interest is withdrawn until a connection closes (or a second has passed: somebody else may have closed a file). The outage
is over once a whole second went by without running out again; only the next one is worth a log line and a count. One
descriptor is kept in reserve so that the admin can always be reached and asked what is going on.
"""

from __future__ import annotations

import logging
import os
from typing import List, Optional, Protocol

from ..event.reactor import Reactor
from ..event.timers import Timer
from ..network import sockets
from ..observe.stats import Counter

TRY_AGAIN_AFTER = 1.0


class Pausable(Protocol):
    """A listening socket."""

    def pause(self) -> None:
        """Accept nothing for now."""

    def resume(self) -> None:
        """Accept again."""


class DescriptorGuard:
    """One per process. `paused_total` counts outages."""

    def __init__(self, reactor: Reactor, log: logging.Logger, paused_total: Counter) -> None:
        self._reactor = reactor
        self._log = log
        self._paused_total = paused_total
        self._paused: List[Pausable] = []
        self._reserve: Optional[int] = sockets.open_reserve()
        self._timer: Optional[Timer] = None
        self._told = False  # an outage is on, and was logged
        self._seen_again = False  # it was noticed since the timer was set

    @property
    def is_exhausted(self) -> bool:
        """Whether a listening socket waits for a descriptor."""
        return bool(self._paused)

    def exhausted(self, listening: Pausable, why: str) -> None:
        """`listening` found no descriptor for a waiting connection."""
        if listening not in self._paused:
            listening.pause()
            self._paused.append(listening)
        self._seen_again = True
        if not self._told:
            self._told = True
            self._paused_total.inc()
            self._log.error("%s: not accepting connections until one closes", why)
        if self._timer is None:
            self._timer = self._reactor.after(TRY_AGAIN_AFTER, self._try_again)

    def lend_reserve(self) -> bool:
        """Free the reserve for one accept of the admin; False if it is gone already."""
        if self._reserve is None:
            return False
        os.close(self._reserve)
        self._reserve = None
        return True

    def released(self) -> None:
        """A connection closed. Refill the reserve first, then let the listeners accept again."""
        if self._reserve is None:
            self._reserve = sockets.open_reserve()
        if self._paused and self._reserve is not None:
            self._resume_all()

    def _try_again(self) -> None:
        self._timer = None
        if not self._seen_again:
            self._told = False
            return
        self._seen_again = False
        self._timer = self._reactor.after(TRY_AGAIN_AFTER, self._try_again)
        if self._reserve is None:
            self._reserve = sockets.open_reserve()
        self._resume_all()

    def _resume_all(self) -> None:
        paused, self._paused = self._paused, []
        for listening in paused:
            listening.resume()

    def close(self) -> None:
        """Give the reserve back."""
        if self._timer is not None:
            self._timer.cancel()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
