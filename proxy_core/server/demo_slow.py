"""The demo `--slow`: back-pressure, to look at. A source pours, a client reads slowly, the proxy is between them.

    slow        the client takes less than comes: the write buffer towards it fills up to its high watermark
    held        reading from the source is paused; the kernel's buffers fill too, until the source can't send
    fast        the client takes more: the buffer drains to its low watermark, reading goes on, and it all empties
    and again

What is printed are facts of the proxy's own connections, looked at ten times a second.
"""

from __future__ import annotations

import socket
import sys
from typing import Dict, Final, Optional, Tuple

from ..network.connection import Connection
from .demo_ends import KERNEL_BUFFER, Reader, Source
from .demo_stage import FRONT, Json, admin_lines, set_hosts
from .server import Server

LIMIT: Final = 256 * 1024  # bytes: the high watermark; the low one is half of it
READ_LIMIT: Final = 64 * 1024  # of the connection to the source: what is read at once, so how far the buffer overshoots
SOURCE_RATE: Final = 96 * 1024  # bytes a second, as the others
SLOW_RATE: Final = 12 * 1024
FAST_RATE: Final = 256 * 1024
LOOK: Final = 0.1  # seconds
BAR_EVERY: Final = 5  # looks
BAR_WIDTH: Final = 40  # characters up to the high watermark
HELD_LOOKS: Final = 20  # how long the source stays blocked before the client reads fast
EMPTY_LOOKS: Final = 20

SLOW: Final = "slow"
FAST: Final = "fast"
RATES: Final[Dict[str, int]] = {SLOW: SLOW_RATE, FAST: FAST_RATE}

_EXPLANATION: Final = """
A source pours {source} KiB/s, the client reads {slow} KiB/s, and the proxy may keep {limit} KiB for it.
Look at:
  1. the write buffer towards the client, which fills up to its high watermark ( | at the right )
  2. the pause: the proxy stops reading from the source, and says on whose behalf
  3. the source, which can't send any more: the pause has travelled all the way
  4. the drain: the client reads {fast} KiB/s, and at the low watermark ( | in the middle ) reading goes on
"""


class SlowShow:
    """speed: how many times as fast as usual."""

    def __init__(self, speed: float) -> None:
        self.failed = ""
        self._speed = speed
        self._source = Source(int(SOURCE_RATE * speed))
        self._server: Optional[Server] = None
        self._reader: Optional[Reader] = None
        self._started = 0.0
        self._phase = SLOW
        self._looks = 0
        self._in_a_row = 0  # looks that found what ends the phase
        self._said = (False, False)  # paused, blocked
        self._rounds = 0

    def arrange(self, raw: Json) -> Json:
        """One listener with small buffers, and the source as the only host."""
        resources = raw["static_resources"]
        front = resources["listeners"][0]
        small = {"level": socket.SOL_SOCKET, "name": socket.SO_SNDBUF, "int_value": KERNEL_BUFFER, "state": "STATE_LISTENING"}
        front.update(per_connection_buffer_limit_bytes=LIMIT, socket_options=[small])
        resources["listeners"] = [front]
        resources["clusters"][0]["per_connection_buffer_limit_bytes"] = READ_LIMIT
        set_hosts(raw, [self._source.port])
        return raw

    def on_running(self, server: Server) -> None:
        """See `demo_stage.Show`."""
        self._server = server
        front = server.listeners.listeners[0].local_addresses()[0]
        print(f"listener {FRONT} on {front} -> cluster backends: a source in this process")
        numbers = {"source": SOURCE_RATE, "slow": SLOW_RATE, "fast": FAST_RATE}
        shown = {name: int(rate * self._speed) // 1024 for name, rate in numbers.items()}
        print(_EXPLANATION.format(limit=LIMIT // 1024, **shown))
        print("\n".join([*admin_lines(server, "/connections", "/why"), "", "Ctrl-C ends:"]))
        sys.stdout.flush()
        self._source.start(server.reactor)
        self._reader = Reader(server.reactor, front, int(SLOW_RATE * self._speed), self._on_end)
        self._started = server.reactor.now
        self._look()

    def farewell(self) -> None:
        """See `demo_stage.Show`."""
        self._source.close()
        print(f"\ntimes that the buffer filled and drained: {self._rounds}")

    def _on_end(self, reason: str) -> None:
        self.failed = reason
        assert self._server is not None
        self._server.quit()

    def _pair(self) -> Tuple[Optional[Connection], Optional[Connection]]:
        """The proxy's two connections: to the reader and to the source."""
        assert self._server is not None and self._reader is not None
        for one in self._server.table.live():
            mine = one.remote_address
            if mine is not None and (mine.ip, mine.port) == self._reader.address:
                upstream = one.info.upstream
                return one, self._server.table.get(upstream.connection_id) if upstream is not None else None
        return None, None

    def _look(self) -> None:
        assert self._server is not None
        self._server.reactor.after(LOOK / self._speed, self._look)
        client, source = self._pair()
        if client is None or source is None:
            return
        self._looks += 1
        if self._looks % BAR_EVERY == 1:
            self._say(f"{bar(client.write_buffer.size)} {client.write_buffer.size // 1024:4d} KiB wait for the client")
        self._tell(source)
        self._advance(client)

    def _tell(self, source: Connection) -> None:
        """What has changed since the last look."""
        before, now = self._said, (bool(source.pauses), self._source.blocked)
        self._said = now
        if now[0] and not before[0]:
            holders = ", ".join(source.pauses)
            self._say(f"    HIGH watermark: reading from the source (C{source.id}) is paused by: {holders}")
        if now[1] and not before[1] and now[0]:
            self._say("    the source can't send any more: the kernel's buffers are full as well")
        if before[0] and not now[0]:
            self._rounds += 1
            self._say("    LOW watermark: reading from the source goes on")

    def _advance(self, client: Connection) -> None:
        """The next phase, once what ends this one has lasted."""
        paused, blocked = self._said
        is_over = paused and blocked if self._phase == SLOW else not paused and not client.write_buffer.size
        self._in_a_row = self._in_a_row + 1 if is_over else 0
        if self._in_a_row < (HELD_LOOKS if self._phase == SLOW else EMPTY_LOOKS):
            return
        self._in_a_row = 0
        self._phase = FAST if self._phase == SLOW else SLOW
        assert self._reader is not None
        self._reader.rate = int(RATES[self._phase] * self._speed)
        self._say(f"    the client reads {self._reader.rate // 1024} KiB/s from now on")

    def _say(self, text: str) -> None:
        assert self._server is not None
        print(f"{self._server.reactor.now - self._started:6.1f} s  {text}", flush=True)


def bar(size: int) -> str:
    """How full a buffer is, in characters, with a mark at the low and at the high watermark."""
    filled = min(BAR_WIDTH + 4, round(size / LIMIT * BAR_WIDTH))
    cells = ["#"] * filled + ["-"] * (BAR_WIDTH + 4 - filled)
    cells[BAR_WIDTH // 2] = cells[BAR_WIDTH] = "|"
    return "".join(cells)
