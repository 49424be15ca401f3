"""Every connection of the process: ids for new ones, and who is alive. What the admin lists and a dump prints."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional

from .connection import Connection


class ConnectionTable:
    """One counter for downstream, upstream and admin connections, from 0, as in Envoy."""

    def __init__(self) -> None:
        self._next_id = 0
        self._live: Dict[int, Connection] = {}
        self.on_discard: Optional[Callable[[], None]] = None

    def next_id(self) -> int:
        """A fresh connection id."""
        connection_id = self._next_id
        self._next_id += 1
        return connection_id

    def add(self, connection: Connection) -> None:
        """From now on until `discard` this connection is alive."""
        self._live[connection.id] = connection

    def discard(self, connection: Connection) -> None:
        """This connection is over."""
        self._live.pop(connection.id, None)
        if self.on_discard is not None:
            self.on_discard()

    def live(self) -> List[Connection]:
        """The live connections by id, oldest first. A copy: they may close while it is walked."""
        return list(self._live.values())

    def __len__(self) -> int:
        return len(self._live)
