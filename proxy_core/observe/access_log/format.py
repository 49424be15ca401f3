"""Access-log formats: a text with %OPERATORS% or a JSON tree, compiled once into a list of getters.

A line then costs one call per operator and one join; nothing is parsed while the proxy runs. Mirrors
`SubstitutionFormatParser` and `JsonFormatterImpl`, with their error sentences.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from ..escape import json_line
from ..stream_info import StreamInfo
from .http_operators import http_facts
from .operators import plain_operators
from .parametrised import parametrised_operators
from .values import Getter, LogContext, Value, as_text, unescaped_text

# What Envoy writes when no format is given, for TCP as well: mostly dashes there.
ENVOY_DEFAULT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    '%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% '
    '"%REQ(X-FORWARDED-FOR)%" '
    '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
# What a connection without HTTP has to tell.
TCP_DEFAULT = (
    "[%START_TIME%] [C%CONNECTION_ID%] %LISTENER_NAME% %FILTER_CHAIN_NAME% %DOWNSTREAM_REMOTE_ADDRESS% -> "
    '%UPSTREAM_HOST% %UPSTREAM_CLUSTER% in=%BYTES_RECEIVED% out=%BYTES_SENT% ms=%DURATION% '
    'flags=%RESPONSE_FLAGS% %ACCESS_LOG_TYPE% "%CLOSE_REASON%"\n'
)

_COMMAND = re.compile(r"%(?P<name>[A-Z0-9_]+)(?P<params>\([^\n]*?\))?(?::(?P<length>\d+))?%")
_MAX_LENGTH = 2**64 - 1

Part = Union[str, Getter]
Build = Callable[[StreamInfo, LogContext], Any]


class TextFormatter:
    """A compiled text format. The text is used as it is: no line end is added. render: how a value becomes text."""

    __slots__ = ("_parts", "_empty", "_render")

    def __init__(self, parts: List[Part], empty: str, render: Callable[[Value, str], str] = as_text) -> None:
        self._parts = parts
        self._empty = empty
        self._render = render

    def format(self, info: StreamInfo, context: LogContext) -> str:
        """The line of one connection."""
        empty, render = self._empty, self._render
        return "".join([
            part if isinstance(part, str) else render(part(info, context), empty) for part in self._parts
        ])


class JsonFormatter:
    """A compiled JSON format: one object and a line end per line."""

    __slots__ = ("_build",)

    def __init__(self, build: Build) -> None:
        self._build = build

    def format(self, info: StreamInfo, context: LogContext) -> str:
        """The line of one connection."""
        tree = self._build(info, context)
        return json_line({} if tree is None else tree) + "\n"


Formatter = Union[TextFormatter, JsonFormatter]


class FormatCompiler:
    """Compiles formats. One instance serves a whole configuration: it holds the table of operators.

    default: the text format of loggers that have none, `TCP_DEFAULT` or `ENVOY_DEFAULT`.
    """

    def __init__(self, default: str = TCP_DEFAULT) -> None:
        self.default = default
        self._plain = plain_operators()
        self._plain.update(http_facts())
        self._parametrised = parametrised_operators()

    def parts(self, pattern: str) -> List[Part]:
        """The pieces of a text format, for who joins them in a way of his own: text, and getters. Raises as `text` does."""
        return self._parse(pattern)

    def text(self, pattern: str, omit_empty_values: bool = False) -> TextFormatter:
        """Compile a text format.

        omit_empty_values: print nothing instead of "-" for what is not known.
        Raises ValueError with Envoy's sentence for an unknown operator, wrong parameters or a stray "%".
        """
        return TextFormatter(self._parse(pattern), "" if omit_empty_values else "-")

    def json(self, tree: Mapping[str, Any], omit_empty_values: bool = False) -> JsonFormatter:
        """Compile a `json_format`: nested objects and lists whose strings are text formats.

        A string that is exactly one operator keeps the type of its value. Keys are written in sorted order.
        omit_empty_values: leave out what is not known instead of writing null, and objects that are empty without it.
        Raises ValueError as `text` does, for any string in the tree.
        """
        return JsonFormatter(self._node(dict(tree), omit_empty_values))

    def _parse(self, pattern: str) -> List[Part]:
        parts: List[Part] = []
        literal, position = "", 0
        while position < len(pattern):
            percent = pattern.find("%", position)
            if percent < 0:
                break
            literal += pattern[position:percent]
            if pattern.startswith("%%", percent):
                literal += "%"
                position = percent + 2
                continue
            command = _COMMAND.match(pattern, percent)
            if command is None or int(command.group("length") or 0) > _MAX_LENGTH:
                raise ValueError(
                    f"Incorrect configuration: {pattern}. Couldn't find valid command at position {percent}"
                )
            parts += [literal] if literal else []
            parts.append(self._operator(command))
            literal, position = "", command.end()
        literal += pattern[position:]
        return parts + ([literal] if literal else [])

    def _operator(self, command: "re.Match[str]") -> Getter:
        name = command.group("name")
        params = (command.group("params") or "()")[1:-1]
        length = None if command.group("length") is None else int(command.group("length"))
        operator = self._parametrised.get(name)
        if operator is None:
            getter = self._plain.get(name)
            if getter is None:
                raise ValueError(f"Not supported field in StreamInfo: {name}")
            if params or length is not None:
                raise ValueError(f"{name} does not take any parameters or length")
            return getter
        if operator.needs_params and not params:
            raise ValueError(f"{name} requires parameters")
        if length is not None and not operator.takes_length:
            raise ValueError(f"{name} does not allow length to be specified.")
        return operator.compile(params, length)

    def _node(self, value: Any, omit_empty: bool) -> Build:
        if isinstance(value, Mapping):
            return self._object(value, omit_empty)
        if isinstance(value, (list, tuple)):
            return self._list(value, omit_empty)
        if isinstance(value, str):
            return self._string(value, omit_empty)
        if value is not None and not isinstance(value, (bool, int, float)):
            raise ValueError(f"json_format: a {type(value).__name__} is not a JSON value")
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a protobuf Struct has doubles only; Envoy prints 3 for 3.0
        return lambda info, context: value

    def _object(self, value: Mapping[str, Any], omit_empty: bool) -> Build:
        fields: List[Tuple[str, Build]] = [(key, self._node(value[key], omit_empty)) for key in sorted(value)]

        def build(info: StreamInfo, context: LogContext) -> Optional[Dict[str, Any]]:
            tree = {key: node(info, context) for key, node in fields}
            if not omit_empty:
                return tree
            return {key: found for key, found in tree.items() if found is not None} or None

        return build

    def _list(self, value: Any, omit_empty: bool) -> Build:
        nodes = [self._node(item, omit_empty) for item in value]

        def build(info: StreamInfo, context: LogContext) -> List[Any]:
            items = [node(info, context) for node in nodes]
            return [item for item in items if item is not None] if omit_empty else items

        return build

    def _string(self, value: str, omit_empty: bool) -> Build:
        parts = self._parse(value)
        only: Optional[Part] = parts[0] if len(parts) == 1 else None
        if only is not None and not isinstance(only, str):
            return only
        return TextFormatter(parts, "" if omit_empty else "-", unescaped_text).format  # JSON escapes it
