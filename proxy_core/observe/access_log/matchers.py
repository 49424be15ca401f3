"""Conditions on strings, values and headers, compiled to functions.

Mirrors `type.matcher.v3` and `config.route.v3.HeaderMatcher`. The messages come as
objects with Envoy's field names; unset fields of a oneof are None.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional

from ...re2 import compile_regex

Matcher = Callable[[Any], bool]


def value_matcher(message: Any) -> Matcher:
    """A `type.matcher.v3.ValueMatcher`."""
    if getattr(message, "null_match", None) is not None:
        return lambda found: found is None
    if getattr(message, "double_match", None) is not None:
        return _double(message.double_match)
    if getattr(message, "string_match", None) is not None:
        matches = string_matcher(message.string_match)
        return lambda found: isinstance(found, str) and matches(found)
    if getattr(message, "bool_match", None) is not None:
        wanted = bool(message.bool_match)
        return lambda found: found is wanted
    if getattr(message, "present_match", None) is not None:
        present = bool(message.present_match)
        return lambda found: present
    if getattr(message, "list_match", None) is not None:
        one_of = value_matcher(message.list_match.one_of)
        return lambda found: isinstance(found, list) and any(one_of(item) for item in found)
    if getattr(message, "or_match", None) is not None:
        choices = [value_matcher(choice) for choice in message.or_match.value_matchers]
        return lambda found: any(matches(found) for matches in choices)
    raise ValueError("the value matcher is empty")


def _double(message: Any) -> Matcher:
    exact, limits = getattr(message, "exact", None), getattr(message, "range", None)

    def matches(found: Any) -> bool:
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return False
        return found == exact if limits is None else bool(limits.start <= found < limits.end)

    return matches


def string_matcher(message: Any, prepare: Callable[[str], str] = str) -> Callable[[str], bool]:
    """A `type.matcher.v3.StringMatcher`. prepare: brings text of the configuration to the form of what is tested."""
    fold: Callable[[str], str] = str.lower if getattr(message, "ignore_case", False) else str
    tests: Dict[str, Callable[[str, str], bool]] = {
        "exact": str.__eq__, "prefix": str.startswith, "suffix": str.endswith, "contains": str.__contains__,
    }
    for name, test in tests.items():
        wanted = getattr(message, name, None)
        if wanted is not None:
            folded = fold(prepare(wanted))
            return lambda found: test(fold(found), folded)
    regex = getattr(message, "safe_regex", None)
    if regex is None:
        raise ValueError("the string matcher is empty")
    return compile_regex(prepare(regex.regex)).matches


def header_matcher(message: Any) -> Callable[[Optional[str]], bool]:
    """The test of a HeaderMatcher on a header's value, None when the header is missing."""
    matches = header_lines_matcher(message)
    return lambda value: matches([] if value is None else [value])


def header_lines_matcher(message: Any, prepare: Callable[[str], str] = str) -> Callable[[List[str]], bool]:
    """The test of a HeaderMatcher on all values of a header, [] when it is missing: one that fits is enough.

    prepare: brings text of the configuration to the form of the values.
    """
    present = getattr(message, "present_match", None)
    invert = bool(message.invert_match)
    matches = _header_value(message, prepare)
    missing = [""] if getattr(message, "treat_missing_header_as_empty", False) else []
    if present is not None or matches is None:  # no specifier at all asks for presence
        wanted = present is None or bool(present)
        return lambda values: (bool(values or missing) == wanted) != invert
    compare = matches

    def test(values: List[str]) -> bool:
        values = values or missing
        # A missing header matches nothing, not even the inverted condition.
        return bool(values) and any(compare(value) for value in values) != invert

    return test


def _header_value(message: Any, prepare: Callable[[str], str]) -> Optional[Callable[[str], bool]]:
    if getattr(message, "string_match", None) is not None:
        return string_matcher(message.string_match, prepare)
    limits = getattr(message, "range_match", None)
    if limits is not None:
        number = re.compile(r"-?\d{1,19}")
        return lambda value: bool(number.fullmatch(value)) and limits.start <= int(value) < limits.end
    names = ("exact", "prefix", "suffix", "contains")
    old = {name: getattr(message, f"{name}_match", None) for name in names}
    regex = getattr(message, "safe_regex_match", None)
    if regex is None and not any(wanted is not None for wanted in old.values()):
        return None
    return string_matcher(_OldStringMatch(old, regex), prepare)


class _OldStringMatch:
    """The deprecated `exact_match`, `prefix_match` ... of a HeaderMatcher in the shape of a StringMatcher."""

    def __init__(self, wanted: Dict[str, Optional[str]], safe_regex: Any) -> None:
        self.exact = wanted["exact"]
        self.prefix = wanted["prefix"]
        self.suffix = wanted["suffix"]
        self.contains = wanted["contains"]
        self.safe_regex = safe_regex
