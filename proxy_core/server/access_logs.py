"""Builds access loggers from their configuration, and owns their sinks."""

from __future__ import annotations

import errno
import os
import random
from typing import Any, Callable, List, Mapping, Sequence

from ..config.model.access_log import AccessLog as AccessLogConfig
from ..errors import ConfigError, Problem
from ..event.reactor import Reactor
from ..extensions.access_log.registry import AccessLogExtension
from ..observe.access_log.filters import Sources, compile_filter
from ..observe.access_log.format import ENVOY_DEFAULT, FormatCompiler
from ..observe.access_log.logger import AccessLog
from ..observe.access_log.sink import BufferedSink, SinkCache


class UnopenedSinks(SinkCache):
    """For `--mode validate`: says whether a file could be opened, and neither opens nor creates it."""

    def file(self, path: str) -> BufferedSink:
        """A sink that nobody writes to. Raises OSError as opening the file would."""
        if path not in ("/dev/stdout", "/dev/stderr"):
            _check_appendable(path)
        return self.stderr()


def _check_appendable(path: str) -> None:
    if os.path.isdir(path):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    place = path if os.path.exists(path) else os.path.dirname(os.path.abspath(path))
    if not os.path.exists(place):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not os.path.isdir(place) and place != path:
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


class AccessLogs:
    """One per server. The sinks are shared by path. sources: what filters of log lines read, for others who compile some."""

    def __init__(
        self, extensions: Mapping[str, AccessLogExtension], sinks: SinkCache, reactor: Reactor,
        wall_clock: Callable[[], float], rng: random.Random, runtime: Callable[[str], Any] = lambda key: None,
    ) -> None:
        self.sinks = sinks
        self._extensions = extensions
        self._reactor = reactor
        self._wall_clock = wall_clock
        self.sources = Sources(rng.random, runtime)
        self._compiler = FormatCompiler()
        self._http_compiler = FormatCompiler(ENVOY_DEFAULT)

    def build(
        self, configs: Sequence[AccessLogConfig], path: str, problems: List[Problem], http: bool = False
    ) -> List[AccessLog]:
        """The loggers of one `access_log` list; what is wrong with them is added to `problems`. http: they log requests, not
        connections, which is another default format."""
        logs = []
        for index, config in enumerate(configs):
            where = f"{path}[{index}]"
            try:
                logs.append(self._one(config, where, self._http_compiler if http else self._compiler))
            except ConfigError as error:
                problems.extend(error.problems)
        return logs

    def _one(self, config: AccessLogConfig, path: str, compiler: FormatCompiler) -> AccessLog:
        assert config.typed_config is not None
        extension = self._extensions.get(config.typed_config.type_name)
        if extension is None:
            name = config.typed_config.type_name
            raise ConfigError([Problem(f"{path}.typed_config", f"'{name}' is not an access logger")])
        message: Any = config.typed_config.message
        try:
            formatter = extension.make_format(message, compiler, f"{path}.typed_config")
        except ValueError as error:
            raise ConfigError([Problem(f"{path}.typed_config.log_format", str(error))]) from error
        try:
            sink = extension.open_sink(message, self.sinks)
        except OSError as error:
            text = f"unable to open file '{getattr(message, 'path', '')}': {error.strerror}"
            raise ConfigError([Problem(f"{path}.typed_config.path", text)]) from error
        passes = compile_filter(config.filter, self.sources) if config.filter is not None else None
        return AccessLog(formatter, sink, self._wall_clock, lambda: self._reactor.now, passes)
