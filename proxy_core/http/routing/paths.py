"""The path that a route asks for: the keys to find it by, and the test that is left. Mirrors the `*RouteEntryImpl` classes."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Tuple

from ...config.model.route_match import RouteMatch
from ...re2 import compile_regex
from .index import Key
from .text import wire


class PathRule(NamedTuple):
    """keys: see `index`. test: of a path that has one of them; None if that is enough."""

    keys: Tuple[Key, ...]
    test: Optional[Callable[[str], bool]] = None


def path_rule(match: RouteMatch) -> PathRule:
    """The rule of a RouteMatch that is not `connect_matcher`. Raises ValueError."""
    if match.safe_regex is not None:
        regex = compile_regex(wire(match.safe_regex.regex))
        return PathRule((Key(regex.literal_prefix),), regex.matches)
    ignore_case = match.case_sensitive is False

    def key(text: str, is_exact: bool) -> Key:
        text = wire(text)
        return Key(text.lower() if ignore_case else text, is_exact, ignore_case)
    if match.path is not None:
        return PathRule((key(match.path, True),))
    if match.path_separated_prefix is not None:
        prefix = match.path_separated_prefix
        return PathRule((key(prefix, True), key(f"{prefix}/", False)))
    return PathRule((key(match.prefix or "", False),))
