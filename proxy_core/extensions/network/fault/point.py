"""One configured fault filter: its toxics, its seed, and the connections that they are in force on.

What a connection draws depends on the seed, on its number among the connections of this filter (from 0) and on the name of
the toxic; not on the time, nor on what other connections do.

A change is prepared as a whole and then put in force as a whole: connections that come see all of it, those that live
get it one by one within the same callback of the loop, so that no byte passes in between.
"""

from __future__ import annotations

import functools
from typing import Any, Dict, Final, List, NamedTuple, Sequence, Tuple

from ....config.context import join
from ....config.decode import decode
from ....config.fields import TypeRegistry
from ....errors import ConfigError, Problem
from ....filters.api import FilterManager
from ....filters.fault_point import FaultPoint, PreparedChange
from .config import Change, Fault
from .filter import FaultFilter
from .toxic import Toxic, ToxicConfig, ToxicUpdate, toxic_of, updated

NAME: Final = "proxy_core.filters.network.fault"


class _State(NamedTuple):
    enabled: bool
    seed: int
    toxics: Tuple[Toxic, ...]
    number: int  # of the next connection


class Point(FaultPoint):
    """See the module docstring. reactor: contains what goes wrong on one connection, so that the others get their change."""

    def __init__(self, config: Fault, reactor: Any) -> None:
        self.name = config.name
        self.enabled = config.enabled is not False
        self.seed = config.seed
        self.toxics: Sequence[Toxic] = tuple(toxic_of(one) for one in config.toxics)
        self._reactor = reactor
        self._members: Dict[FaultFilter, None] = {}
        self._number = 0

    def __call__(self, manager: FilterManager) -> None:
        """Add the filter of one connection to both of its chains."""
        both = FaultFilter(self)
        manager.add_read_filter(both, NAME)
        manager.add_write_filter(both, NAME)

    # -- for the connections (`filter.Faults`) ---------------------------------------------------------------------

    def join(self, member: FaultFilter) -> str:
        """Number the connection, and tell it of changes from now on."""
        self._members[member] = None
        number = self._number
        self._number += 1
        return f"{self.seed}/{number}"

    def leave(self, member: FaultFilter) -> None:
        """It is over."""
        self._members.pop(member, None)

    # -- for the admin (`FaultPoint`) ------------------------------------------------------------------------------

    def to_json(self) -> Dict[str, Any]:
        """As GET /faults prints it."""
        return {
            "name": self.name, "enabled": self.enabled, "seed": self.seed, "connections": len(self._members),
            "toxics": [toxic.to_json() for toxic in self.toxics],
        }

    def prepare(self, changes: Sequence[Tuple[str, Dict[str, Any]]]) -> PreparedChange:
        """See `FaultPoint.prepare`."""
        state = _State(self.enabled, self.seed, tuple(self.toxics), self._number)
        for path, change in changes:
            state = self._after(state, decode(Change, change, TypeRegistry(), path), path)
        return PreparedChange(state.enabled, functools.partial(self._put_in_force, state))

    def _after(self, state: _State, change: Change, path: str) -> _State:
        """What will be. Raises ConfigError."""
        toxics: Dict[str, Toxic] = {} if change.reset else {toxic.name: toxic for toxic in state.toxics}
        problems: List[Problem] = []
        for index, name in enumerate(change.remove):
            if name not in toxics:
                problems.append(self._missing(join(path, f"remove[{index}]"), name, toxics))
            toxics.pop(name, None)
        for index, update in enumerate(change.update):
            where = join(path, f"update[{index}]")
            if update.name not in toxics:
                problems.append(self._missing(where, update.name, toxics))
                continue
            try:
                toxics[update.name] = _updated(toxics[update.name], update, where)
            except ConfigError as error:
                problems.extend(error.problems)
        for index, added in enumerate(change.add):
            toxic = toxic_of(added)
            if toxic.name in toxics:
                problems.append(Problem(join(path, f"add[{index}]"), f"'{self.name}' has a toxic '{toxic.name}' already"))
            toxics[toxic.name] = toxic
        if problems:
            raise ConfigError(problems)
        enabled = change.enabled if change.enabled is not None else change.reset or state.enabled
        number = 0 if change.reset or change.seed is not None else state.number
        return _State(enabled, state.seed if change.seed is None else change.seed, tuple(toxics.values()), number)

    def _missing(self, path: str, name: str, toxics: Dict[str, Toxic]) -> Problem:
        return Problem(path, f"'{self.name}' has no toxic '{name}'; it has {', '.join(toxics) or 'none'}")

    def _put_in_force(self, state: _State) -> None:
        self.enabled, self.seed, self.toxics, self._number = state
        for member in list(self._members):
            try:
                if self.enabled:
                    member.set_toxics(self.toxics)
                else:
                    member.take_down()
            except Exception as error:  # of a filter behind, which was given what had waited
                self._reactor.contain(error, member.connection)


def _updated(toxic: Toxic, update: ToxicUpdate, path: str) -> Toxic:
    """The toxic with its new values. Raises ConfigError."""
    config = updated(toxic, update)
    return toxic_of(decode(ToxicConfig, config.to_json(), TypeRegistry(), path))
