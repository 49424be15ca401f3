"""slicer: data goes on in small pieces, each in a turn of the loop, and so in a packet, of its own.

A piece is at most `average_size` + `size_variation` bytes long. `delay` is the time between two pieces, in microseconds (the only
attribute that is not in milliseconds, as in Toxiproxy). What is cut where is Toxiproxy's way: a read is cut near its
middle, and so on with both halves, so that pieces at its end are as long as those at its beginning.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Final, List, Tuple

from ....config.fields import Message, Report, UInt32, message, plain
from .stage import Item, Stage, StageHost, ToxicKind

MICROSECOND: Final = 1e-6


@message("proxy_core.filters.network.fault.v1.Slicer")
@dataclasses.dataclass(eq=False, repr=False)
class Slicer(Message):
    """Attributes of a slicer toxic."""

    average_size: int = plain(UInt32(gte=1), help="Bytes of an average piece.")
    size_variation: int = plain(UInt32(), help="Bytes that a piece may be longer or shorter; less than average_size.")
    delay: int = plain(UInt32(), help="Microseconds between two pieces.")

    def check(self, report: Report) -> None:
        """A piece must not be empty."""
        if self.size_variation >= self.average_size:
            report("size_variation", "must be less than `average_size`", uses=("average_size",))


class SlicerStage(Stage):
    """See the module docstring. Cuts are drawn when they are made, so what waits is not kept in a million pieces."""

    __slots__ = ("_uncut", "_at")

    def __init__(self, attributes: Any, host: StageHost, rng: random.Random) -> None:
        super().__init__(attributes, host, rng)
        self._uncut: List[Tuple[int, int]] = []  # of the first read: parts still to be cut up, the first one last
        self._at = 0  # where the first of them begins

    def on_data(self, item: Item) -> None:
        """Wait for the own turn, be it at once."""
        self.keep(item, item.arrived)
        self.wake_at(self.now)

    on_end = on_data

    def on_timer(self) -> None:
        """One piece."""
        self._timer = None
        what = self._waiting[0][1].what
        piece = self._cut(what) if isinstance(what, bytes) else self.next_waiting()
        if self._waiting:
            self.wake_at(self.now + self.attributes.delay * MICROSECOND)
        self._host.forward(self, piece)

    def _cut(self, data: bytes) -> bytes:
        """The next piece of the first read."""
        if not self._uncut:
            self._uncut.append((0, len(data)))
        start, end = self._next_piece()
        self._at = end
        self.held -= end - start
        if not self._uncut:
            self._waiting.popleft()
            self._at = 0
        return data[start:end]

    def _next_piece(self) -> Tuple[int, int]:
        average, variation = self.attributes.average_size, self.attributes.size_variation
        start, end = self._uncut.pop()
        while end - start > average + variation:
            middle = start + (end - start) // 2
            if variation:
                middle += self.rng.randrange(-variation, variation)
            self._uncut.append((middle, end))
            end = middle
        return start, end

    def take_waiting(self) -> List[Item]:
        """The rest in one piece."""
        items = super().take_waiting()
        if items and self._at:
            first = items[0].what
            assert isinstance(first, bytes)
            items[0] = Item(items[0].arrived, first[self._at:])
        self._uncut, self._at = [], 0
        return items


KIND = ToxicKind("slicer", Slicer, SlicerStage)
