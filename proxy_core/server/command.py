"""From options to a running, or a checked, server: what `serve` and `validate` do, others build on it.

    load      the file and the flags -> a checked configuration
    check     all that can be found out without binding, opening or creating anything
    launch    log, load, build, bind, announce, turn the loop

A mistake of the user is a sentence and exit code 1, never a traceback.
"""

from __future__ import annotations

import sys
from typing import Callable, List, NamedTuple, Tuple

from ..config.load import Loaded, load_bootstrap
from ..config.model.bootstrap import Bootstrap
from ..config.model.core import Locality, Node
from ..errors import ConfigError, Problem
from ..listener.binding import BindError
from ..observe.log import ProcessLog, component_logger
from .arguments import FAILED, say_error
from .extensions import Extensions
from .flags import filter_directories
from .lifecycle import Lifecycle
from .options import Options
from .reload import Reloader
from .report import problems_text
from .server import Server
from .startup import announce

_DEPRECATED = "Using deprecated option"


def _nothing_more(server: Server) -> None:
    """The default of `launch`."""


class Checked(NamedTuple):
    """What `check` found. Only `problems` forbid to run."""

    problems: Tuple[Problem, ...]
    warnings: Tuple[Problem, ...]


def load(options: Options, extensions: Extensions) -> Loaded:
    """Read, merge and check the configuration that the flags name, apply the flags. Raises ConfigError."""
    loaded = load_bootstrap(
        options.config_path, options.config_yaml, extensions.types(), options.allow_unknown_static_fields,
        extensions.is_terminal,
    )
    apply_flags(loaded, options)
    return loaded


def apply_flags(loaded: Loaded, options: Options) -> None:
    """What the flags say about a loaded configuration. Raises ConfigError for warnings under --strict."""
    if options.skip_deprecated_logs:
        loaded.warnings = [one for one in loaded.warnings if not one.message.startswith(_DEPRECATED)]
    if options.strict and loaded.warnings:
        raise ConfigError(loaded.warnings)
    _apply_node(loaded.bootstrap, options)


def _apply_node(bootstrap: Bootstrap, options: Options) -> None:
    """--service-node, --service-cluster and --service-zone win over the file, as in Envoy."""
    if not (options.service_node or options.service_cluster or options.service_zone):
        return
    node = bootstrap.node = bootstrap.node or Node()
    node.id = options.service_node or node.id
    node.cluster = options.service_cluster or node.cluster
    if options.service_zone:
        node.locality = node.locality or Locality()
        node.locality.zone = options.service_zone


def check(options: Options) -> Checked:
    """Everything but binding. `options.mode` must be validate: then no file is opened for writing either."""
    warnings: List[Problem] = []
    try:
        extensions = Extensions(filter_directories(options))
        loaded = load(options, extensions)
        warnings = loaded.warnings
        server = Server(loaded, options, extensions)
        warnings = [*warnings, *server.check_dynamic()]
        server.close()
    except ConfigError as error:
        return Checked(error.problems, tuple(warnings))
    return Checked((), tuple(warnings))


def serve(options: Options) -> int:
    """Run the configuration that the options name until a signal or the admin ends it; the exit code."""
    return launch(options, lambda extensions: load(options, extensions))


def launch(
    options: Options,
    load_from: Callable[[Extensions], Loaded],
    on_running: Callable[[Server], None] = _nothing_more,
    on_bind_error: Callable[[str], None] = say_error,
) -> int:
    """Open the log, get the configuration, run it, close the log; the exit code.

    load_from: the configuration; may raise ConfigError. on_running: called with the server when it listens,
    before the loop. on_bind_error: says why it can't listen.
    """
    try:
        process_log = ProcessLog(
            options.log_level, options.component_log_level, options.log_format, options.log_path
        )
    except OSError as error:
        say_error(f"failed to open log file '{options.log_path}': {error.strerror}")
        return FAILED
    try:
        return _run(options, load_from, process_log, on_running, on_bind_error)
    except ConfigError as error:
        return _refuse(options, error)
    finally:
        process_log.close()


def _run(
    options: Options,
    load_from: Callable[[Extensions], Loaded],
    process_log: ProcessLog,
    on_running: Callable[[Server], None],
    on_bind_error: Callable[[str], None],
) -> int:
    extensions = Extensions(filter_directories(options))
    server = Server(load_from(extensions), options, extensions)
    reloader = Reloader(server, lambda: load_from(extensions))

    def say_failure(error: BindError) -> None:
        if options.log_path:
            component_logger("main").critical("%s", error)
        on_bind_error(str(error))

    try:
        server.start()
    except BindError as error:
        say_failure(error)
        server.close()
        return FAILED

    def running() -> None:
        announce(server)
        on_running(server)

    status = Lifecycle(server, process_log, reloader.reload).run(running)
    if server.failure is not None:
        say_failure(server.failure)
        return FAILED
    return status


def _refuse(options: Options, error: ConfigError) -> int:
    """Say what is wrong with the configuration: to the user, and to the log file if there is one."""
    text = problems_text(options.config_path, error.problems)
    sys.stderr.write(text)
    sys.stderr.flush()
    if options.log_path:
        for line in text.splitlines():
            component_logger("main").critical("%s", line)
    return FAILED
