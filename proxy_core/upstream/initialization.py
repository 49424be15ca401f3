"""When something is ready to be used, and who waits for that: `Initialization`. Mirrors the part of Envoy's
`Init::Manager` that clusters need: nobody is accepted before their first hosts are known.
"""

from __future__ import annotations

from typing import Callable, List, Sequence


class Initialization:
    """Begins incomplete; `complete` ends it, for good."""

    __slots__ = ("is_complete", "_waiting")

    def __init__(self) -> None:
        self.is_complete = False
        self._waiting: List[Callable[[], None]] = []

    def complete(self) -> None:
        """It is ready. Whoever waits is told, in the order of asking. Harmless the second time."""
        self.is_complete = True
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def when_complete(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it is ready: now, if it is."""
        if self.is_complete:
            callback()
        else:
            self._waiting.append(callback)


def when_all_complete(parts: Sequence[Initialization], callback: Callable[[], None]) -> None:
    """Call `callback` once each of them is ready: now, if all are."""
    left = sum(not part.is_complete for part in parts)
    if not left:
        callback()

    def one_less() -> None:
        nonlocal left
        left -= 1
        if not left:
            callback()
    for part in parts:
        if not part.is_complete:
            part.when_complete(one_less)
