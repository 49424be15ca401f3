"""reset_peer: resets the connection `timeout` milliseconds after the first data, or the end, of the stream. What comes is
dropped. Both sides see the reset.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Final, List, Optional

from ....config.fields import Message, UInt32, message, plain
from .stage import MILLISECOND, End, Item, Stage, StageHost, ToxicKind, Way

RESET: Final = End(Way.RESET, "reset_peer")


@message("proxy_core.filters.network.fault.v1.ResetPeer")
@dataclasses.dataclass(eq=False, repr=False)
class ResetPeer(Message):
    """Attributes of a reset_peer toxic."""

    timeout: int = plain(UInt32(), help="Milliseconds; 0 = at once.")


class ResetPeerStage(Stage):
    """See the module docstring."""

    __slots__ = ("_due",)

    def __init__(self, attributes: Any, host: StageHost, rng: random.Random) -> None:
        super().__init__(attributes, host, rng)
        self._due: Optional[float] = None

    def on_data(self, item: Item) -> None:
        """The first one is the signal."""
        if self._due is None:
            self._due = self.now + self.attributes.timeout * MILLISECOND
            self._reset_in_time()

    on_end = on_data

    def on_timer(self) -> None:
        """The time is over."""
        self.finish(RESET)

    def leave(self) -> List[Item]:
        """A connection that lost bytes is reset all the same."""
        self.stop()
        return [] if self._due is None else [Item(self.now, RESET)]

    def take_over(self, old: Stage) -> None:
        """Other settings are for connections that were not touched yet."""
        if isinstance(old, ResetPeerStage) and old._due is not None:
            self._due = old._due
            self._reset_in_time()

    def _reset_in_time(self) -> None:
        assert self._due is not None
        if self._due <= self.now:
            self.finish(RESET)
        else:
            self.wake_at(self._due)


KIND = ToxicKind("reset_peer", ResetPeer, ResetPeerStage)
