"""What an access logger is to the server: its configuration message, and where its lines go."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional, Type

from ...config.model.core import SubstitutionFormatString
from ...observe.access_log.format import FormatCompiler, Formatter
from ...observe.access_log.sink import Sink, SinkCache


class AccessLogExtension(NamedTuple):
    """open_sink: the destination, from the configuration; raises OSError. make_format: the compiled format, given the path
    of the configuration for problems; raises ValueError or ConfigError."""

    config: Type[Any]
    open_sink: Callable[[Any, SinkCache], Sink]
    make_format: Callable[[Any, FormatCompiler, str], Formatter]


def compile_format(wanted: Optional[SubstitutionFormatString], compiler: FormatCompiler, path: str) -> Formatter:
    """`log_format`, or the compiler's default."""
    if wanted is None:
        return compiler.text(compiler.default)
    return compile_substitution(wanted, compiler, f"{path}.log_format")


def compile_substitution(wanted: SubstitutionFormatString, compiler: FormatCompiler, path: str) -> Formatter:
    """A format string that stands at `path`. Raises ValueError for its operators, ConfigError for a file that can't be read."""
    if wanted.json_format is not None:
        return compiler.json(wanted.json_format, wanted.omit_empty_values)
    if wanted.text_format_source is not None:
        text = wanted.text_format_source.read(f"{path}.text_format_source").decode("utf-8", "replace")
    else:
        text = wanted.text_format or ""
    return compiler.text(text, wanted.omit_empty_values)
