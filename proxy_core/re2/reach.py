"""From which steps of a program a match can still be reached, for every place of a text: one pass over it from its end.

With it `captures` follows no possibility that leads nowhere. Without it each match of "a(.*b)?" in a text of many "a" and no "b"
would look at the whole rest of the text, which takes minutes for a path as long as a request may have. RE2 has no such thing.
"""

from __future__ import annotations

from typing import Dict, Final, FrozenSet, List, Sequence, Tuple

from .program import OTHER, OUTSIDE, Check, Match, Program, Split, Take, holds, kind_of

MOST_KNOWN: Final = 4000

Steps = FrozenSet[int]


class Reach:
    """Of one program. What precedes what is remembered, as by `automaton`, and forgotten when it is too much."""

    __slots__ = ("_program", "_takes", "_ends", "_previous", "_known")

    def __init__(self, program: Program) -> None:
        self._program = program
        self._takes: List[Tuple[int, Take]] = []
        self._ends: List[int] = []
        self._previous: Dict[int, List[int]] = {}  # steps that lead to a step without taking a character
        self._known: Dict[Tuple[Steps, str, int], Steps] = {}
        for number, step in enumerate(program.steps):
            if isinstance(step, Take):
                self._takes.append((number, step))
            elif isinstance(step, Match):
                self._ends.append(number)
            elif isinstance(step, Split):
                self._previous.setdefault(step.first, []).append(number)
                self._previous.setdefault(step.second, []).append(number)
            else:
                self._previous.setdefault(step.next, []).append(number)

    def of(self, text: str) -> Sequence[Steps]:
        """The steps for each place, that behind the last character among them."""
        known, checks = self._known, self._program.has_checks
        found: List[Steps] = []
        after: Steps = frozenset()
        for at in range(len(text), -1, -1):
            character = text[at:at + 1]
            before = (kind_of(text[at - 1]) if at else OUTSIDE) if checks else OTHER
            key = after, character, before
            here = known.get(key)
            if here is None:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                here = known[key] = self._leading_to(after, character, before)
            found.append(here)
            after = here
        found.reverse()
        return found

    def _leading_to(self, after: Steps, character: str, before: int) -> Steps:
        behind = kind_of(character) if character else OUTSIDE
        steps = self._program.steps
        found = set(self._ends)
        if character:
            found.update(number for number, take in self._takes if take.next in after and take.takes(character))
        pending = list(found)
        while pending:
            for number in self._previous.get(pending.pop(), ()):
                step = steps[number]
                if number not in found and not (isinstance(step, Check) and not holds(step.kind, before, behind)):
                    found.add(number)
                    pending.append(number)
        return frozenset(found)
