"""timeout: drops all data, and closes the connection `timeout` milliseconds after the toxic took effect on it; with 0 it
drops until it is removed. A connection that this has cost bytes is closed when the toxic is removed, and when the
stream ends.

Toxiproxy begins to count anew with everything that it drops, so a client that goes on sending is never closed.
"""

from __future__ import annotations

import dataclasses
from typing import Final, List

from ....config.fields import Message, UInt32, message, plain
from .stage import MILLISECOND, End, Item, Stage, ToxicKind, Way

CLOSE: Final = End(Way.CLOSE, "timeout")


@message("proxy_core.filters.network.fault.v1.Timeout")
@dataclasses.dataclass(eq=False, repr=False)
class Timeout(Message):
    """Attributes of a timeout toxic."""

    timeout: int = plain(UInt32(), help="Milliseconds; 0 = the connection is not closed.")


class TimeoutStage(Stage):
    """See the module docstring."""

    __slots__ = ()

    def on_start(self) -> None:
        """The time begins."""
        if self.attributes.timeout:
            self.wake_at(self.now + self.attributes.timeout * MILLISECOND)

    def on_data(self, item: Item) -> None:
        """Gone."""

    def on_end(self, item: Item) -> None:
        """There is nothing to wait for."""
        self.finish(CLOSE)

    def on_timer(self) -> None:
        """The time is over."""
        self.finish(CLOSE)

    def leave(self) -> List[Item]:
        """What comes next is not the continuation of what came before."""
        self.stop()
        return [Item(self.now, CLOSE)]


KIND = ToxicKind("timeout", Timeout, TimeoutStage)
