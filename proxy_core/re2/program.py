"""Tree -> a program of four kinds of steps, which `automaton` and `captures` run."""

from __future__ import annotations

from typing import Final, FrozenSet, List, NamedTuple, Sequence, Tuple, Union

from .classes import WORD as WORD_RANGES
from .tree import (
    LINE_BEGIN, LINE_END, TEXT_BEGIN, TEXT_END, WORD, Alt, Cat, Chars, Group, Look, Node, Range, Repeat,
)

MOST_STEPS: Final = 10_000

# What stands before or behind a place.
OUTSIDE: Final = 0
NEWLINE: Final = 1
WORD_CHARACTER: Final = 2
OTHER: Final = 3

_WORDS: Final = frozenset(chr(code) for low, high in WORD_RANGES for code in range(low, high + 1))


class Take(NamedTuple):
    """A character of `low` (below 256) or `ranges`, then `next`."""

    low: FrozenSet[str]
    ranges: Tuple[Range, ...]
    next: int

    def takes(self, character: str) -> bool:
        """Whether it takes this one."""
        if character < "\u0100":
            return character in self.low
        code = ord(character)
        return any(low <= code <= high for low, high in self.ranges)


class Split(NamedTuple):
    """Rather `first` than `second`."""

    first: int
    second: int


class Save(NamedTuple):
    """Here a group begins (even) or ends (odd)."""

    slot: int
    next: int


class Check(NamedTuple):
    """A condition on the place."""

    kind: str
    next: int


class Match(NamedTuple):
    """The end."""


Step = Union[Take, Split, Save, Check, Match]


class Program(NamedTuple):
    """start: the first step. groups: how many."""

    steps: Sequence[Step]
    start: int
    groups: int
    has_checks: bool


def build_program(node: Node) -> Program:
    """The program of a tree. Raises ValueError for one that is too large."""
    builder = _Builder()
    start = builder.add(node, builder.step(Match()))
    steps = builder.steps
    groups = sum(isinstance(step, Save) for step in steps)
    last = max((step.slot for step in steps if isinstance(step, Save)), default=1) if groups else 1
    return Program(steps, start, last // 2, any(isinstance(step, Check) for step in steps))


def kind_of(character: str) -> int:
    """What a character is for conditions on the places beside it."""
    if character in _WORDS:
        return WORD_CHARACTER
    return NEWLINE if character == "\n" else OTHER


def holds(kind: str, before: int, behind: int) -> bool:
    """Whether a condition holds between these."""
    if kind == TEXT_BEGIN:
        return before == OUTSIDE
    if kind == TEXT_END:
        return behind == OUTSIDE
    if kind == LINE_BEGIN:
        return before in (OUTSIDE, NEWLINE)
    if kind == LINE_END:
        return behind in (OUTSIDE, NEWLINE)
    return ((before == WORD_CHARACTER) != (behind == WORD_CHARACTER)) is (kind == WORD)


class _Builder:
    """Builds from the end: each part is told what comes behind it."""

    def __init__(self) -> None:
        self.steps: List[Step] = []

    def step(self, step: Step) -> int:
        if len(self.steps) >= MOST_STEPS:
            raise ValueError("pattern too large - compile failed")
        self.steps.append(step)
        return len(self.steps) - 1

    def add(self, node: Node, behind: int) -> int:
        """The first step of a part."""
        if isinstance(node, Chars):
            low = frozenset(chr(code) for start, end in node.ranges for code in range(start, min(end, 255) + 1))
            return self.step(Take(low, node.ranges, behind))
        if isinstance(node, Look):
            return self.step(Check(node.kind, behind))
        if isinstance(node, Cat):
            for item in reversed(node.items):
                behind = self.add(item, behind)
            return behind
        if isinstance(node, Alt):
            start = self.add(node.items[-1], behind)
            for item in reversed(node.items[:-1]):
                start = self.step(Split(self.add(item, behind), start))
            return start
        if isinstance(node, Group):
            end = self.step(Save(2 * node.number + 1, behind))
            return self.step(Save(2 * node.number, self.add(node.item, end)))
        return self._repeat(node, behind)

    def _repeat(self, node: Repeat, behind: int) -> int:
        start, needed = behind, node.least
        if node.most is None:
            loop = self.step(Match())  # its place; what it is is known when there is something to repeat
            body = self.add(node.item, loop)
            self.steps[loop] = Split(body, behind) if node.greedy else Split(behind, body)
            start = body if needed else loop
            needed = max(0, needed - 1)
        else:
            for _ in range(node.most - needed):
                body = self.add(node.item, start)
                start = self.step(Split(body, behind) if node.greedy else Split(behind, body))
        for _ in range(needed):
            start = self.add(node.item, start)
        return start
