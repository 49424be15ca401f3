"""Envoy's command line: every flag of the real one is known here, with its name, unit and default.

Mirrors `Server::OptionsImpl`. Flags about what does not exist here (hot restart, shared memory, linked-in
extensions) are accepted, so that a command line for Envoy starts this too, and listed in the help as of no
effect. Flags that would change what the proxy does, and can't here, are refused with a sentence.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import textwrap
from typing import Any, List, Sequence, Tuple

from ..observe.log_format import DEFAULT_PATTERN
from ..observe.log_levels import parse_component_levels, parse_level
from .arguments import Parser, whole_number
from .options import GRADUAL, IMMEDIATE, SERVE, VALIDATE, Options

_FIELDS = tuple(field.name for field in dataclasses.fields(Options))
_DEFAULTS = Options()
_TEXT_WIDTH = 90

# Accepted, of no effect: (flag, whether it takes a value).
_HARMLESS: Tuple[Tuple[str, bool], ...] = (
    ("--log-format-escaped", False),
    ("--enable-fine-grain-logging", False),
    ("--log-stacktrace-single-entry", False),
    ("--reject-unknown-dynamic-fields", False),
    ("--ignore-unknown-dynamic-fields", False),
    ("--cpuset-threads", False),
    ("--stats-tag", True),
    ("--disable-extensions", True),
    ("--local-address-ip-version", True),
    ("--socket-path", True),
    ("--socket-mode", True),
    ("--skip-hot-restart-on-no-parent", False),
    ("--skip-hot-restart-parent-stats", False),
    ("--enable-mutex-tracing", False),
    ("--enable-core-dump", False),
)


def serve_parser(prog: str, commands: str = "") -> Parser:
    """The parser of `python -m proxy_core -c FILE`. commands: help text about the other commands."""
    usage = f"{prog} -c FILE [options]" + (f"\n       {prog} COMMAND ..." if commands else "")
    about = "Envoy's connection engine in Python. Takes Envoy's JSON bootstrap.\n"
    parser = Parser(prog, usage, about + commands)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument(
        "--hot-restart-version", action="store_true", help="print Envoy's hot restart version and exit"
    )
    _configuration(parser)
    _logging(parser)
    _life(parser)
    _node(parser)
    _hot_restart(parser)
    return parser


def configuration_flags(group: argparse._ArgumentGroup) -> None:
    """What `validate` takes as well."""
    group.add_argument(
        "--config-yaml", default="", metavar="JSON",
        help="JSON merged over the file: fields replace, lists append",
    )
    group.add_argument(
        "--allow-unknown-static-fields", "--allow-unknown-fields", action="store_true",
        help="unknown fields are warnings instead of errors",
    )
    group.add_argument(
        "--strict", action="store_true",
        help="warnings, such as an unknown cluster, are errors (not in Envoy)",
    )
    group.add_argument(
        "--skip-deprecated-logs", action="store_true", help="no warnings about deprecated fields"
    )
    group.add_argument(
        "--filter-path", action="append", default=[], metavar="DIR",
        help="where to look for filters of your own, before FILE's directory; may be repeated (not in Envoy)",
    )


def _configuration(parser: Parser) -> None:
    group = parser.add_argument_group("configuration")
    group.add_argument("-c", "--config-path", default="", metavar="FILE", help="the bootstrap, JSON")
    configuration_flags(group)
    group.add_argument(
        "--mode", default=SERVE, metavar="MODE",
        help="serve (default), or validate: check, bind nothing, and exit",
    )


def _logging(parser: Parser) -> None:
    group = parser.add_argument_group("logs and output files")
    group.add_argument(
        "-l", "--log-level", default=_DEFAULTS.log_level, metavar="LEVEL",
        help="trace, debug, info (default), warning, error, critical or off",
    )
    group.add_argument(
        "--component-log-level", default="", metavar="LIST",
        help="levels of single components: upstream:debug,http:off",
    )
    group.add_argument(
        "--log-format", default="", metavar="PATTERN",
        help='spdlog pattern, or "json"; default %s' % DEFAULT_PATTERN.replace("%", "%%"),
    )
    group.add_argument("--log-path", default="", metavar="FILE", help="log to FILE, not to standard error")
    group.add_argument(
        "--admin-address-path", default="", metavar="FILE",
        help="write the admin's bound address there, IP:PORT",
    )
    _number(group, "--file-flush-interval-msec", "milliseconds an access log line may wait")
    _number(group, "--file-flush-min-size-kb", "KiB of access log lines that are written at once")


def _life(parser: Parser) -> None:
    group = parser.add_argument_group("running and draining")
    group.add_argument(
        "--concurrency", type=whole_number, default=1, metavar="N", help="workers; only 1 so far (0 means 1)"
    )
    _number(group, "--drain-time-s", "seconds over which a draining listener's connections leave")
    group.add_argument(
        "--drain-strategy", default=GRADUAL, metavar="HOW", help="gradual (default) or immediate"
    )
    _number(
        group, "--drain-on-exit-s",
        "seconds that connections get on SIGTERM or SIGINT; a second signal stops at once (not in Envoy)",
    )


def _node(parser: Parser) -> None:
    group = parser.add_argument_group("identity; overrides the file's node")
    group.add_argument("--service-cluster", default="", metavar="NAME", help="node.cluster")
    group.add_argument("--service-node", default="", metavar="NAME", help="node.id")
    group.add_argument("--service-zone", default="", metavar="NAME", help="node.locality.zone")


def _hot_restart(parser: Parser) -> None:
    text = "There is no hot restart here. Also accepted: " + ", ".join(name for name, _ in _HARMLESS)
    group = parser.add_argument_group("accepted for Envoy's sake, of no effect", _wrapped(text))
    _number(group, "--base-id", "")
    group.add_argument("--use-dynamic-base-id", action="store_true")
    group.add_argument("--base-id-path", default="", metavar="FILE", help="0 is written there")
    _number(group, "--restart-epoch", "")
    _number(group, "--parent-shutdown-time-s", "")
    group.add_argument("--disable-hot-restart", action="store_true")
    for name, takes_value in _HARMLESS:
        if takes_value:
            group.add_argument(name, action="append", help=argparse.SUPPRESS)
        else:
            group.add_argument(name, action="store_true", help=argparse.SUPPRESS)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _TEXT_WIDTH, break_on_hyphens=False)


def _number(group: argparse._ArgumentGroup, flag: str, text: str) -> None:
    default = getattr(_DEFAULTS, flag[2:].replace("-", "_"))
    shown = f"{text} (default {default})" if text else None
    group.add_argument(flag, type=whole_number, default=default, metavar="N", help=shown)


def options_of(parser: Parser, values: argparse.Namespace) -> Options:
    """Parsed flags as `Options`. Raises SystemExit (2), with Envoy's sentences, for values that can't be."""
    given = vars(values)
    options = Options(**{name: given[name] for name in _FIELDS if name in given})
    problem = problem_with(options)
    if problem:
        parser.error(problem)
    options.concurrency = 1
    return options


def problem_with(options: Options) -> str:
    """What can't be, in one sentence; "" when all is well."""
    if options.mode == "init_only":
        return "--mode init_only is not supported by proxy_core; use serve or validate"
    if options.mode not in (SERVE, VALIDATE):
        return f"unknown mode '{options.mode}'"
    if options.drain_strategy not in (GRADUAL, IMMEDIATE):
        return f"unknown drain-strategy '{options.drain_strategy}'"
    if options.concurrency > 1:
        return f"--concurrency {options.concurrency} is not supported: there is one worker so far, use 1"
    return log_level_problem(options.log_level, options.component_log_level)


def log_level_problem(level: str, components: str = "") -> str:
    """Envoy's sentence about a bad `--log-level` or `--component-log-level`, "" when they are good."""
    try:
        parse_level(level)
        parse_component_levels(components)
    except ValueError as error:
        return str(error).partition("error: ")[2]
    return ""


def parse_options(prog: str, arguments: Sequence[str]) -> Options:
    """Envoy's command line as `Options`. Raises SystemExit as `argparse` does."""
    parser = serve_parser(prog)
    return options_of(parser, parser.parse(arguments))


def filter_directories(options: Options) -> List[str]:
    """Where filters of one's own are looked for: `--filter-path`, then beside the configuration file."""
    beside = [os.path.dirname(os.path.abspath(options.config_path))] if options.config_path else []
    return [*options.filter_path, *beside]


def validate_options(values: Any) -> Options:
    """The options of `validate FILE`: those of its flags, in mode validate."""
    given = vars(values)
    options = Options(**{name: given[name] for name in _FIELDS if name in given})
    options.mode = VALIDATE
    return options
