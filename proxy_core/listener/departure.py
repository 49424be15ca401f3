"""The end of a drain: connections that are still there are closed, those that nobody will miss first.

Envoy closes all that an update left behind at one instant, in the middle of whatever they do, and after
`/drain_listeners` it never closes a plain TCP connection. Here

* connections whose turn has come are closed when they are quiet: no byte for a while and none queued. Those
  that have been silent longest go first, and a reply on its way arrives;
* a bounded share goes at a time, so that a thousand clients do not come back at once;
* after a bound those that never were quiet are closed as well: a drain ends.

A single idle connection of a removed listener is closed when Envoy would close it.
"""

from __future__ import annotations

import math
from typing import Callable, Final, List, NamedTuple, Optional

from ..event.reactor import Reactor
from ..event.timers import Timer
from ..network.close import NO_FLUSH
from ..network.connection import Connection

QUIET: Final = 0.25  # seconds without a byte
LOOKS: Final = 100  # how often to look between the first closing and the bound
SHORTEST: Final = 0.05  # seconds between two looks
LONGEST: Final = 1.0


class Plan(NamedTuple):
    """When connections go. All in seconds.

    after: nothing is closed before. quiet_for: the silence that makes a connection quiet. spread: if all are
    quiet, the last goes so long after the first. most: so long after the first what is left goes, quiet or
    not; None = no such bound.
    """

    after: float
    quiet_for: float
    spread: float
    most: Optional[float]

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return min(LONGEST, max(SHORTEST, max(self.spread, self.most or 0.0) / LOOKS))


class Departure:
    """Closes the connections that `find` returns, and calls `on_done` once there are none. Starts its clock
    when made.

    details: Envoy's reason, for access logs. config: the setting behind it, for people.
    """

    def __init__(
        self,
        reactor: Reactor,
        find: Callable[[], List[Connection]],
        plan: Plan,
        details: str,
        config: str,
        on_done: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._find = find
        self._plan = plan
        self._details = details
        self._config = config
        self._on_done = on_done
        self._share = 1
        self._bound = math.inf
        self._timer: Optional[Timer] = reactor.after(plan.after, self._begin)

    def cancel(self) -> None:
        """Close nobody any more; `on_done` is not called."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        looks = max(1.0, self._plan.spread / self._plan.interval)
        self._share = math.ceil(len(self._find()) / looks)
        if self._plan.most is not None:
            self._bound = self._reactor.now + self._plan.most
        self._look()

    def _look(self) -> None:
        self._timer = None
        left = self._find()
        going = left if self._reactor.now >= self._bound else self._quiet(left)[:self._share]
        for connection in going:
            connection.close(NO_FLUSH, self._details, how="drain", config=self._config)
        if len(going) == len(left):
            self._on_done()
        else:
            self._timer = self._reactor.after(self._plan.interval, self._look)

    def _quiet(self, connections: List[Connection]) -> List[Connection]:
        """Those that nobody will miss, silent longest first."""
        silent_since = self._reactor.now - self._plan.quiet_for
        found = [one for one in connections if last_byte(one) <= silent_since and not one.write_buffer.size]
        return sorted(found, key=last_byte)


def last_byte(connection: Connection) -> float:
    """When a byte came in or went out, or it was opened, in the reactor's seconds."""
    return max(connection.last_read, connection.last_write)
