"""The program: `python -m proxy_core`. One table of commands; without one, Envoy's flags.

    -c FILE, --mode validate ...     as Envoy (`server.flags`)
    validate, explain, demo, tcp ...  friendlier ways (COMMANDS)

Results go to standard output, diagnostics to standard error. Exit codes: 0 ok, 1 a configuration or run-time
error, 2 wrong usage, 3 `explain` found no filter chain, 130 interrupted before the server could handle
signals.
"""

from __future__ import annotations

import io
import os
import sys
from types import MappingProxyType
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence

from .client.commands import connections_command, top_command, why_command
from .server.arguments import FAILED, INTERRUPTED, OK, USAGE, program_name, say_error, suggestion
from .server.command import serve
from .server.demo import demo_command
from .server.explain_command import explain_command
from .server.flags import options_of, serve_parser
from .server.forward import tcp_command
from .server.new_filter import new_filter_command
from .server.options import VALIDATE
from .server.startup import HOT_RESTART_VERSION, version_text
from .server.validate import schema_command, validate, validate_command


class Command(NamedTuple):
    """run: called with the program's name and the arguments behind the command; returns the exit code."""

    run: Callable[[str, Sequence[str]], int]
    arguments: str
    summary: str


def serve_command(prog: str, arguments: Sequence[str]) -> int:
    """Envoy's own command line."""
    parser = serve_parser(prog, commands_text())
    if not arguments:
        parser.print_usage(sys.stderr)
        say_error("no configuration: give one with -c FILE, or see it work with: " + f"{prog} demo")
        return FAILED
    values = parser.parse(arguments)
    if values.version:
        return version_command(prog, ())
    if values.hot_restart_version:
        sys.stderr.write(HOT_RESTART_VERSION + "\n")  # where Envoy prints it
        return OK
    options = options_of(parser, values)
    return validate(options) if options.mode == VALIDATE else serve(options)


def version_command(prog: str, arguments: Sequence[str]) -> int:
    """As Envoy's --version."""
    if arguments:
        say_error(f"unexpected argument '{arguments[0]}'")
        return USAGE
    print(f"{prog}  version: {version_text()}")
    return OK


def help_command(prog: str, arguments: Sequence[str]) -> int:
    """`help [COMMAND]` for those who type it."""
    if arguments and arguments[0] in COMMANDS and arguments[0] not in ("help", "version"):
        return COMMANDS[arguments[0]].run(prog, ["--help"])
    return serve_command(prog, ["--help"])


COMMANDS: Mapping[str, Command] = MappingProxyType({
    "validate": Command(validate_command, "FILE", "check a configuration: all mistakes at once"),
    "explain": Command(explain_command, "-c FILE ...", "which filter chain a connection would get, and why"),
    "schema": Command(schema_command, "", "print the JSON Schema of the configuration, for editors"),
    "demo": Command(demo_command, "", "two backends, a proxy and traffic to look at; --once for one request"),
    "new-filter": Command(new_filter_command, "NAME", "write a filter in Python and its test, to begin with"),
    "tcp": Command(tcp_command, "LISTEN UPSTREAM...", "just forward: tcp :8080 10.0.0.1:80 10.0.0.2:80"),
    "connections": Command(connections_command, "[ID]", "what is open in a running proxy, or all about one connection"),
    "why": Command(why_command, "", "what is unusual in a running proxy now"),
    "top": Command(top_command, "", "watch a running proxy's connections"),
    "serve": Command(serve_command, "-c FILE", "what happens without a command"),
    "version": Command(version_command, "", "print the version"),
    "help": Command(help_command, "[COMMAND]", "print this, or a command's options"),
})


def commands_text() -> str:
    """The table of commands, for the help."""
    rows = [(f"{name} {command.arguments}".rstrip(), command.summary) for name, command in COMMANDS.items()]
    width = max(len(left) for left, _ in rows)
    return "\ncommands:\n" + "\n".join(f"  {left:{width}}  {right}" for left, right in rows)


def dispatch(prog: str, arguments: Sequence[str]) -> int:
    """Run the command that the first argument names, else Envoy's flags."""
    if not arguments or arguments[0].startswith("-"):
        return serve_command(prog, arguments)
    name = arguments[0]
    if name in COMMANDS:
        return COMMANDS[name].run(prog, arguments[1:])
    if os.path.exists(name):
        say_error(f"unknown command '{name}'; to run a configuration: {prog} -c {name}")
    else:
        say_error(f"unknown command '{name}'{suggestion(name, COMMANDS)}")
        sys.stderr.write(f"Run '{prog} --help' for all of them.\n")
    return USAGE


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The exit code. argv: the arguments without the program's name, by default those of the process."""
    arguments: List[str] = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path may hold what the terminal's encoding has not
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = dispatch(program_name(), arguments)
        sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse's way out
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return FAILED


def _forget_output() -> None:
    """Whoever read our output has left (`schema | head`): nothing must trip over that at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
