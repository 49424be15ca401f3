"""latency: all data is late by `latency` milliseconds, give or take `jitter`.

Each read draws a delay of its own, from its arrival, and nothing overtakes: with jitter a read may have to wait for the one
before it. The end comes right behind the last byte.
"""

from __future__ import annotations

import dataclasses

from ....config.fields import Message, UInt32, message, plain
from .stage import MILLISECOND, Item, Stage, ToxicKind


@message("proxy_core.filters.network.fault.v1.Latency")
@dataclasses.dataclass(eq=False, repr=False)
class Latency(Message):
    """Attributes of a latency toxic."""

    latency: int = plain(UInt32(), help="Milliseconds.")
    jitter: int = plain(UInt32(), help="Milliseconds: the delay is drawn from latency - jitter to latency + jitter.")


class LatencyStage(Stage):
    """See the module docstring."""

    __slots__ = ()

    def on_data(self, item: Item) -> None:
        """Draw a delay."""
        latency, jitter = self.attributes.latency, self.attributes.jitter
        delay = latency + self.rng.uniform(-jitter, jitter) if jitter else latency
        self.pass_on(item, item.arrived + max(0.0, delay) * MILLISECOND)


KIND = ToxicKind("latency", Latency, LatencyStage)
