"""A compiled expression: chooses who runs it."""

from __future__ import annotations

import re
from typing import Callable, Final, List, Optional, Sequence, Union

from .automaton import Automaton
from .captures import search
from .cost import is_linear, is_linear_search
from .parse import parse
from .program import Program, build_program
from .python import compiled
from .reach import Reach
from .tree import Node, literal_prefix, nullable

_SHORT: Final = 500  # characters in which even a search from every place takes a millisecond or less

# Text, or the number of a group whose text is put there.
Template = Sequence[Union[str, int]]
# The places of the first match from a place on.
Find = Callable[[int], Optional[Sequence[int]]]


class Regex:
    """literal_prefix: what all matches of whole texts begin with. groups: how many."""

    __slots__ = (
        "literal_prefix", "groups", "matches", "_pattern", "_tree", "_program", "_reach", "_is_linear", "_is_linear_search",
    )

    def __init__(self, tree: Node) -> None:
        """Raises ValueError for a tree that is too large."""
        self.literal_prefix = literal_prefix(tree)
        self._tree = tree
        self._pattern = compiled(tree)
        self._program: Optional[Program] = None
        self._reach: Optional[Reach] = None
        self.groups = self._pattern.groups
        self._is_linear = is_linear(tree)
        self._is_linear_search = is_linear_search(tree)
        # Whether it matches a whole text.
        self.matches: Callable[[str], bool] = self._backtracking if self._is_linear else Automaton(self._steps()).matches

    def replacer(self, substitution: str) -> Callable[[str], str]:
        """Gives texts with each match replaced: \\0 to \\9 stand for the match and its groups, \\\\ for a backslash. Where it
        asks for a group that is not there nothing is replaced, as by RE2::GlobalReplace."""
        template = _template(substitution)
        if any(isinstance(part, int) and part > self.groups for part in template):
            return str
        if self._is_linear_search and not nullable(self._tree):
            pattern = self._pattern
            return lambda text: pattern.sub(lambda match: _filled_match(template, match), text)
        return lambda text: _replaced(text, template, self._finder(text))

    def _backtracking(self, text: str) -> bool:
        return self._pattern.fullmatch(text) is not None

    def _steps(self) -> Program:
        if self._program is None:
            self._program = build_program(self._tree)
        return self._program

    def _finder(self, text: str) -> Find:
        if self._is_linear_search or self._is_linear and len(text) <= _SHORT:
            return lambda start: _places(self._pattern.search(text, start))
        program = self._steps()
        if self._reach is None:
            self._reach = Reach(program)
        reach = self._reach.of(text)
        return lambda start: search(program, text, start, reach)


def compile_regex(pattern: str) -> Regex:
    """The expression `pattern`. Raises ValueError with RE2's sentence for one that can't be used."""
    return Regex(parse(pattern))


def _template(substitution: str) -> Template:
    """RE2 gives up where a backslash is followed by anything but a digit or a backslash: what stands before counts."""
    parts: List[Union[str, int]] = []
    for text, escape in re.findall(r"([^\\]+)|\\(.?)", substitution, re.DOTALL):
        if text:
            parts.append(text)
        elif escape == "\\":
            parts.append("\\")
        elif escape.isascii() and escape.isdigit():
            parts.append(int(escape))
        else:
            break
    return parts


def _places(match: Optional["re.Match[str]"]) -> Optional[List[int]]:
    return None if match is None else [place for span in match.regs for place in span]


def _filled_match(template: Template, match: "re.Match[str]") -> str:
    return "".join([part if isinstance(part, str) else match.group(part) or "" for part in template])


def _filled(template: Template, text: str, places: Sequence[int]) -> str:
    found = []
    for part in template:
        if isinstance(part, str):
            found.append(part)
        elif places[2 * part] >= 0:
            found.append(text[places[2 * part]:places[2 * part + 1]])
    return "".join(found)


def _replaced(text: str, template: Template, find: Find) -> str:
    """As RE2::GlobalReplace: no empty match right behind another one."""
    found: List[str] = []
    at, last_end = 0, -1
    while at <= len(text):
        places = find(at)
        if places is None:
            break
        begin, end = places[0], places[1]
        found.append(text[at:begin])
        if begin == end == last_end:
            found.append(text[at:at + 1])
            at += 1
            continue
        found.append(_filled(template, text, places))
        at = last_end = end
    return "".join(found) + text[at:]
