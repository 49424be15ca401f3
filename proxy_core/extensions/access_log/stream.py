"""Access logs to standard output and standard error. Mirrors `envoy.access_loggers.stdout` and `.stderr`."""

from __future__ import annotations

import dataclasses
from typing import Optional, Union

from ...config.fields import Message, Nested, message, optional
from ...config.model.core import SubstitutionFormatString
from ...observe.access_log.format import FormatCompiler, Formatter
from ...observe.access_log.sink import Sink, SinkCache
from .registry import AccessLogExtension, compile_format


@message("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog")
@dataclasses.dataclass(eq=False, repr=False)
class StdoutAccessLog(Message):
    """Lines to standard output."""

    log_format: Optional[SubstitutionFormatString] = optional(
        Nested(SubstitutionFormatString), oneof="access_log_format"
    )


@message("envoy.extensions.access_loggers.stream.v3.StderrAccessLog")
@dataclasses.dataclass(eq=False, repr=False)
class StderrAccessLog(Message):
    """Lines to standard error."""

    log_format: Optional[SubstitutionFormatString] = optional(
        Nested(SubstitutionFormatString), oneof="access_log_format"
    )


def _stdout(config: StdoutAccessLog, cache: SinkCache) -> Sink:
    return cache.stdout()


def _stderr(config: StderrAccessLog, cache: SinkCache) -> Sink:
    return cache.stderr()


def _make_format(config: Union[StdoutAccessLog, StderrAccessLog], compiler: FormatCompiler, path: str) -> Formatter:
    return compile_format(config.log_format, compiler, path)


STDOUT = AccessLogExtension(StdoutAccessLog, _stdout, _make_format)
STDERR = AccessLogExtension(StderrAccessLog, _stderr, _make_format)
