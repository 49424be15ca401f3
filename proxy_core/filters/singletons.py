"""Objects of which a process has one, made when the first filter asks: what filters of several chains share. Mirrors Envoy's
`Singleton::Manager`. It hangs on the context that filters are built with, so nothing lives in a module.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, TypeVar

T = TypeVar("T")


class Singletons:
    """One object for each class that was asked for."""

    def __init__(self) -> None:
        self._made: Dict[Callable[[], Any], Any] = {}

    def get(self, make: Callable[[], T]) -> T:
        """The object that `make` (a class) made, from the first call on the same one."""
        if make not in self._made:
            self._made[make] = make()
        found: T = self._made[make]
        return found
