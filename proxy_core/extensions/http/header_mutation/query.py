"""Changes of the query of a request, prepared. Mirrors `QueryParameterMutationAppend` and `QueryParamsMulti`.

As in Envoy the parameters come out in the order of their names, those of one name in their own order, each with a "=". Unlike
Envoy's, which decodes all of them and encodes only what it adds, a parameter that is not changed stays as it was written: `%26`
does not become a separator, nor `%0d%0a` a line break.
"""

from __future__ import annotations

from typing import Callable, Dict, Final, List, Optional, Sequence
from urllib.parse import quote, unquote

from ....config.model.header_value import (
    ADD_IF_ABSENT, APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS_OR_ADD,
)
from ....errors import Problem
from ....http.routing.formatting import Format, Formats
from ....http.routing.text import wire
from ....observe.stream_info import StreamInfo
from .config import KeyValueAppend, KeyValueMutation

# By decoded name: the parameters of this name, "name=value" as they stand in the query.
_Parameters = Dict[str, List[str]]
_Step = Callable[[_Parameters, StreamInfo], None]
QueryChange = Callable[[str, StreamInfo], str]
_UNCHANGED: Final = "*-._"  # by quoting, besides letters, digits and "~"


def prepare_query(
    mutations: Sequence[KeyValueMutation], formats: Formats, path: str, problems: List[Problem]
) -> Optional[QueryChange]:
    """The change of a request target (path and query) that the list at `path` makes; None for an empty list."""
    steps: List[_Step] = []
    for index, mutation in enumerate(mutations):
        if mutation.append is None:
            steps.append(_remove(wire(mutation.remove)))
            continue
        assert mutation.append.record is not None
        try:
            steps.append(_append(mutation.append, formats.compile(str(mutation.append.record.value))))
        except ValueError as error:
            problems.append(Problem(f"{path}[{index}].append.record.value", str(error)))
    if not steps:
        return None

    def change(target: str, info: StreamInfo) -> str:
        before, _, query = target.partition("?")
        parameters = _parsed(query)
        for step in steps:
            step(parameters, info)
        pieces = [piece for name in sorted(parameters) for piece in parameters[name]]
        return f"{before}?{'&'.join(pieces)}" if pieces else before
    return change


def _parsed(query: str) -> _Parameters:
    parameters: _Parameters = {}
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        parameters.setdefault(unquote(name, "latin-1"), []).append(f"{name}={value}")
    return parameters


def _remove(name: str) -> _Step:
    def step(parameters: _Parameters, info: StreamInfo) -> None:
        parameters.pop(name, None)
    return step


def _append(config: KeyValueAppend, value: Format) -> _Step:
    assert config.record is not None
    name, written, action = wire(config.record.key), _quoted(wire(config.record.key)), config.action

    def step(parameters: _Parameters, info: StreamInfo) -> None:
        present = parameters.get(name)
        if (action == ADD_IF_ABSENT and present) or (action == OVERWRITE_IF_EXISTS and not present):
            return
        piece = f"{written}={_quoted(value(info))}"
        if action in (OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS_OR_ADD) or not present:
            parameters[name] = [piece]
        else:
            assert action == APPEND_IF_EXISTS_OR_ADD
            present.append(piece)
    return step


def _quoted(text: str) -> str:
    """text: in the form of the wire. As Envoy's `urlEncode`, which takes the set of HTML forms."""
    return quote(text, _UNCHANGED, "latin-1").replace("~", "%7E")
