"""RE2's syntax -> tree. Mirrors `Regexp::Parse` with the flags that Envoy uses (Perl classes, word boundaries, one line), and
its error sentences.
"""

from __future__ import annotations

import re
from typing import Dict, Final, List, NamedTuple, Optional, Tuple

from .classes import CONTROL, ESCAPED, NAMED, any_case
from .tree import (
    LAST, LINE_BEGIN, LINE_END, NO_WORD, NOTHING, TEXT_BEGIN, TEXT_END, WORD, Alt, Cat, Chars, Group, Look, Node, Range, Repeat,
    chars, negated,
)

MOST_REPEATS: Final = 1000
MOST_NESTED: Final = 100

_COUNT: Final = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}")
_FLAGS: Final = re.compile(r"\(\?([imsU]*)(-([imsU]+))?([:)])")
_NAMED_GROUP: Final = re.compile(r"\(\?P?<(\w+)>", re.ASCII)
_NUMBER: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|(0[0-7]{0,2}|[1-7][0-7]{1,2}))")
_PLACES: Final = {"A": TEXT_BEGIN, "z": TEXT_END, "b": WORD, "B": NO_WORD}


class Flags(NamedTuple):
    """i: any case. m: lines. s: a dot matches a line break as well. U: repeats are lazy, with "?" greedy."""

    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False


def parse(pattern: str) -> Node:
    """The tree of an expression. Raises ValueError with RE2's sentence for one that it refuses."""
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._flags = Flags()
        self._groups = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._pattern):
            raise ValueError(f"unexpected ): {self._pattern}")
        return node

    def _alternatives(self) -> Node:
        """Up to the end, or the parenthesis that closes this group."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise ValueError("expression nested too deeply")
        branches: List[List[Node]] = [[]]
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                self._at += 1
                branches.append([])
            else:
                self._item(branches[-1])
        self._depth -= 1
        nodes = [branch[0] if len(branch) == 1 else Cat(tuple(branch)) for branch in branches]
        return nodes[0] if len(nodes) == 1 else Alt(tuple(nodes))

    def _item(self, branch: List[Node]) -> None:
        """One more item of a branch, or a repetition of its last one."""
        character = self._pattern[self._at]
        count = _COUNT.match(self._pattern, self._at) if character == "{" else None
        if character in "*+?" or count is not None:
            self._repetition(branch)
        elif character == "(":
            self._parenthesis(branch)
        elif character == "[":
            branch.append(self._class())
        elif character == "\\":
            self._escape(branch)
        else:
            self._at += 1
            branch.append(self._plain(character))

    def _plain(self, character: str) -> Node:
        flags = self._flags
        if character == ".":
            return negated([] if flags.s else [(10, 10)])
        if character == "^":
            return Look(LINE_BEGIN if flags.m else TEXT_BEGIN)
        if character == "$":
            return Look(LINE_END if flags.m else TEXT_END)
        return self._one(ord(character))

    def _one(self, code: int) -> Chars:
        return chars(any_case([(code, code)]) if self._flags.i else [(code, code)])

    # -- repetitions -----------------------------------------------------------------------------------------------

    def _repetition(self, branch: List[Node]) -> None:
        start = self._at
        least, most = self._times()
        operator = self._pattern[start:self._at]
        greedy = not self._flags.U
        if self._pattern[self._at:self._at + 1] == "?":
            self._at += 1
            greedy = not greedy
        if not branch:
            raise ValueError(f"no argument for repetition operator: {operator}")
        following = self._pattern[self._at:self._at + 1]
        if following and following in "*+?" or following == "{" and _COUNT.match(self._pattern, self._at):
            raise ValueError(f"bad repetition operator: {self._pattern[start:self._at + 1]}")
        item = branch.pop()
        if isinstance(item, Look):  # a condition that holds once holds again
            branch.append(item if least else NOTHING)
            return
        node = Repeat(item, least, most, greedy)
        if _repeats(node) > MOST_REPEATS:
            raise ValueError(f"invalid repetition size: {operator}")
        branch.append(node)

    def _times(self) -> Tuple[int, Optional[int]]:
        count = _COUNT.match(self._pattern, self._at)
        if count is None:
            operator = self._pattern[self._at]
            self._at += 1
            return (1 if operator == "+" else 0), (1 if operator == "?" else None)
        self._at = count.end()
        least = int(count.group(1))
        most = least if count.group(2) is None else int(count.group(3)) if count.group(3) else None
        if least > MOST_REPEATS or most is not None and not least <= most <= MOST_REPEATS:
            raise ValueError(f"invalid repetition size: {count.group()}")
        return least, most

    # -- groups ----------------------------------------------------------------------------------------------------

    def _parenthesis(self, branch: List[Node]) -> None:
        pattern, flags = self._pattern, self._flags
        changed = _FLAGS.match(pattern, self._at)
        named = _NAMED_GROUP.match(pattern, self._at)
        if changed is not None and (changed.group(1) or changed.group(3) or changed.group(4) == ":"):
            self._at = changed.end()
            on, off = changed.group(1), changed.group(3) or ""
            values: Dict[str, bool] = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
            self._flags = flags._replace(**values)
            if changed.group(4) == ")":
                return  # for what is left of the group around it, which brings the old ones back
            branch.append(self._closed(self._alternatives()))
        elif named is None and pattern.startswith("(?", self._at):
            raise ValueError(f"invalid perl operator: {pattern[self._at:self._at + 3]}")
        else:
            self._at = named.end() if named is not None else self._at + 1
            self._groups += 1
            number = self._groups
            branch.append(Group(self._closed(self._alternatives()), number))
        self._flags = flags

    def _closed(self, node: Node) -> Node:
        if self._at >= len(self._pattern):
            raise ValueError(f"missing ): {self._pattern}")
        self._at += 1
        return node

    # -- escapes ---------------------------------------------------------------------------------------------------

    def _escape(self, branch: List[Node]) -> None:
        letter = self._pattern[self._at + 1:self._at + 2]
        if letter in _PLACES and letter:
            self._at += 2
            branch.append(Look(_PLACES[letter]))
        elif letter == "Q":
            end = self._pattern.find("\\E", self._at + 2)
            end = len(self._pattern) if end < 0 else end
            branch.extend(self._one(ord(character)) for character in self._pattern[self._at + 2:end])
            self._at = end + 2 if end < len(self._pattern) else end
        elif letter == "C":
            self._at += 2
            branch.append(negated([]))
        elif letter in ESCAPED and letter:
            self._at += 2
            branch.append(ESCAPED[letter])
        else:
            branch.append(self._one(self._code()))

    def _code(self) -> int:
        """The one character of an escape."""
        pattern, start = self._pattern, self._at
        letter = pattern[start + 1:start + 2]
        if not letter:
            raise ValueError(f"trailing \\: {pattern}")
        self._at += 2
        if letter in CONTROL:
            return CONTROL[letter]
        number = _NUMBER.match(pattern, start)
        if number is not None:
            self._at = number.end()
            two, braced, octal = number.groups()
            code = int(octal, 8) if octal else int(two or braced, 16)
            if code <= LAST:
                return code
        elif ord(letter) < 128 and not letter.isalnum():
            return ord(letter)
        if letter in "pP":
            raise ValueError(f"Unicode classes are not supported by proxy_core: {pattern[start:start + 2]}")
        raise ValueError(f"invalid escape sequence: {pattern[start:self._at]}")

    # -- classes ---------------------------------------------------------------------------------------------------

    def _class(self) -> Chars:
        pattern, start = self._pattern, self._at
        self._at += 1
        negate = pattern.startswith("^", self._at)
        self._at += negate
        found: List[Range] = []
        is_first = True
        while is_first or pattern[self._at:self._at + 1] != "]":
            if self._at >= len(pattern):
                raise ValueError(f"missing ]: {pattern[start:]}")
            found += self._class_item()
            is_first = False
        self._at += 1
        if self._flags.i:
            found = any_case(found)
        return negated(found) if negate else chars(found)

    def _class_item(self) -> List[Range]:
        pattern, at = self._pattern, self._at
        if pattern.startswith("[:", at):
            end = pattern.find(":]", at + 2)
            if end >= 0:
                return self._named(pattern[at + 2:end], end + 2)
        if pattern[at] == "\\" and pattern[at + 1:at + 2] in ESCAPED and at + 1 < len(pattern):
            self._at += 2
            return list(ESCAPED[pattern[at + 1]].ranges)
        first = self._class_code()
        if not pattern.startswith("-", self._at) or pattern.startswith("-]", self._at) or self._at + 1 >= len(pattern):
            return [(first, first)]
        self._at += 1
        last = self._class_code()
        if last < first:
            raise ValueError(f"invalid character class range: {pattern[at:self._at]}")
        return [(first, last)]

    def _class_code(self) -> int:
        if self._pattern[self._at] == "\\":
            return self._code()
        self._at += 1
        return ord(self._pattern[self._at - 1])

    def _named(self, name: str, end: int) -> List[Range]:
        known = NAMED.get(name.lstrip("^"))
        if known is None:
            raise ValueError(f"invalid character class range: [:{name}:]")
        self._at = end
        return list(negated(known).ranges) if name.startswith("^") else list(known)


def _repeats(node: Node) -> int:
    """How often an innermost part can be there: counts of repetitions inside each other multiply."""
    if isinstance(node, Repeat):
        own = node.most if node.most is not None else node.least
        return max(1, own) * _repeats(node.item)
    if isinstance(node, (Cat, Alt)):
        return max(map(_repeats, node.items), default=1)
    return _repeats(node.item) if isinstance(node, Group) else 1
