"""Command lines: what all commands share. A parser that guesses what was meant, and the types of values.

Exit codes of the program: 0 ok, 1 a configuration or run-time error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from typing import Iterable, List, NoReturn, Optional, Sequence

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say; only when there is no handler yet

_WIDEST = 100
_HELP_COLUMN = 36
_PACKAGE = __name__.rpartition(".server.")[0]


def program_name() -> str:
    """What the user typed to get here, for messages: "python3 -m proxy_core", "python3 proxy_core.pyz"."""
    typed = sys.argv[0] if sys.argv else ""
    if os.path.basename(typed) in ("", "__main__.py", "-m", "-c"):
        return f"python3 -m {_PACKAGE}"
    return f"python3 {typed}" if typed.endswith((".pyz", ".py")) else os.path.basename(typed)


def say_error(text: str) -> None:
    """One diagnostic on standard error."""
    sys.stderr.write(f"error: {text}\n")
    sys.stderr.flush()


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help that fits a terminal, in one column layout for all commands."""

    def __init__(self, prog: str) -> None:
        width = min(_WIDEST, _terminal_width() - 2)
        super().__init__(prog, max_help_position=min(_HELP_COLUMN, width // 2), width=width)


def _terminal_width() -> int:
    try:
        return max(40, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError, AttributeError):  # no terminal
        return _WIDEST + 2


class Parser(argparse.ArgumentParser):
    """`argparse` without abbreviations; a wrong option gets a did-you-mean and exit code 2."""

    def __init__(
        self, prog: str, usage: Optional[str] = None, description: str = "", epilog: str = ""
    ) -> None:
        super().__init__(
            prog, usage, description, epilog, formatter_class=HelpFormatter, add_help=False,
            allow_abbrev=False,
        )
        self.add_argument("-h", "--help", action="help", help="print this and exit")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The values. Raises SystemExit (2) after it has said what is wrong."""
        values, unknown = self.parse_known_args(list(arguments))
        if unknown:
            self.error(self._unknown(unknown[0]))
        return values

    def _unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"unexpected argument '{argument}'"
        name = argument.partition("=")[0]
        return f"unknown option '{name}'" + suggestion(name, self.options())

    def options(self) -> List[str]:
        """Every option string that this parser knows."""
        return [text for action in self._actions for text in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Say it on standard error and leave with exit code 2."""
        say_error(message.replace("argument ", "", 1) if message.startswith("argument ") else message)
        sys.stderr.write(f"Run '{self.prog} --help' for the options.\n")
        raise SystemExit(USAGE)


def suggestion(name: str, known: Iterable[str]) -> str:
    """"; did you mean 'x'?", or "" when nothing is near."""
    bare = {one.lstrip("-"): one for one in known}
    close = difflib.get_close_matches(name.lstrip("-"), bare, n=1, cutoff=0.6)
    return f"; did you mean '{bare[close[0]]}'?" if close else ""


def whole_number(text: str) -> int:
    """A flag's uint32, as Envoy takes them. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text[:11]) > 0xFFFFFFFF:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 4294967295, found '{text}'")
    return int(text)


def port_number(text: str) -> int:
    """A TCP port, 0 = any free one. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 (any free one) to 65535, found '{text}'")
    return int(text)


def seconds(text: str) -> float:
    """A time from a millisecond to a day. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.001 to 86400, found '{text}'")
    return value
