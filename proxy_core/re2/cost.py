"""Whether `re` needs time proportional to the text for an expression, whatever the text.

It does when no place of the text can be tried again and again: every part that repeats is one set of characters, and either
what may follow begins with none of them, so that giving one back never helps; or nothing behind it repeats, so that there is one
such part to give back. All else may still be fast, but that is not looked into: it goes to `automaton`.
"""

from __future__ import annotations

from typing import Final, List, Sequence

from .tree import TEXT_BEGIN, Alt, Cat, Chars, Group, Look, Node, Repeat, first, flat, overlap

_MOST_WAYS: Final = 64  # of all parts that do not repeat together


def is_linear(node: Node) -> bool:
    """For a match of the whole text."""
    parts = flat(node)
    ways = 1
    for index, part in enumerate(parts):
        if _is_loop(part):
            assert isinstance(part, Repeat)
            if not isinstance(part.item, Chars) or not _ends_clearly(part.item, parts[index + 1:]):
                return False
        elif _repeats(part):
            return False
        else:
            ways *= _ways(part)
    return ways <= _MOST_WAYS


def is_linear_search(node: Node) -> bool:
    """For a search: it may begin in one place only, or each try is short."""
    parts = flat(node)
    begins_once = bool(parts) and isinstance(parts[0], Look) and parts[0].kind == TEXT_BEGIN
    return is_linear(node) and (begins_once or not any(map(_repeats, parts)))


def _ends_clearly(loop: Chars, rest: Sequence[Node]) -> bool:
    return not any(map(_repeats, rest)) or not overlap(loop.ranges, first(Cat(tuple(rest))))


def _is_loop(node: Node) -> bool:
    return isinstance(node, Repeat) and node.least != node.most and (node.most is None or node.most > 1)


def _repeats(node: Node) -> bool:
    """Whether something inside repeats."""
    if _is_loop(node):
        return True
    if isinstance(node, (Cat, Alt)):
        return any(map(_repeats, node.items))
    return isinstance(node, (Repeat, Group)) and _repeats(node.item)


def _ways(node: Node) -> int:
    """In how many ways a part without loops can be gone through."""
    if isinstance(node, Alt):
        return sum(map(_ways, node.items))
    if isinstance(node, Cat):
        return _product([_ways(item) for item in node.items])
    if isinstance(node, Group):
        return _ways(node.item)
    if isinstance(node, Repeat):
        inner = _ways(node.item)
        return inner + 1 if node.most == 1 else _product([inner] * min(node.least, _MOST_WAYS)) if inner > 1 else 1
    return 1


def _product(numbers: List[int]) -> int:
    result = 1
    for number in numbers:
        result = min(result * number, _MOST_WAYS + 1)
    return result
