"""The normal demo: a request a second through the proxy to two echo servers in turn, or a single one.

A few clients stay and talk, so that there is something to look at on the page.
"""

from __future__ import annotations

import sys
from typing import Optional

from ..network.address import Address
from .arguments import say_error
from .demo_client import Chatter, Traffic, ask
from .demo_stage import FRONT, Json, admin_lines
from .server import Server
from .startup import bound_text

INTERVAL = 1.0
STAYING = ((0.25, 900), (0.5, 200), (2.5, 50))  # clients that stay: seconds between two sayings, bytes of each


class NormalShow:
    """once: a single request, then the end."""

    def __init__(self, prog: str, once: bool) -> None:
        self.failed = ""
        self._prog = prog
        self._once = once
        self._traffic: Optional[Traffic] = None

    def arrange(self, raw: Json) -> Json:
        """See `demo_stage.Show`: the example as it is."""
        return raw

    def on_running(self, server: Server) -> None:
        """See `demo_stage.Show`."""
        front = server.listeners.listeners[0].local_addresses()[0]
        hosts = ", ".join(bound_text(listener) for listener in server.listeners.listeners[1:])
        print(f"listener {FRONT} on {front} -> cluster backends: {hosts} (echo servers in this process)")
        if self._once:
            ask(server.reactor, front, 1, lambda reason: self._end(server, reason))
        else:
            print(self._hints(front, server))
            self._traffic = Traffic(server.reactor, front, INTERVAL, say_failed)
            self._traffic.start()
            server.reactor.after(INTERVAL / 2, lambda: stay(server, front))
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
        watch = admin_lines(server, "/connections", "/stats?filter=backends")
        lines = ["", "Watch it:", *watch, "", "Try, from another terminal:"]
        if sys.platform != "win32":
            lines.append(f"  nc {front.ip} {front.port}")
        connect = f"import socket; s = socket.create_connection(('{front.ip}', {front.port}))"
        lines += [
            f'  python3 -c "{connect}; s.sendall(b\'hi\'); print(s.recv(99))"',
            f"  {self._prog} demo --slow      a client that reads slowly; --stall: a filter that forgets to go on",
            f"  {self._prog} demo --print-config > my.json; {self._prog} -c my.json", "",
            f"{len(STAYING)} clients stay and talk, another makes one request a second, and there are yours; Ctrl-C ends:",
        ]
        return "\n".join(lines)

    def farewell(self) -> None:
        """See `demo_stage.Show`."""
        if self._traffic is not None:
            print(f"\n{self._traffic.answered} of {self._traffic.over} requests came back unchanged")


def stay(server: Server, front: Address) -> None:
    """Have the clients come that stay."""
    for interval, size in STAYING:
        Chatter(server.reactor, front, interval, size)


def say_failed(reason: str) -> None:
    """Why a request got no answer."""
    say_error(f"the request failed: {reason}")
