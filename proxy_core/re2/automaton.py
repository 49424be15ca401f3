"""Whether a program matches a whole text, in one pass: all steps that are possible after each character are followed at once,
and what follows from which character is remembered. Mirrors RE2's DFA, which is made while it runs and thrown away when it grows.
"""

from __future__ import annotations

from typing import Dict, Final, FrozenSet, List, Optional, Tuple

from .program import OTHER, OUTSIDE, Match, Program, Save, Split, Take, holds, kind_of

MOST_STATES: Final = 1000


class _State:
    """The steps that are possible at a place, before its conditions are looked at; before: what stands before it."""

    __slots__ = ("steps", "before", "moves", "accepts")

    def __init__(self, steps: FrozenSet[int], before: int) -> None:
        self.steps = steps
        self.before = before
        self.moves: Dict[str, Optional[_State]] = {}
        self.accepts: Optional[bool] = None


class Automaton:
    """Runs one program."""

    __slots__ = ("_program", "_states", "_start")

    def __init__(self, program: Program) -> None:
        self._program = program
        self._states: Dict[Tuple[FrozenSet[int], int], _State] = {}
        self._start = self._state(frozenset((program.start,)), OUTSIDE)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        state: Optional[_State] = self._start
        for character in text:
            assert state is not None
            present: _State = state
            try:
                state = present.moves[character]
            except KeyError:
                state = self._move(present, character)
            if state is None:
                return False
        assert state is not None
        if state.accepts is None:
            steps = self._program.steps
            state.accepts = any(isinstance(steps[one], Match) for one in self._reachable(state, OUTSIDE))
        return state.accepts

    def _move(self, state: _State, character: str) -> Optional[_State]:
        behind = kind_of(character)
        steps = self._program.steps
        after: List[int] = []
        for one in self._reachable(state, behind):
            step = steps[one]
            if isinstance(step, Take) and step.takes(character):
                after.append(step.next)
        found = self._state(frozenset(after), behind if self._program.has_checks else OTHER) if after else None
        state.moves[character] = found
        return found

    def _state(self, steps: FrozenSet[int], before: int) -> _State:
        key = steps, before
        found = self._states.get(key)
        if found is None:
            if len(self._states) >= MOST_STATES:
                self._states.clear()
                self._start = self._state(frozenset((self._program.start,)), OUTSIDE)
            found = self._states[key] = _State(steps, before)
        return found

    def _reachable(self, state: _State, behind: int) -> List[int]:
        """The steps that take a character or end, from those of a state."""
        steps = self._program.steps
        pending, seen, found = list(state.steps), set(state.steps), []
        while pending:
            one = pending.pop()
            step = steps[one]
            following: Tuple[int, ...] = ()
            if isinstance(step, (Take, Match)):
                found.append(one)
            elif isinstance(step, Split):
                following = step
            elif isinstance(step, Save) or holds(step.kind, state.before, behind):
                following = (step.next,)
            for other in following:
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        return found
