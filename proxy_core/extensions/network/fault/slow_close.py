"""slow_close: the end of the stream is late by `delay` milliseconds. Data is not."""

from __future__ import annotations

import dataclasses

from ....config.fields import Message, UInt32, message, plain
from .stage import MILLISECOND, Item, Stage, ToxicKind


@message("proxy_core.filters.network.fault.v1.SlowClose")
@dataclasses.dataclass(eq=False, repr=False)
class SlowClose(Message):
    """Attributes of a slow_close toxic."""

    delay: int = plain(UInt32(), help="Milliseconds.")


class SlowCloseStage(Stage):
    """See the module docstring."""

    __slots__ = ()

    def on_end(self, item: Item) -> None:
        """Later."""
        self.pass_on(item, item.arrived + self.attributes.delay * MILLISECOND)


KIND = ToxicKind("slow_close", SlowClose, SlowCloseStage)
