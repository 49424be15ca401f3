"""Tree -> an expression for `re`. Cases, lines and classes are spelled out, so it needs no flags but ASCII."""

from __future__ import annotations

import re
from typing import Final

from .tree import (
    LAST, LINE_BEGIN, LINE_END, NO_WORD, TEXT_BEGIN, TEXT_END, WORD, Alt, Cat, Chars, Group, Look, Node, Range, Repeat,
)

_PLACES: Final = {
    TEXT_BEGIN: r"\A", TEXT_END: r"\Z", LINE_BEGIN: "(?m:^)", LINE_END: "(?m:$)", WORD: r"\b", NO_WORD: r"\B",
}


def compiled(node: Node) -> "re.Pattern[str]":
    """The expression, ready. Raises ValueError for what is too large for `re`."""
    try:
        return re.compile(_text(node), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"pattern too large: {error}") from None


def _text(node: Node) -> str:
    if isinstance(node, Chars):
        return _class(node)
    if isinstance(node, Look):
        return _PLACES[node.kind]
    if isinstance(node, Cat):
        return "".join(map(_text, node.items))
    if isinstance(node, Alt):
        return f"(?:{'|'.join(map(_text, node.items))})"
    if isinstance(node, Group):
        return f"({_text(node.item)})"
    item = _text(node.item) if isinstance(node.item, Chars) else f"(?:{_text(node.item)})"
    return item + _times(node)


def _times(node: Repeat) -> str:
    lazy = "" if node.greedy else "?"
    if (node.least, node.most) == (0, None):
        return f"*{lazy}"
    if (node.least, node.most) == (1, None):
        return f"+{lazy}"
    return f"{{{node.least},{'' if node.most is None else node.most}}}{lazy}"


def _class(node: Chars) -> str:
    if not node.ranges:
        return "(?!)"
    if node.ranges == ((0, LAST),):
        return "(?s:.)"
    if node.ranges == ((0, 9), (11, LAST)):
        return "."
    if len(node.ranges) == 1 and node.ranges[0][0] == node.ranges[0][1]:
        return re.escape(chr(node.ranges[0][0]))
    return f"[{''.join(map(_range, node.ranges))}]"


def _range(one: Range) -> str:
    first, last = map(_escaped, one)
    return first if one[0] == one[1] else f"{first}-{last}"


def _escaped(code: int) -> str:
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}"
