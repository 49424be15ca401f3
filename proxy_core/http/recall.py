"""What was made of bytes that came before: clients and servers say the same thing again and again on kept connections.

Place in the data's way: the head readers ask before they parse. A result must be a function of the bytes and of the settings
alone, and must not be changed by whoever gets it. Envoy has no such thing.

Nobody can fill the memory with it: long pieces are not kept, and when so many pieces are known, all are forgotten; that is
1.5 MB at the very most for a listener or a cluster. What is known of one client helps another one, and tells it nothing: only
the same bytes, all of them, find anything.
"""

from __future__ import annotations

from typing import Callable, Dict, Final, Generic, Optional, TypeVar

Result = TypeVar("Result")

MOST_BYTES: Final = 1024  # of one piece
MOST_PIECES: Final = 256


class Recall(Generic[Result]):
    """get: the result for these bytes, or None; `dict.get` itself, without a call in between."""

    __slots__ = ("get", "_known")

    def __init__(self) -> None:
        self._known: Dict[bytes, Result] = {}
        self.get: Callable[[bytes], Optional[Result]] = self._known.get

    def keep(self, raw: bytes, result: Result) -> None:
        """From now on `get(raw)` gives `result`."""
        if len(raw) > MOST_BYTES:
            return
        if len(self._known) >= MOST_PIECES:
            self._known.clear()
        self._known[raw] = result

    def __len__(self) -> int:
        return len(self._known)
