"""Access log to a file. Mirrors `envoy.access_loggers.file`."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional

from ...config.fields import Message, Nested, String, Struct, message, optional, plain
from ...config.model.core import SubstitutionFormatString
from ...observe.access_log.format import FormatCompiler, Formatter
from ...observe.access_log.sink import Sink, SinkCache
from .registry import AccessLogExtension, compile_format


@message("envoy.extensions.access_loggers.file.v3.FileAccessLog")
@dataclasses.dataclass(eq=False, repr=False)
class FileAccessLog(Message):
    """Lines appended to a file."""

    path: str = plain(String(min_len=1), help="The file; /dev/stdout and /dev/stderr work too.")
    format: Optional[str] = optional(String(), oneof="access_log_format", deprecated=True)
    json_format: Optional[Dict[str, Any]] = optional(Struct(), oneof="access_log_format", deprecated=True)
    typed_json_format: Optional[Dict[str, Any]] = optional(Struct(), oneof="access_log_format", deprecated=True)
    log_format: Optional[SubstitutionFormatString] = optional(
        Nested(SubstitutionFormatString), oneof="access_log_format", help="Default: one line made for TCP."
    )


def _open_sink(config: FileAccessLog, cache: SinkCache) -> Sink:
    return cache.file(config.path)


def _make_format(config: FileAccessLog, compiler: FormatCompiler, path: str) -> Formatter:
    if config.format is not None:
        return compiler.text(config.format)
    for tree in (config.json_format, config.typed_json_format):
        if tree is not None:
            return compiler.json(tree)
    return compile_format(config.log_format, compiler, path)


EXTENSION = AccessLogExtension(FileAccessLog, _open_sink, _make_format)
