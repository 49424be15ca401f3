"""bandwidth: no more than `rate` kilobytes (1000 bytes) a second.

A piece goes on when its last byte would have arrived over a line of that rate; what takes longer than a tenth of a second goes on
in pieces of that length. Nothing passes at a rate of 0.
"""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any, Final

from ....config.fields import Message, UInt32, message, plain
from .stage import Item, Stage, StageHost, ToxicKind

PIECES_PER_SECOND: Final = 10
KILOBYTE: Final = 1000


@message("proxy_core.filters.network.fault.v1.Bandwidth")
@dataclasses.dataclass(eq=False, repr=False)
class Bandwidth(Message):
    """Attributes of a bandwidth toxic."""

    rate: int = plain(UInt32(), help="Kilobytes a second; 0 lets nothing through.")


class BandwidthStage(Stage):
    """See the module docstring."""

    __slots__ = ("_busy_since", "_sent")

    def __init__(self, attributes: Any, host: StageHost, rng: random.Random) -> None:
        super().__init__(attributes, host, rng)
        self._busy_since = 0.0  # the line's current time of work,
        self._sent = 0  # and the bytes in it: times are computed from both, so that no error adds up

    def on_data(self, item: Item) -> None:
        """Behind what is on the line already."""
        data = item.what
        assert isinstance(data, bytes)
        per_second = self.attributes.rate * KILOBYTE
        if not per_second:
            self.pass_on(item, math.inf)
            return
        if self.now >= self._busy_since + self._sent / per_second:
            self._busy_since, self._sent = self.now, 0
        size = per_second // PIECES_PER_SECOND
        for start in range(0, len(data), size):
            piece = data[start:start + size]
            self._sent += len(piece)
            self.pass_on(Item(item.arrived, piece), self._busy_since + self._sent / per_second)


KIND = ToxicKind("bandwidth", Bandwidth, BandwidthStage)
