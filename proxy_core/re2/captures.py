"""The first match of a program in a text, with the places of its groups, in one pass. Mirrors RE2's NFA (Pike's algorithm): each
possibility carries its own places along, and the one that Perl would have found first wins. It ends with the match: what can't
lead to one is not followed (see `reach`).
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from .program import OUTSIDE, Match, Program, Save, Split, Take, holds, kind_of
from .reach import Steps

Places = Tuple[int, ...]  # begin and end of the match, then of each group; -1: it took no part
Thread = Tuple[int, Places]


def search(program: Program, text: str, start: int, reach: Sequence[Steps]) -> Optional[Places]:
    """The leftmost match that begins at `start` or later. reach: `Reach.of` this text."""
    nowhere = (-1,) * (2 * program.groups + 2)
    threads: List[Thread] = []
    found: Optional[Places] = None
    before = kind_of(text[start - 1]) if start else OUTSIDE
    for at in range(start, len(text) + 1):
        character = text[at] if at < len(text) else ""
        behind = kind_of(character) if character else OUTSIDE
        if found is None and program.start in reach[at]:
            threads.append((program.start, (at, *nowhere[1:])))
        if not threads:
            if found is not None:
                break
            before = behind
            continue
        following: List[Thread] = []
        for one, places in _reachable(program, threads, at, before, behind):
            step = program.steps[one]
            if isinstance(step, Match):
                found = (places[0], at, *places[2:])
                break  # what comes behind is less wanted
            assert isinstance(step, Take)
            if character and step.next in reach[at + 1] and step.takes(character):
                following.append((step.next, places))
        threads, before = following, behind
    return found


def _reachable(program: Program, threads: List[Thread], at: int, before: int, behind: int) -> List[Thread]:
    """The threads at steps that take a character or end, the most wanted first; one for each step."""
    found: List[Thread] = []
    seen = set()
    pending = threads[::-1]
    while pending:
        one, places = pending.pop()
        if one in seen:
            continue
        seen.add(one)
        step = program.steps[one]
        if isinstance(step, (Take, Match)):
            found.append((one, places))
        elif isinstance(step, Split):
            pending.append((step.second, places))
            pending.append((step.first, places))
        elif isinstance(step, Save):
            pending.append((step.next, (*places[:step.slot], at, *places[step.slot + 1:])))
        elif holds(step.kind, before, behind):
            pending.append((step.next, places))
    return found
