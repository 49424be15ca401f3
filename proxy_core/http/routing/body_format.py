"""Bodies written from a `SubstitutionFormatString`: of `direct_response` routes and of answers that are made here.

The operators are those of access logs. Unlike a log line a body keeps the line ends of what it is made of.
"""

from __future__ import annotations

from typing import Final, Union

from ...config.model.core import SubstitutionFormatString
from ...errors import ConfigError, Problem
from ...observe.access_log.format import Formatter
from ...observe.access_log.values import JsonString, LogContext, Value, as_text
from ...observe.stream_info import StreamInfo
from .formatting import Formats

PLAIN_TEXT: Final = "text/plain"
JSON: Final = "application/json"


class BodyFormat:
    """content_type: as configured, else that of the format's kind."""

    __slots__ = ("content_type", "_formatter")

    def __init__(self, config: SubstitutionFormatString, formats: Formats, path: str) -> None:
        """path: of the configuration. Raises ConfigError."""
        self.content_type = config.content_type or (JSON if config.json_format is not None else PLAIN_TEXT)
        try:
            self._formatter = _formatter(config, formats, path)
        except ValueError as error:
            raise ConfigError([Problem(path, str(error))]) from None

    def render(self, info: StreamInfo, context: LogContext) -> bytes:
        """The body."""
        return self._formatter.format(info, context).encode("utf-8", "surrogateescape")


class _Text:
    """A compiled text format whose strings are printed as they are."""

    __slots__ = ("_parts", "_empty")

    def __init__(self, pattern: str, formats: Formats, empty: str) -> None:
        self._parts = formats.compiler.parts(pattern)
        self._empty = empty

    def format(self, info: StreamInfo, context: LogContext) -> str:
        """The text of one stream."""
        return "".join([
            part if isinstance(part, str) else _plain(part(info, context), self._empty) for part in self._parts
        ])


def _plain(value: Value, empty: str) -> str:
    return value if isinstance(value, str) and not isinstance(value, JsonString) else as_text(value, empty)


def _formatter(config: SubstitutionFormatString, formats: Formats, path: str) -> Union[Formatter, _Text]:
    if config.json_format is not None:
        return formats.compiler.json(config.json_format, config.omit_empty_values)
    text = config.text_format or ""
    if config.text_format_source is not None:
        text = config.text_format_source.read(f"{path}.text_format_source").decode("utf-8", "surrogateescape")
    return _Text(text, formats, "" if config.omit_empty_values else "-")
