"""The commands `connections`, `why` and `top`: ask a running proxy's admin and print what it says."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Dict, Final, Mapping, Sequence
from urllib.parse import quote

from ..server.arguments import FAILED, OK, Parser, say_error, seconds
from . import screen
from .ask import DEFAULT_ADMIN, AdminAddress, AskError, ask, read_address
from .snapshot import ORDERS, take
from .top_view import View, draw

TEXT: Final = "text"
WIDE: Final = 1000  # characters, where no terminal sets a width

_FILTERS: Final = (
    ("--listener", "NAME", "only those of this listener"),
    ("--cluster", "NAME", "only those of this cluster"),
    ("--source", "NETWORK", "only those whose peer is in it, such as 10.0.0.0/8"),
    ("--side", "SIDE", "downstream or upstream"),
    ("--state", "STATE", "stalled, parked, above_high, paused, half_closed ...; closed: the last thousand that ended"),
    ("--sort", "ORDER", "id, age, buffered or activity"),
    ("--limit", "N", "how many, 1000 by default, 0 = all"),
)


def connections_command(prog: str, arguments: Sequence[str]) -> int:
    """`connections [ID]`."""
    parser = Parser(
        f"{prog} connections",
        description="List the connections of a running proxy, or tell everything about one: what it waits for,\n"
        "who paused or parked it, which timers are set, why it went where it went; of one that ended, who\n"
        "ended it and why.",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the connection, as 17 or C17")
    for flag, metavar, text in _FILTERS:
        parser.add_argument(flag, metavar=metavar, help=text)
    parser.add_argument("--close", action="store_true", help="with ID: reset it, both halves")
    parser.add_argument("--graceful", action="store_true", help="with --close: send what is queued first, then end it")
    _common(parser)
    values = parser.parse(arguments)
    chosen = {flag[2:]: getattr(values, flag[2:]) for flag, _, _ in _FILTERS}
    query = {name: value for name, value in chosen.items() if value}
    if values.id is None and (values.close or values.graceful):
        parser.error("--close needs the ID of a connection")
    if values.id is not None and query:
        parser.error(f"--{next(iter(query))} is for the list, not for one connection")
    if values.id is None:
        return _print(values.admin, "/connections", {**query, **_format(values.format)})
    path = "/connections/" + quote(values.id, safe="")
    if values.close:
        return _print(values.admin, path, {"graceful": ""} if values.graceful else {}, "DELETE")
    return _print(values.admin, path, _format(values.format))


def why_command(prog: str, arguments: Sequence[str]) -> int:
    """`why`."""
    parser = Parser(
        f"{prog} why",
        description="Tell what is unusual now in a running proxy: stalled filters, peers that do not read,\n"
        "half-closed connections, limits nearly reached, unhealthy hosts, updates that were refused.",
    )
    _common(parser)
    values = parser.parse(arguments)
    return _print(values.admin, "/why", _format(values.format))


def top_command(prog: str, arguments: Sequence[str]) -> int:
    """`top`: live where there is a terminal, else one picture as text."""
    parser = Parser(f"{prog} top", description="Watch the connections of a running proxy. Keys are shown; q leaves.")
    parser.add_argument("--interval", type=seconds, default=2.0, metavar="SECONDS", help="between two pictures, default 2")
    parser.add_argument("--sort", choices=tuple(ORDERS), default="rate", help="what comes first")
    parser.add_argument("--once", action="store_true", help="one picture as text, as when there is no terminal")
    _admin(parser)
    values = parser.parse(arguments)
    address: AdminAddress = values.admin
    view = View(address.text, values.sort)
    try:
        if not values.once and _has_terminal():
            screen.run(address, view, values.interval)
        else:
            print("\n".join(line.text for line in draw(view, take(address, view.order, time.monotonic()), width=WIDE)))
    except AskError as error:
        say_error(str(error))
        return FAILED
    except KeyboardInterrupt:
        pass
    return OK


def _has_terminal() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        import curses
    except ImportError:  # not on every system
        return False
    try:
        curses.setupterm()
    except curses.error:  # it does not know this terminal
        return False
    return True


def _print(address: AdminAddress, path: str, query: Mapping[str, str], method: str = "GET") -> int:
    try:
        sys.stdout.write(ask(address, path, query, method))
    except AskError as error:
        say_error(str(error))
        return FAILED
    return OK


def _format(chosen: str) -> Dict[str, str]:
    return {"format": chosen} if chosen != TEXT else {}


def _common(parser: Parser) -> None:
    parser.add_argument("--format", choices=(TEXT, "json"), default=TEXT, help="json: for programs")
    _admin(parser)


def _admin(parser: Parser) -> None:
    parser.add_argument(
        "--admin", type=_admin_address, default=DEFAULT_ADMIN, metavar="ADDRESS",
        help=f"HOST:PORT or the path of a Unix socket, default {DEFAULT_ADMIN}",
    )


def _admin_address(text: str) -> AdminAddress:
    try:
        return read_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
