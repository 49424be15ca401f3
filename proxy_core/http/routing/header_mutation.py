"""`request_headers_to_add` and their kind: changes of headers, prepared. Mirrors `HeaderParser`.

Inside one list: removals first, then what overwrites, then what is added; all values are worked out from the headers as they
were before.
"""

from __future__ import annotations

from typing import Callable, Dict, Final, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ...config.model.header_mutation import HeaderMutation
from ...config.model.header_value import (
    ADD_IF_ABSENT, APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS, HeaderValueOption,
)
from ...errors import Problem
from ...observe.access_log.matchers import string_matcher
from ...observe.stream_info import StreamInfo
from ..headers import Headers
from .formatting import Format, Formats
from .inline_headers import INLINE
from .text import wire

Change = Callable[[Headers, StreamInfo], None]

_NOT_MODIFIED: Final = ":-prefixed or host headers may not be modified"
_NOT_REMOVED: Final = ":-prefixed or host headers may not be removed"


class _Entry(NamedTuple):
    """One header to add. fixed: its value where that never changes, else `format` yields it."""

    name: str
    action: str
    keep_empty: bool
    fixed: Optional[str]
    format: Format


def prepare_headers(
    add: Sequence[HeaderValueOption], remove: Sequence[str], formats: Formats, path: str, kind: str, problems: List[Problem],
    added_at: str = "",
) -> Optional[Change]:
    """The change that `<kind>_headers_to_add` and `<kind>_headers_to_remove` of the message at `path` make; None if none.

    kind: "request" or "response". Problems are added to `problems`. added_at: the name of the list of what is added, where it is
    another one.
    """
    for index, name in enumerate(remove):
        if is_pseudo(name):
            problems.append(Problem(f"{path}.{kind}_headers_to_remove[{index}]", _NOT_REMOVED))
    entries = []
    for index, option in enumerate(add):
        try:
            entries.append(_entry(option, formats))
        except ValueError as error:
            problems.append(Problem(f"{path}.{added_at or kind + '_headers_to_add'}[{index}]", str(error)))
    return _change([wire(name.lower()) for name in remove], entries, INLINE[kind]) if remove or entries else None


def prepare_mutations(
    mutations: Sequence[HeaderMutation], formats: Formats, path: str, problems: List[Problem], kind: str = "request"
) -> Optional[Change]:
    """The change that a list of HeaderMutations at `path` makes, one after the other; None for an empty list.

    kind: "request" or "response".
    """
    changes: List[Change] = []
    for index, mutation in enumerate(mutations):
        try:
            changes.append(_mutation(mutation, formats, INLINE[kind]))
        except ValueError as error:
            problems.append(Problem(f"{path}[{index}]", str(error)))
    return in_order(changes)


def in_order(changes: Sequence[Optional[Change]]) -> Optional[Change]:
    """All of these, one after the other; None if there is none."""
    steps = [change for change in changes if change is not None]
    if len(steps) < 2:
        return steps[0] if steps else None

    def apply(headers: Headers, info: StreamInfo) -> None:
        for step in steps:
            step(headers, info)
    return apply


def is_pseudo(name: str) -> bool:
    """Whether this is one of the names that stand for parts of the request line, which have rules of their own."""
    return name.startswith(":") or name.lower() == "host"


def append_line(headers: Headers, name: str, value: str, inline: FrozenSet[str]) -> None:
    """One more value, in a line of its own unless Envoy joins those of this name. inline: see `inline_headers`."""
    if name not in inline:
        headers.add(name, value)
    elif value or name not in headers:
        headers.append(name, value)


def _entry(option: HeaderValueOption, formats: Formats) -> _Entry:
    assert option.header is not None
    name = option.header.key
    if is_pseudo(name):
        raise ValueError(_NOT_MODIFIED)
    fixed, render = formats.constant(option.header.value), formats.compile(option.header.value)
    return _Entry(wire(name.lower()), option.action, option.keep_empty_value, fixed, render)


def _change(removed: List[str], entries: List[_Entry], inline: FrozenSet[str]) -> Change:
    if not removed and len(entries) == 1 and entries[0].fixed and entries[0].action == APPEND_IF_EXISTS_OR_ADD:
        name, value = entries[0].name, entries[0].fixed
        return lambda headers, info: append_line(headers, name, value, inline)

    def apply(headers: Headers, info: StreamInfo) -> None:
        for name in removed:
            headers.remove(name)
        added: List[Tuple[str, str]] = []
        replaced: List[Tuple[str, str]] = []
        for entry in entries:
            value = entry.format(info) if entry.fixed is None else entry.fixed
            if not value and not entry.keep_empty:
                continue
            if entry.action == APPEND_IF_EXISTS_OR_ADD:
                added.append((entry.name, value))
            elif entry.action == ADD_IF_ABSENT:
                if entry.name not in headers:
                    added.append((entry.name, value))
            elif entry.action != OVERWRITE_IF_EXISTS or entry.name in headers:
                replaced.append((entry.name, value))
        for name, value in replaced:
            headers.remove(name)
            headers.add(name, value)
        for name, value in added:
            append_line(headers, name, value, inline)
    return apply


def _appending(entry: _Entry, inline: FrozenSet[str]) -> Change:
    name, action = entry.name, entry.action

    def append(headers: Headers, info: StreamInfo) -> None:
        value = entry.format(info) if entry.fixed is None else entry.fixed
        if not value and not entry.keep_empty:
            return
        is_there = name in headers
        if (action == ADD_IF_ABSENT and is_there) or (action == OVERWRITE_IF_EXISTS and not is_there):
            return
        if is_there and action != APPEND_IF_EXISTS_OR_ADD:
            headers.remove(name)
        append_line(headers, name, value, inline)
    return append


def _mutation(mutation: HeaderMutation, formats: Formats, inline: FrozenSet[str]) -> Change:
    if mutation.append is not None:
        return _appending(_entry(mutation.append, formats), inline)
    if mutation.remove is not None:
        if mutation.remove.startswith(":"):  # Envoy takes it, and answers every request with 503
            raise ValueError(_NOT_REMOVED)
        return _change([wire(mutation.remove.lower())], [], inline)
    assert mutation.remove_on_match is not None and mutation.remove_on_match.key_matcher is not None
    matches = string_matcher(mutation.remove_on_match.key_matcher, wire)

    def remove_matching(headers: Headers, info: StreamInfo) -> None:
        found: Dict[str, None] = {name: None for name, _ in headers.items() if matches(name)}
        for name in found:
            headers.remove(name)
    return remove_matching
