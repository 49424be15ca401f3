"""What the rules are asked about: one connection, as far as it is known at that moment."""

from __future__ import annotations

from typing import Callable, Optional

from ....network.cidr import endpoint_number
from ....observe.stream_info import StreamInfo


class Facts:
    """The facts of one connection at one moment. Addresses are numbers (see `network.cidr`), made when first asked for."""

    __slots__ = ("info", "_remote", "_direct_remote", "_local")

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self._remote: Optional[int] = None
        self._direct_remote: Optional[int] = None
        self._local: Optional[int] = None

    @property
    def remote(self) -> int:
        """The client, as a PROXY header may have named it."""
        if self._remote is None:
            self._remote = endpoint_number(self.info.downstream_remote_address)
        return self._remote

    @property
    def direct_remote(self) -> int:
        """The peer of the TCP connection."""
        if self._direct_remote is None:
            self._direct_remote = endpoint_number(self.info.downstream_direct_remote_address)
        return self._direct_remote

    @property
    def local(self) -> int:
        """Where the client meant to go."""
        if self._local is None:
            self._local = endpoint_number(self.info.downstream_local_address)
        return self._local

    @property
    def local_port(self) -> int:
        """The port it meant to go to; -1 where there are no ports."""
        port = self.info.downstream_local_address.rpartition(":")[2]
        return int(port) if self.local >= 0 and port.isdigit() else -1


Condition = Callable[[Facts], bool]
AddressOf = Callable[[Facts], int]
