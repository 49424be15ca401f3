"""The demo `--stall`: a filter that forgets to go on, and how to find it.

The normal traffic, with one filter more in the chain. It lets every line pass but one: it stops the chain there,
as a filter does that asks somebody else first, and never continues. That connection waits for ever; the rest go on.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Dict, Final, Optional

from ..admin.api import Request
from ..admin.why import why
from ..buffer import Buffer
from ..event.reactor import WRITE, Reactor
from ..filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from ..network import sockets
from ..network.address import Address
from .demo_client import Traffic
from .demo_stage import FRONT, Json, admin_lines
from .demo_traffic import INTERVAL, say_failed, stay
from .server import Server
from .startup import bound_text

MARKED: Final = b"forget me"
FIRST_ANSWER: Final = 2.0  # seconds after which /why is asked and printed

_EXPLANATION: Final = f"""
A filter in front of tcp_proxy looks at each line. At '{MARKED.decode()}' it stops the chain and forgets to continue it.
Look at:
  1. the warning in the log, once: which filter, which connection
  2. /why, which names both, now and later
  3. the page: the filter is marked in its connection, those behind it wait, other connections move
"""


class Forgetful(NetworkFilter):
    """Should call `callbacks.continue_reading()` later for a line that it stops at, and does not."""

    def __init__(self, config: Dict[str, Any]) -> None:
        """config: nothing is read from it."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Stops at the marked line."""
        return STOP_ITERATION if data.find(MARKED) >= 0 else CONTINUE


class Victim:
    """The client that is forgotten: it says the marked line, ends its direction, and waits for an answer."""

    def __init__(self, reactor: Reactor, address: Address) -> None:
        self._reactor = reactor
        self._sock = sockets.new_stream(address)
        if sockets.start_connect(self._sock, address) is None:
            reactor.watch(self._sock.fileno(), WRITE, self)

    def on_ready(self, mask: int) -> None:
        """Connected."""
        self._reactor.unwatch(self._sock.fileno())
        self._sock.send(MARKED + b"\n")  # a few bytes into an empty socket buffer
        self._sock.shutdown(socket.SHUT_WR)

    def on_failure(self, error: Exception) -> None:
        """A bug: it gives up."""
        self._sock.close()


class StallShow:
    """See the module docstring."""

    def __init__(self) -> None:
        self.failed = ""
        self._traffic: Optional[Traffic] = None
        self._victim: Optional[Victim] = None

    def arrange(self, raw: Json) -> Json:
        """The forgetful filter in front."""
        filters = raw["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
        filters.insert(0, {"name": "forgetful", "typed_config": {"@type": f"python:{__name__}.Forgetful"}})
        return raw

    def on_running(self, server: Server) -> None:
        """See `demo_stage.Show`."""
        front = server.listeners.listeners[0].local_addresses()[0]
        hosts = ", ".join(bound_text(listener) for listener in server.listeners.listeners[1:])
        print(f"listener {FRONT} on {front} -> cluster backends: {hosts} (echo servers in this process)")
        print(_EXPLANATION)
        print("\n".join([*admin_lines(server, "/why", "/connections"), "", "Ctrl-C ends:"]))
        sys.stdout.flush()
        self._traffic = Traffic(server.reactor, front, INTERVAL, say_failed)
        self._traffic.start()
        self._victim = Victim(server.reactor, front)
        stay(server, front)
        server.reactor.after(FIRST_ANSWER, lambda: _print_why(server))

    def farewell(self) -> None:
        """See `demo_stage.Show`."""
        if self._traffic is not None:
            print(f"\n{self._traffic.answered} of {self._traffic.over} normal requests came back unchanged")


def _print_why(server: Server) -> None:
    answer = why(server, Request("GET", "/why", {})).body.decode("utf-8")
    print("/why says:\n" + "".join(f"  {line}\n" for line in answer.splitlines()), flush=True)
