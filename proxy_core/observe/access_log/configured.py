"""From a configured `log_format` (config.core.v3.SubstitutionFormatString) to a compiled formatter.

The message is taken as any object with Envoy's field names, unset fields None.
"""

from __future__ import annotations

import os
from typing import Any

from .format import FormatCompiler, Formatter


def formatter_of(message: Any, compiler: FormatCompiler, default: str) -> Formatter:
    """The formatter of a `log_format`; None and a message without a format mean `default`.

    Raises ValueError with Envoy's sentence for a bad format, OSError for a format file that can't be read.
    """
    if message is None:
        return compiler.text(default)
    omit = bool(message.omit_empty_values)
    if message.json_format is not None:
        return compiler.json(message.json_format, omit)
    if message.text_format is not None:
        return compiler.text(message.text_format, omit)
    if message.text_format_source is not None:
        return compiler.text(_read(message.text_format_source), omit)
    return compiler.text(default, omit)


def _read(source: Any) -> str:
    """The text of a config.core.v3.DataSource."""
    if getattr(source, "inline_string", None) is not None:
        return str(source.inline_string)
    if getattr(source, "inline_bytes", None) is not None:
        return bytes(source.inline_bytes).decode("utf-8")
    if getattr(source, "environment_variable", None) is not None:
        text = os.environ.get(source.environment_variable)
        if text is None:
            raise ValueError(f"Environment variable doesn't exist: {source.environment_variable}")
        return text
    if getattr(source, "filename", None) is None:
        raise ValueError("text_format_source: nothing is set, expected inline_string or filename")
    with open(source.filename, encoding="utf-8") as file:
        return file.read()
