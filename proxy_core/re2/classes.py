"""Sets of characters that have a name or an escape, as RE2 defines them."""

from __future__ import annotations

from typing import Dict, Final, List, Tuple

from .tree import Chars, Range, negated

DIGIT: Final[Tuple[Range, ...]] = ((0x30, 0x39),)
SPACE: Final[Tuple[Range, ...]] = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
WORD: Final[Tuple[Range, ...]] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_UPPER: Final[Range] = (0x41, 0x5A)
_LOWER: Final[Range] = (0x61, 0x7A)

ESCAPED: Final[Dict[str, Chars]] = {
    "d": Chars(DIGIT), "D": negated(DIGIT), "s": Chars(SPACE), "S": negated(SPACE), "w": Chars(WORD), "W": negated(WORD),
}
NAMED: Final[Dict[str, Tuple[Range, ...]]] = {
    "alnum": (DIGIT[0], _UPPER, _LOWER), "alpha": (_UPPER, _LOWER), "ascii": ((0, 0x7F),), "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0, 0x1F), (0x7F, 0x7F)), "digit": DIGIT, "graph": ((0x21, 0x7E),), "lower": (_LOWER,), "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)), "space": ((0x09, 0x0D), (0x20, 0x20)), "upper": (_UPPER,),
    "word": WORD, "xdigit": (DIGIT[0], (0x41, 0x46), (0x61, 0x66)),
}
CONTROL: Final[Dict[str, int]] = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}


def any_case(ranges: List[Range]) -> List[Range]:
    """These, and the other case of the ASCII letters among them."""
    found = list(ranges)
    for first, last in ranges:
        for (low, high), shift in ((_UPPER, 32), (_LOWER, -32)):
            start, end = max(first, low), min(last, high)
            if start <= end:
                found.append((start + shift, end + shift))
    return found
