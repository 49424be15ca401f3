"""What every demo stands on: the example configuration on ports of its own, and what is said at the start.

A demo is a `Show`. `demo` picks one, `demo_traffic` is the normal one, `demo_slow` and `demo_stall` are lessons.
"""

from __future__ import annotations

import json
import pkgutil
import socket
from typing import Any, Dict, List, Protocol, Sequence

from .arguments import say_error
from .forward import LOOPBACK
from .server import Server
from .startup import bound_text

PACKAGE = __name__.rpartition(".server.")[0]
FRONT = "front"

Json = Dict[str, Any]


class Show(Protocol):
    """One demo. failed: why it did, "" if it didn't."""

    failed: str

    def arrange(self, raw: Json) -> Json:
        """Its changes to the example configuration, whose ports are set."""

    def on_running(self, server: Server) -> None:
        """The server listens: say what there is, and begin."""

    def farewell(self) -> None:
        """The last line."""


def example(name: str) -> Json:
    """A configuration of `examples/`, also when the package is in a zip file."""
    data = pkgutil.get_data(PACKAGE, f"examples/{name}")
    assert data is not None
    result: Json = json.loads(data)
    return result


def with_ports(raw: Json, port: int, admin_port: int, backends: Sequence[int]) -> Json:
    """The demo's configuration with these ports. Changes `raw` and returns it."""
    raw["admin"]["address"]["socket_address"]["port_value"] = admin_port
    for listener, number in zip(raw["static_resources"]["listeners"], [port, *backends]):
        listener["address"]["socket_address"]["port_value"] = number
    set_hosts(raw, backends)
    return raw


def set_hosts(raw: Json, ports: Sequence[int]) -> None:
    """Make these ports of this machine the hosts of the demo's cluster."""
    assignment = raw["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]
    assignment["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}} for port in ports
    ]


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


def release(held: List[socket.socket]) -> None:
    """Give reserved ports back."""
    for sock in held:
        sock.close()


def admin_lines(server: Server, *paths: str) -> List[str]:
    """Where to look: the page, then `paths` of the admin as commands."""
    if server.admin is None:
        return []
    address = bound_text(server.admin)
    urls = [f"http://{address}{path}" for path in paths]
    return [f"  http://{address}/ui      in a browser", *(f"  curl '{url}'" if "?" in url else f"  curl {url}" for url in urls)]


def say_taken(error: str, port: int, admin_port: int) -> None:
    """A port is taken: which, and what to do."""
    hint = ""
    for flag, number in (("--port", port), ("--admin-port", admin_port)):
        if number and f":{number}'" in error:
            hint = f"; choose another with {flag} N, 0 takes any free one"
    say_error(error + hint)
