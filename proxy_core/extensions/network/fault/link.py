"""One direction of one connection: the stages of its toxics in order, and the way out behind them. Toxiproxy's `ToxicLink`.

    receive -> stages -> out -> push -> the filters after this one

What waits, in stages and in `out`, is bounded: above the connection's buffer limit, or `MOST_PIECES`, whoever produces the
bytes is told to stop, below half of it to go on. Bytes are not lost by a change of the toxics and never overtake each other;
the end comes behind them.
"""

from __future__ import annotations

import functools
import random
from typing import Callable, Final, List, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from ....buffer import Buffer
from ....event.timers import Timer
from ....filters.api import Hold
from ....network.close import ABORT_RESET, FLUSH_WRITE
from ....network.connection import Connection
from ....observe.stream_info import REMOTE_RESET
from .stage import FIN, End, Item, Stage, Way
from .toxic import Toxic

MOST_PIECES: Final = 1024  # each costs memory besides its bytes


class Exit(Protocol):
    """What is before and behind a link: what differs between the two directions."""

    connection: Connection

    def is_passable(self) -> bool:
        """Whether bytes still have somewhere to go."""

    def room(self, wanted: int) -> int:
        """How many of so many bytes may go on now."""

    def may_end(self) -> bool:
        """Whether the end of the stream may go on now."""

    def deliver(self, data: Buffer, count: int, fin: bool) -> None:
        """Pass on the first `count` bytes of `data`, and the end. Bytes that nobody took may stay in `data`."""

    def wait_for_room(self, push: Callable[[], None]) -> Optional[float]:
        """Bytes wait for room: seconds until they should try again, or None if `push` will be called."""

    def hold(self) -> Hold:
        """Have the connection wait for what this link holds."""

    def must_pause(self) -> bool:
        """Whether nothing more may come as long as something waits, however little it is."""

    def pause(self) -> None:
        """Tell whoever produces the bytes to stop."""

    def resume(self) -> None:
        """The contrary."""

    def on_idle(self) -> None:
        """Nothing waits any more."""


class Place(NamedTuple):
    """A toxic of a link. draw: this connection's number from 0 to 1; the toxic takes effect if its toxicity is more."""

    toxic: Toxic
    stage: Stage
    draw: float


class Link:
    """See the module docstring. chance: this connection's source of random numbers for the toxic of a name."""

    __slots__ = ("ending", "out", "_exit", "_chance", "_places", "_hold", "_retry", "_paused", "_is_over", "_reactor",
                 "_is_pushing", "_is_asked")

    def __init__(self, way_out: Exit, chance: Callable[[str], random.Random]) -> None:
        self.out = Buffer()
        self.ending: Optional[End] = None  # behind `out`: came through all stages, and was not passed on yet
        self._exit = way_out
        self._chance = chance
        self._places: List[Place] = []
        self._hold: Optional[Hold] = None
        self._retry: Optional[Timer] = None
        self._paused = False
        self._is_over = False
        self._is_pushing = False
        self._is_asked = False
        self._reactor = way_out.connection.reactor

    # -- bytes -----------------------------------------------------------------------------------------------------

    @property
    def is_clear(self) -> bool:
        """Whether bytes may pass by without entering."""
        return not self._places and not self.pending and not self._is_over

    @property
    def pending(self) -> bool:
        """Whether anything waits, bytes or the end."""
        return bool(self.out.size or self.ending is not None or any(one.stage.count for one in self._places))

    @property
    def held(self) -> int:
        """How many bytes wait."""
        return self.out.size + sum(one.stage.held for one in self._places)

    def receive(self, data: Buffer, end_stream: bool) -> None:
        """Take all of `data`, and the end; what may go on at once has gone on afterwards."""
        if self._is_over:
            data.clear()
            return
        if data.size:
            self._enter(0, Item(self.now, data.take()))
        if end_stream:
            self._enter(0, Item(self.now, FIN))
        self.push()

    def _enter(self, index: int, item: Item) -> None:
        if index < len(self._places):
            self._places[index].stage.receive(item)
        elif self.ending is None:
            if isinstance(item.what, bytes):
                self.out.append(item.what)
            else:
                self.ending = item.what

    # -- for the stages (`StageHost`) ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The reactor's time."""
        return self._reactor.now

    def at(self, when: float, stage: Stage) -> Timer:
        """Call the stage's `on_timer` at this time."""
        return self._reactor.timers.at(when, functools.partial(self._on_timer, stage), self._exit.connection)

    def forward(self, stage: Stage, what: Union[bytes, End]) -> None:
        """To the stage after this one, or out."""
        index = next(index for index, place in enumerate(self._places) if place.stage is stage)
        self._enter(index + 1, Item(self.now, what))

    def _on_timer(self, stage: Stage) -> None:
        stage.on_timer()
        self.push()

    # -- out -------------------------------------------------------------------------------------------------------

    def push(self) -> None:
        """Pass on what there is room for, end what a toxic ends, and see who has to wait. A call from among those that it
        passes on to takes effect when they have returned: they may not have drained what they were given yet."""
        self._is_asked = True
        if self._is_pushing:
            return
        self._is_pushing = True
        try:
            while self._is_asked:
                self._is_asked = False
                self._push_once()
        finally:
            self._is_pushing = False

    def _push_once(self) -> None:
        way_out, ending = self._exit, self.ending
        if not way_out.is_passable():
            return
        if ending is not None and ending.way is Way.RESET:
            self._reset(ending)
            return
        count = way_out.room(self.out.size)
        whole = count == self.out.size
        fin = whole and ending is FIN and way_out.may_end()
        if fin:
            self.ending = None
        if count or fin:
            way_out.deliver(self.out, count, fin)
        if whole and ending is not None and ending.way is Way.CLOSE and way_out.is_passable():
            self.clear()
            way_out.connection.close(FLUSH_WRITE, f"fault_{ending.toxic}", how="FIN", config=f"toxic {ending.toxic}")
        self._wait_or_not()

    def _reset(self, ending: End) -> None:
        connection = self._exit.connection
        # A reset of the client's is what tcp_proxy passes on to the server; this one is to be seen on both sides, too.
        connection.detected_close_type = REMOTE_RESET
        connection.close(ABORT_RESET, f"fault_{ending.toxic}", how="RST", config=f"toxic {ending.toxic}")

    def _wait_or_not(self) -> None:
        """Hold the connection as long as something waits, and no more of it than is allowed."""
        way_out = self._exit
        if not way_out.is_passable():
            return
        pending = self.pending
        if pending and self._hold is None:
            self._hold = way_out.hold()
        if self.out.size and self._retry is None:
            delay = way_out.wait_for_room(self.push)
            if delay is not None:
                self._retry = self._reactor.after(delay, self._on_retry, way_out.connection)
        self._flow(pending)
        if not pending and self._hold is not None:
            hold, self._hold = self._hold, None
            hold.release()
            way_out.on_idle()

    def _flow(self, pending: bool) -> None:
        settings, held = self._exit.connection.settings, self.held
        pieces = sum(one.stage.count for one in self._places)
        if pending and self._exit.must_pause() or held > settings.buffer_limit > 0 or pieces > MOST_PIECES:
            if not self._paused:
                self._paused = True
                self._exit.pause()
        elif self._paused and held <= settings.low_watermark and pieces <= MOST_PIECES // 2:
            self._paused = False
            self._exit.resume()

    def _on_retry(self) -> None:
        self._retry = None
        self.push()

    # -- changes ---------------------------------------------------------------------------------------------------

    def set_toxics(self, toxics: Sequence[Toxic]) -> None:
        """These are in force from now on, all of them at once. What waits in one that goes, or gets other attributes, goes
        through those that are there afterwards, from the same place."""
        new = {toxic.name: toxic for toxic in toxics}
        places: List[Place] = []
        waiting: List[Tuple[int, List[Item]]] = []
        replaced: List[Tuple[Stage, Stage]] = []
        for old in self._places:
            toxic = new.pop(old.toxic.name, None)
            if toxic is None or toxic.kind is not old.toxic.kind:
                waiting.append((len(places), old.stage.leave()))
                if toxic is not None:
                    new[toxic.name] = toxic
            elif toxic == old.toxic:
                places.append(old)
            else:
                stage = _stage(toxic, old.draw, self, old.stage.rng)
                same = type(stage) is type(old.stage)
                waiting.append((len(places), old.stage.take_waiting() if same else old.stage.leave()))
                places.append(Place(toxic, stage, old.draw))
                replaced.append((old.stage, stage))
        added = [self._place(toxic) for toxic in new.values()]
        self._places = places + added
        self._begin([stage for _, stage in replaced] + [place.stage for place in added], replaced)
        for index, items in reversed(waiting):  # what is farther on came earlier
            for item in items:
                self._enter(index, item)
        self.push()

    def _begin(self, stages: Sequence[Stage], replaced: Sequence[Tuple[Stage, Stage]]) -> None:
        """New stages take effect."""
        for old, new in replaced:
            new.take_over(old)
        for stage in stages:
            stage.on_start()

    def _place(self, toxic: Toxic) -> Place:
        chance = self._chance(toxic.name)
        draw = chance.random()
        return Place(toxic, _stage(toxic, draw, self, chance), draw)

    # -- the end ---------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """The connection is over, or about to be: nothing is kept, and nothing more comes through."""
        for place in self._places:
            place.stage.stop()
        self._places.clear()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self.out.clear()
        self.ending = None
        self._is_over = True
        if self._paused:
            self._paused = False
            self._exit.resume()


def _stage(toxic: Toxic, draw: float, link: Link, chance: random.Random) -> Stage:
    """What a toxic does on this connection, which may be nothing."""
    return (toxic.kind.stage if draw < toxic.toxicity else Stage)(toxic.attributes, link, chance)
