"""What the reactor asks the system: which descriptors are ready. epoll where there is one, else a selector of the library.

An *entry* is the reactor's record of one registration, `(mask, handler, descriptor)`; here it is only kept and given back.
epoll is used directly, since the library's `select` makes a method call, a named tuple and several attribute look-ups for
each event: 0.5 us of the 17 that a proxied 64-byte round trip costs.
"""

from __future__ import annotations

import math
import select
import selectors
import sys
from typing import Any, Dict, List, Optional, Protocol, Tuple

Entry = Tuple[int, Any, int]


class Poller(Protocol):
    """The reactor's view of the system. Descriptors are ints, masks are `selectors.EVENT_READ`, `EVENT_WRITE` or both."""

    def register(self, fd: int, mask: int, entry: Entry) -> None:
        """Watch a descriptor that is not watched."""

    def modify(self, fd: int, mask: int, entry: Entry) -> None:
        """Change mask and entry of a watched descriptor."""

    def unregister(self, fd: int) -> None:
        """Forget a watched descriptor, before it is closed."""

    def ready(self, timeout: Optional[float]) -> List[Tuple[Entry, int]]:
        """(entry, what it is ready for) of each, waiting `timeout` seconds at most (None: for ever)."""

    def close(self) -> None:
        """Give back the descriptor."""


if sys.platform == "linux":

    class EpollPoller:
        """Level-triggered epoll."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._entries: Dict[int, Entry] = {}
            read, write = selectors.EVENT_READ, selectors.EVENT_WRITE
            self._events = {
                read: select.EPOLLIN, write: select.EPOLLOUT, read | write: select.EPOLLIN | select.EPOLLOUT,
            }
            # What epoll reports, as READ and WRITE. Errors and hang-ups count as both, as in the library.
            self._masks = {select.EPOLLIN: read, select.EPOLLOUT: write}

        def register(self, fd: int, mask: int, entry: Entry) -> None:
            """See `Poller`."""
            self._epoll.register(fd, self._events[mask])
            self._entries[fd] = entry

        def modify(self, fd: int, mask: int, entry: Entry) -> None:
            """See `Poller`."""
            self._epoll.modify(fd, self._events[mask])
            self._entries[fd] = entry

        def unregister(self, fd: int) -> None:
            """See `Poller`."""
            del self._entries[fd]
            self._epoll.unregister(fd)

        def ready(self, timeout: Optional[float]) -> List[Tuple[Entry, int]]:
            """See `Poller`."""
            entries, masks = self._entries, self._masks
            if timeout is not None:
                # epoll counts milliseconds; rounded up, or a timer due in less would be waited for with a busy loop
                timeout = math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0
            found = self._epoll.poll(timeout, len(entries) or 1)
            return [(entries[fd], masks.get(event) or _from_epoll(event) & entries[fd][0]) for fd, event in found]

        def close(self) -> None:
            """See `Poller`."""
            self._epoll.close()
            self._entries.clear()

    def _from_epoll(event: int) -> int:
        read = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
        return read | (selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0)


class SelectorPoller:
    """A `Poller` on a selector of the library."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def register(self, fd: int, mask: int, entry: Entry) -> None:
        """See `Poller`."""
        self._selector.register(fd, mask, entry)

    def modify(self, fd: int, mask: int, entry: Entry) -> None:
        """See `Poller`."""
        self._selector.modify(fd, mask, entry)

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        self._selector.unregister(fd)

    def ready(self, timeout: Optional[float]) -> List[Tuple[Entry, int]]:
        """See `Poller`."""
        return [(key.data, mask) for key, mask in self._selector.select(timeout)]

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def new_poller() -> Poller:
    """The best one of this system."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller(selectors.DefaultSelector())
