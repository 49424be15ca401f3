"""A configured fault filter, as an operator switches it while connections live.

It is the factory of its entry in a filter chain, so the chains of the active listeners are the list of all there are, and
a change can't hit one that is not in service.
"""

from __future__ import annotations

import abc
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from .api import FilterFactory, FilterManager


class PreparedChange(NamedTuple):
    """A change that was checked. enabled: as it will be. put_in_force: for every connection, now; can't fail."""

    enabled: bool
    put_in_force: Callable[[], None]


class FaultPoint(abc.ABC):
    """See the module docstring. name: what it is addressed by; several with one name are switched together.

    enabled: False = the service is down: nobody is let in.
    """

    name: str
    enabled: bool

    @abc.abstractmethod
    def __call__(self, manager: FilterManager) -> None:
        """Add the filter of one connection."""

    @abc.abstractmethod
    def to_json(self) -> Dict[str, Any]:
        """What is in force, and on how many connections."""

    @abc.abstractmethod
    def prepare(self, changes: Sequence[Tuple[str, Dict[str, Any]]]) -> PreparedChange:
        """Check changes that are made one after the other: where each stands, for problems, and its JSON. Raises
        `errors.ConfigError` with the problems; nothing has changed then."""


def points_of(factories: Iterable[FilterFactory]) -> List[FaultPoint]:
    """The fault filters of a filter chain."""
    return [factory for factory in factories if isinstance(factory, FaultPoint)]


def is_down(chains: Iterable[Iterable[FilterFactory]], enabled: Callable[[FaultPoint], bool]) -> bool:
    """Whether a listener with these filter chains has nothing to offer: each has a fault filter that is not enabled."""
    downs = [any(not enabled(point) for point in points_of(factories)) for factories in chains]
    return bool(downs) and all(downs)
