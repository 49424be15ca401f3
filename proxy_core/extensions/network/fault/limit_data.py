"""limit_data: lets `bytes` bytes through and closes the connection. The count is kept when the limit changes."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Final

from ....config.fields import Message, UInt64, message, plain
from .stage import End, Item, Stage, StageHost, ToxicKind, Way

CLOSE: Final = End(Way.CLOSE, "limit_data")


@message("proxy_core.filters.network.fault.v1.LimitData")
@dataclasses.dataclass(eq=False, repr=False)
class LimitData(Message):
    """Attributes of a limit_data toxic."""

    bytes: int = plain(UInt64(), help="How many may pass; with 0 the first data closes the connection.")


class LimitDataStage(Stage):
    """See the module docstring."""

    __slots__ = ("_passed",)

    def __init__(self, attributes: Any, host: StageHost, rng: random.Random) -> None:
        super().__init__(attributes, host, rng)
        self._passed = 0

    def on_data(self, item: Item) -> None:
        """As much as is left."""
        assert isinstance(item.what, bytes)
        limit = self.attributes.bytes
        data = item.what[:max(0, limit - self._passed)]
        self._passed += len(data)
        if data:
            self.send(data)
        if self._passed >= limit:
            self.finish(CLOSE)

    def take_over(self, old: Stage) -> None:
        """What passed has passed."""
        if isinstance(old, LimitDataStage):
            self._passed = old._passed


KIND = ToxicKind("limit_data", LimitData, LimitDataStage)
