"""One toxic at work on one direction of one connection: what Toxiproxy calls a stub.

    receive -> on_data, on_end      what the stage before, or the connection, passes on
    pass_on                         to the next stage, at once or at a later time, always in order
    finish                          the stream ends here: nothing after this is let through
    leave, take_over                the toxic is removed, or its settings change, on a connection that lives

The base lets everything through: it is what a connection has whose chance kept it out of a toxic (`toxicity`). A toxic is
a class of attributes and a subclass of this one, both in a file of their own.
"""

from __future__ import annotations

import collections
import enum
import math
import random
from typing import Any, Deque, Final, List, NamedTuple, Optional, Protocol, Tuple, Type, Union

from ....config.fields import Message
from ....event.timers import Timer

MILLISECOND: Final = 0.001


class Way(enum.Enum):
    """How a stream ends."""

    FIN = "FIN"  # its sender has finished; the other direction goes on
    CLOSE = "close"  # the connection is closed once everything before this is out
    RESET = "reset"  # the connection is reset


class End(NamedTuple):
    """The last thing in a stream. toxic: its type, where a toxic ended the stream."""

    way: Way
    toxic: str = ""


FIN: Final = End(Way.FIN)


class Item(NamedTuple):
    """Bytes that were read at once, or the end, and when this stage got them (the reactor's seconds)."""

    arrived: float
    what: Union[bytes, End]


class StageHost(Protocol):
    """The link, as its stages see it."""

    @property
    def now(self) -> float:
        """The reactor's time."""

    def at(self, when: float, stage: Stage) -> Timer:
        """Call the stage's `on_timer` at this time."""

    def forward(self, stage: Stage, what: Union[bytes, End]) -> None:
        """To the stage after this one, or out."""


class Stage:
    """See the module docstring. attributes: the toxic's; rng: this toxic's chance on this connection."""

    __slots__ = ("attributes", "rng", "is_over", "held", "_host", "_waiting", "_timer")

    def __init__(self, attributes: Any, host: StageHost, rng: random.Random) -> None:
        self.attributes = attributes
        self.rng = rng
        self.is_over = False
        self.held = 0  # how many bytes wait here
        self._host = host
        self._waiting: Deque[Tuple[float, Item]] = collections.deque()  # in order, each with the time it may go on
        self._timer: Optional[Timer] = None

    # -- what a toxic may change -----------------------------------------------------------------------------------

    def on_start(self) -> None:
        """The toxic takes effect on this connection."""

    def on_data(self, item: Item) -> None:
        """Bytes came."""
        self.pass_on(item, item.arrived)

    def on_end(self, item: Item) -> None:
        """The stream ended, behind everything that came before."""
        self.pass_on(item, item.arrived)

    def on_timer(self) -> None:
        """The time that `wake_at` was told: let go what is due."""
        self._timer = None
        waiting, now = self._waiting, self.now
        while waiting and waiting[0][0] <= now:
            self._host.forward(self, self.next_waiting())
        if waiting:
            self.wake_at(waiting[0][0])

    def leave(self) -> List[Item]:
        """The toxic is removed: what the next stage gets now."""
        return self.take_waiting()

    def take_over(self, old: Stage) -> None:
        """The toxic has new attributes, and this stage replaces one of its own kind: keep what has to be remembered."""

    # -- what a toxic calls ----------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The reactor's time."""
        return self._host.now

    def pass_on(self, item: Item, at: float) -> None:
        """To the next stage at this time (math.inf: not before the toxic changes), and never before what came earlier."""
        if not self._waiting and at <= self.now:
            self._host.forward(self, item.what)
            return
        self.keep(item, at)
        if len(self._waiting) == 1:
            self.wake_at(at)

    def keep(self, item: Item, at: float) -> None:
        """Let it wait."""
        self._waiting.append((at, item))
        if isinstance(item.what, bytes):
            self.held += len(item.what)

    def next_waiting(self) -> Union[bytes, End]:
        """What has waited longest; it waits no more."""
        what = self._waiting.popleft()[1].what
        if isinstance(what, bytes):
            self.held -= len(what)
        return what

    def send(self, data: bytes) -> None:
        """Bytes to the next stage, now."""
        self._host.forward(self, data)

    def finish(self, end: End) -> None:
        """End the stream behind what was sent; what waits and what still comes is dropped."""
        self.take_waiting()
        self.is_over = True
        self._host.forward(self, end)

    def wake_at(self, when: float) -> None:
        """Have `on_timer` called, once; math.inf is never."""
        if self._timer is None and when != math.inf:
            self._timer = self._host.at(when, self)

    # -- what the link calls ---------------------------------------------------------------------------------------

    def receive(self, item: Item) -> None:
        """Bytes, or the end, from the stage before."""
        if self.is_over:
            return
        if isinstance(item.what, bytes):
            self.on_data(item)
        else:
            self.on_end(item)

    def take_waiting(self) -> List[Item]:
        """What waits here, in order; it is gone from here."""
        self.stop()
        items = [item for _, item in self._waiting]
        self._waiting.clear()
        self.held = 0
        return items

    def stop(self) -> None:
        """Nothing is to be called any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def count(self) -> int:
        """How many pieces wait here, an end included."""
        return len(self._waiting)


class ToxicKind(NamedTuple):
    """A type of toxic: its name as Toxiproxy's, its attributes, and what it does with them."""

    name: str
    attributes: Type[Message]
    stage: Type[Stage]
