"""Event logs of health checks and outlier detection: files that take one JSON object per line, shared by path with the
access logs. Mirrors Envoy's use of `AccessLogManager` for both.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Mapping, Protocol

from ..errors import ConfigError, Problem
from ..observe.access_log.sink import Sink


class Sinks(Protocol):
    """Where files are opened: `observe.access_log.sink.SinkCache`."""

    def file(self, path: str) -> Sink:
        """The sink of a file. Raises OSError."""


def open_log(sinks: Sinks, file: str, path: str) -> Sink:
    """The sink of a file. path: where the configuration names it. Raises ConfigError."""
    try:
        return sinks.file(file)
    except OSError as error:
        raise ConfigError([Problem(path, f"unable to open file '{file}': {error.strerror}")]) from None


def json_line(event: Mapping[str, Any]) -> str:
    """One line, with its end."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n"


def timestamp(wall: float) -> str:
    """Seconds since the epoch in protobuf's JSON form: "2026-11-23T06:41:51.316Z"; no fraction if it is zero."""
    milliseconds = int(wall * 1000)
    moment = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc)
    fraction = f".{milliseconds % 1000:03d}" if milliseconds % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
