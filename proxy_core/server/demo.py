"""The command `demo`: the engine at work, on a machine with nothing but Python.

`examples/demo.json` is the configuration: a listener that balances over two echo servers, which are listeners
of the same process, and an admin. A client on the same loop sends a line each second; what is printed for it
are the lines of the proxy's own access log. The ports of the echo servers are any free ones, held until the
server has bound them.
"""

from __future__ import annotations

import json
import pkgutil
import socket
import sys
from typing import Any, Dict, List, Optional, Sequence

from ..network.address import Address
from .arguments import FAILED, OK, Parser, port_number, say_error
from .command import launch
from .demo_client import Traffic, ask
from .flags import log_level_problem
from .forward import LOOPBACK, decode
from .options import Options
from .server import Server
from .startup import bound_text

PACKAGE = __name__.rpartition(".server.")[0]
FRONT = "front"
INTERVAL = 1.0
LOG_DELAY_MS = 50  # lines are seen when they happen

Json = Dict[str, Any]


class Demo:
    """One run. once: a single request, then the end."""

    def __init__(self, prog: str, once: bool) -> None:
        self.failed = ""
        self._prog = prog
        self._once = once
        self._traffic: Optional[Traffic] = None

    def on_running(self, server: Server) -> None:
        """The server listens: say what there is, and begin."""
        front = server.listeners.listeners[0].local_addresses()[0]
        hosts = ", ".join(bound_text(listener) for listener in server.listeners.listeners[1:])
        print(f"listener {FRONT} on {front} -> cluster backends: {hosts} (echo servers in this process)")
        if self._once:
            ask(server.reactor, front, 1, lambda reason: self._end(server, reason))
        else:
            print(self._hints(front, server))
            self._traffic = Traffic(server.reactor, front, INTERVAL, _say_failed)
            self._traffic.start()
        sys.stdout.flush()

    def _end(self, server: Server, reason: str) -> None:
        self.failed = reason
        if not reason:
            print("sent 'hello 1' to the listener, an echo server sent it back; the proxy's access log:")
            sys.stdout.flush()
        # The connection's own end, and so its log line, comes with the next turn or two.
        server.table.on_discard = lambda: None if len(server.table) else server.quit()
        if not len(server.table):
            server.quit()

    def _hints(self, front: Address, server: Server) -> str:
        lines = ["", "Try, from another terminal:"]
        if sys.platform != "win32":
            lines.append(f"  nc {front.ip} {front.port}")
        connect = f"import socket; s = socket.create_connection(('{front.ip}', {front.port}))"
        lines.append(f'  python3 -c "{connect}; s.sendall(b\'hi\'); print(s.recv(99))"')
        if server.admin is not None:
            admin = bound_text(server.admin)
            lines += [f"  curl http://{admin}/connections", f"  curl 'http://{admin}/stats?filter=backends'"]
        lines += [
            f"  {self._prog} demo --print-config > my.json; {self._prog} -c my.json", "",
            "One request a second, and yours; Ctrl-C ends:",
        ]
        return "\n".join(lines)

    def farewell(self) -> None:
        """The last line."""
        if self._traffic is not None:
            print(f"\n{self._traffic.answered} of {self._traffic.sent} requests came back unchanged")


def example(name: str) -> Json:
    """A configuration of `examples/`, also when the package is in a zip file."""
    data = pkgutil.get_data(PACKAGE, f"examples/{name}")
    assert data is not None
    result: Json = json.loads(data)
    return result


def with_ports(raw: Json, port: int, admin_port: int, backends: Sequence[int]) -> Json:
    """The demo's configuration with these ports. Changes `raw` and returns it."""
    raw["admin"]["address"]["socket_address"]["port_value"] = admin_port
    listeners = raw["static_resources"]["listeners"]
    for listener, number in zip(listeners, [port, *backends]):
        listener["address"]["socket_address"]["port_value"] = number
    hosts = raw["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    for host, number in zip(hosts, backends):
        host["endpoint"]["address"]["socket_address"]["port_value"] = number
    return raw


def reserve_port() -> socket.socket:
    """A socket bound to a free port, which a listener with `enable_reuse_port` can bind too while it is held.

    It never listens, so it gets no connections. Where ports can't be shared it is closed at once, and the
    port is most probably still free a moment later.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reuse = getattr(socket, "SO_REUSEPORT", None)
    if reuse is not None:
        sock.setsockopt(socket.SOL_SOCKET, reuse, 1)
    sock.bind((LOOPBACK, 0))
    return sock


def _parser(prog: str) -> Parser:
    parser = Parser(
        f"{prog} demo",
        description="Run a proxy in front of two echo servers, all in this process, and send it traffic.",
    )
    parser.add_argument(
        "--once", action="store_true", help="one request on free ports: print the way it took, and exit"
    )
    parser.add_argument(
        "--port", type=port_number, metavar="N",
        help="where the proxy listens (default 10000; 0 = any free port)",
    )
    parser.add_argument(
        "--admin-port", type=port_number, metavar="N",
        help="where the admin listens (default 9901; 0 = any free port)",
    )
    parser.add_argument(
        "-l", "--log-level", default="error", metavar="LEVEL", help="of the process log (default error)"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the configuration and exit: a start for -c"
    )
    return parser


def demo_command(prog: str, arguments: Sequence[str]) -> int:
    """`demo`."""
    parser = _parser(prog)
    values = parser.parse(arguments)
    problem = log_level_problem(values.log_level)
    if problem:
        parser.error(problem)
    port = values.port if values.port is not None else 0 if values.once else 10000
    admin_port = values.admin_port if values.admin_port is not None else 0 if values.once else 9901
    if values.print_config:
        raw = with_ports(example("demo.json"), port or 10000, admin_port or 9901, (10001, 10002))
        print(json.dumps(raw, indent=2))
        return OK
    return run_demo(prog, values.once, port, admin_port, values.log_level)


def run_demo(prog: str, once: bool, port: int, admin_port: int, log_level: str) -> int:
    """Run it until Ctrl-C, or until the one request is answered; the exit code."""
    held = [reserve_port(), reserve_port()]
    backends = [sock.getsockname()[1] for sock in held]
    raw = with_ports(example("demo.json"), port, admin_port, backends)
    demo = Demo(prog, once)
    if not hasattr(socket, "SO_REUSEPORT"):
        _release(held)
    try:
        code = launch(
            Options(log_level=log_level, file_flush_interval_msec=LOG_DELAY_MS),
            lambda extensions: decode(raw, extensions), demo.on_running,
            lambda error: _say_taken(error, port, admin_port),
        )
    finally:
        _release(held)
    demo.farewell()
    if demo.failed:
        _say_failed(demo.failed)
        return FAILED
    return code


def _say_failed(reason: str) -> None:
    say_error(f"the request failed: {reason}")


def _release(held: List[socket.socket]) -> None:
    for sock in held:
        sock.close()


def _say_taken(error: str, port: int, admin_port: int) -> None:
    """A port is taken: which, and what to do."""
    hint = ""
    for flag, number in (("--port", port), ("--admin-port", admin_port)):
        if number and f":{number}'" in error:
            hint = f"; choose another with {flag} N, 0 takes any free one"
    say_error(error + hint)
