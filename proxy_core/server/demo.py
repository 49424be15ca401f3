"""The command `demo`: the engine at work, on a machine with nothing but Python.

`examples/demo.json` is the configuration: a listener that balances over two echo servers, which are listeners
of the same process, and an admin. A client on the same loop sends a line each second; what is printed for it
are the lines of the proxy's own access log. The ports of the echo servers are any free ones, held until the
server has bound them. `--slow` and `--stall` change the configuration and play something else with it.
"""

from __future__ import annotations

import argparse
import json
import socket
from typing import Any, Optional, Sequence

from .arguments import FAILED, OK, Parser, port_number
from .command import launch
from .demo_slow import SlowShow
from .demo_stage import Show, example, release, reserve_port, say_taken, with_ports
from .demo_stall import StallShow
from .demo_traffic import NormalShow, say_failed
from .flags import log_level_problem
from .forward import decode
from .options import Options

LOG_DELAY_MS = 50  # lines are seen when they happen
PORT = 10000
ADMIN_PORT = 9901


def _parser(prog: str) -> Parser:
    parser = Parser(
        f"{prog} demo",
        description="Run a proxy in front of two echo servers, all in this process, and send it traffic.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--once", action="store_true", help="one request on free ports: print the way it took, and exit"
    )
    what.add_argument(
        "--slow", action="store_true", help="back-pressure: a client that reads slowly, a buffer that fills and drains"
    )
    what.add_argument("--stall", action="store_true", help="a filter that forgets to go on, and how it is found")
    parser.add_argument(
        "--port", type=port_number, metavar="N",
        help=f"where the proxy listens (default {PORT}; 0 = any free port)",
    )
    parser.add_argument(
        "--admin-port", type=port_number, metavar="N",
        help=f"where the admin listens (default {ADMIN_PORT}; 0 = any free port)",
    )
    parser.add_argument(
        "--speed", type=speed, default=1.0, metavar="X", help="with --slow: X times as fast (default 1)"
    )
    parser.add_argument(
        "-l", "--log-level", metavar="LEVEL", help="of the process log (default error; warning with --stall)"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the configuration and exit: a start for -c"
    )
    return parser


def speed(text: str) -> float:
    """A factor from a tenth to a hundred. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 0.1 to 100, found '{text}'")
    return value


def demo_command(prog: str, arguments: Sequence[str]) -> int:
    """`demo`."""
    parser = _parser(prog)
    values = parser.parse(arguments)
    log_level = values.log_level or ("warning" if values.stall else "error")
    problem = log_level_problem(log_level)
    if problem:
        parser.error(problem)
    if values.slow and values.print_config:
        parser.error("--print-config: the source of --slow is there only while the demo runs")
    show = _show(prog, values)
    port = _port(values.port, PORT, values.once)
    admin_port = _port(values.admin_port, ADMIN_PORT, values.once)
    if values.print_config:
        raw = with_ports(example("demo.json"), port or PORT, admin_port or ADMIN_PORT, (10001, 10002))
        print(json.dumps(show.arrange(raw), indent=2))
        return OK
    return run_demo(show, port, admin_port, log_level)


def _show(prog: str, values: Any) -> Show:
    if values.slow:
        return SlowShow(values.speed)
    return StallShow() if values.stall else NormalShow(prog, values.once)


def _port(given: Optional[int], default: int, once: bool) -> int:
    if given is not None:
        return given
    return 0 if once else default


def run_demo(show: Show, port: int, admin_port: int, log_level: str) -> int:
    """Run it until Ctrl-C, or until it ends by itself; the exit code."""
    held = [reserve_port(), reserve_port()]
    backends = [sock.getsockname()[1] for sock in held]
    raw = show.arrange(with_ports(example("demo.json"), port, admin_port, backends))
    if not hasattr(socket, "SO_REUSEPORT"):
        release(held)
    try:
        code = launch(
            Options(log_level=log_level, file_flush_interval_msec=LOG_DELAY_MS),
            lambda extensions: decode(raw, extensions), show.on_running,
            lambda error: say_taken(error, port, admin_port),
        )
    finally:
        release(held)
    show.farewell()
    if show.failed:
        say_failed(show.failed)
        return FAILED
    return code
