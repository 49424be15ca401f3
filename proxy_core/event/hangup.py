"""Watching a socket that nobody reads: a reset must be noticed although reading is paused.

A paused connection has no interest in reading, and one that has nothing to send has none in writing. `selectors` can't
register "no interest", so such a socket would be out of the kernel's sight and a peer's RST would go unnoticed until reading
resumes (Envoy has exactly this: connections of clients that left stay counted). epoll reports errors and hang-ups for a
registration without interest, and an epoll descriptor can itself be watched. So the sleeping sockets live in
a second epoll set, edge-triggered so that each tells its news once, and the reactor watches that set for reading.

Where there is no epoll (macOS, BSD) a reset of a paused connection is noticed when it resumes or when its bound runs out.
"""

from __future__ import annotations

import select
import sys
from typing import List


class HangupWatch:
    """A set of descriptors of which only errors and hang-ups are of interest. Linux only."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("HangupWatch needs epoll")
        self._epoll = select.epoll()

    @staticmethod
    def available() -> bool:
        """Whether this system has what it takes."""
        return sys.platform == "linux"

    def fileno(self) -> int:
        """The descriptor that becomes readable when a member has news."""
        return self._epoll.fileno()

    def add(self, fd: int) -> None:
        """Start watching `fd`. It must not be a member."""
        self._epoll.register(fd, select.EPOLLET)

    def remove(self, fd: int) -> None:
        """Stop watching `fd`, before it is closed or goes back to the reactor's selector."""
        self._epoll.unregister(fd)

    def news(self) -> List[int]:
        """The members that reported an error or hang-up since the last call."""
        return [fd for fd, _ in self._epoll.poll(0)]

    def close(self) -> None:
        """Give back the descriptor."""
        self._epoll.close()
