"""The tree of a parsed expression."""

from __future__ import annotations

from typing import Final, List, NamedTuple, Optional, Sequence, Tuple, Union

Range = Tuple[int, int]  # both included
LAST: Final = 0x10FFFF

# Conditions on a place between two characters.
TEXT_BEGIN: Final = "text begin"
TEXT_END: Final = "text end"
LINE_BEGIN: Final = "line begin"
LINE_END: Final = "line end"
WORD: Final = "word boundary"
NO_WORD: Final = "no word boundary"


class Chars(NamedTuple):
    """One character of these; none of them if there are no ranges. In order, not touching."""

    ranges: Tuple[Range, ...]


class Look(NamedTuple):
    """A condition on a place."""

    kind: str


class Cat(NamedTuple):
    """One after the other; of none: nothing."""

    items: Tuple["Node", ...]


class Alt(NamedTuple):
    """The first of these that leads to a match."""

    items: Tuple["Node", ...]


class Repeat(NamedTuple):
    """most: None for no limit. greedy: rather more than less."""

    item: "Node"
    least: int
    most: Optional[int]
    greedy: bool


class Group(NamedTuple):
    """number: from 1 on."""

    item: "Node"
    number: int


Node = Union[Chars, Look, Cat, Alt, Repeat, Group]
NOTHING: Final = Cat(())


def chars(ranges: Sequence[Range]) -> Chars:
    """The set of some ranges in any order."""
    merged: List[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return Chars(tuple(merged))


def negated(ranges: Sequence[Range]) -> Chars:
    """All other characters."""
    found: List[Range] = []
    at = 0
    for first, last in chars(ranges).ranges:
        if first > at:
            found.append((at, first - 1))
        at = last + 1
    return Chars(tuple(found + [(at, LAST)] if at <= LAST else found))


def overlap(one: Sequence[Range], other: Sequence[Range]) -> bool:
    """Whether a character is in both."""
    return any(first <= end and start <= last for first, last in one for start, end in other)


def nullable(node: Node) -> bool:
    """Whether it can match nothing."""
    if isinstance(node, Chars):
        return False
    if isinstance(node, Cat):
        return all(map(nullable, node.items))
    if isinstance(node, Alt):
        return any(map(nullable, node.items))
    if isinstance(node, Repeat):
        return not node.least or nullable(node.item)
    return nullable(node.item) if isinstance(node, Group) else True


def first(node: Node) -> List[Range]:
    """What its matches can begin with."""
    if isinstance(node, Chars):
        return list(node.ranges)
    if isinstance(node, Alt):
        return [one for item in node.items for one in first(item)]
    if isinstance(node, Cat):
        found: List[Range] = []
        for item in node.items:
            found += first(item)
            if not nullable(item):
                break
        return found
    return [] if isinstance(node, Look) else first(node.item)


def literal_prefix(node: Node) -> str:
    """The text that all its matches begin with."""
    text = ""
    for item in flat(node):
        if isinstance(item, Chars) and len(item.ranges) == 1 and item.ranges[0][0] == item.ranges[0][1]:
            text += chr(item.ranges[0][0])
        elif not (isinstance(item, Look) and item.kind == TEXT_BEGIN and not text):
            break
    return text


def flat(node: Node) -> List[Node]:
    """The parts one after the other, whatever groups they are in."""
    if isinstance(node, Cat):
        return [part for item in node.items for part in flat(item)]
    return flat(node.item) if isinstance(node, Group) else [node]
