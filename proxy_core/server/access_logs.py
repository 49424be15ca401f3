"""Builds access loggers from their configuration, and owns their sinks."""

from __future__ import annotations

import random
from typing import Any, Callable, List, Mapping, Sequence

from ..config.model.access_log import AccessLog as AccessLogConfig
from ..errors import ConfigError, Problem
from ..event.reactor import Reactor
from ..extensions.access_log.registry import AccessLogExtension
from ..observe.access_log.filters import compile_filter
from ..observe.access_log.format import FormatCompiler
from ..observe.access_log.logger import AccessLog
from ..observe.access_log.sink import SinkCache


class AccessLogs:
    """One per server. The sinks are shared by path."""

    def __init__(
        self, extensions: Mapping[str, AccessLogExtension], sinks: SinkCache, reactor: Reactor,
        wall_clock: Callable[[], float], rng: random.Random,
    ) -> None:
        self.sinks = sinks
        self._extensions = extensions
        self._reactor = reactor
        self._wall_clock = wall_clock
        self._random = rng
        self._compiler = FormatCompiler()

    def build(self, configs: Sequence[AccessLogConfig], path: str, problems: List[Problem]) -> List[AccessLog]:
        """The loggers of one `access_log` list; what is wrong with them is added to `problems`."""
        logs = []
        for index, config in enumerate(configs):
            where = f"{path}[{index}]"
            try:
                logs.append(self._one(config, where))
            except ConfigError as error:
                problems.extend(error.problems)
        return logs

    def _one(self, config: AccessLogConfig, path: str) -> AccessLog:
        assert config.typed_config is not None
        extension = self._extensions.get(config.typed_config.type_name)
        if extension is None:
            name = config.typed_config.type_name
            raise ConfigError([Problem(f"{path}.typed_config", f"'{name}' is not an access logger")])
        message: Any = config.typed_config.message
        try:
            formatter = extension.make_format(message, self._compiler)
        except ValueError as error:
            raise ConfigError([Problem(f"{path}.typed_config.log_format", str(error))]) from error
        try:
            sink = extension.open_sink(message, self.sinks)
        except OSError as error:
            text = f"unable to open file '{getattr(message, 'path', '')}': {error.strerror}"
            raise ConfigError([Problem(f"{path}.typed_config.path", text)]) from error
        passes = compile_filter(config.filter, self._random.random) if config.filter is not None else None
        return AccessLog(formatter, sink, self._wall_clock, lambda: self._reactor.now, passes)
