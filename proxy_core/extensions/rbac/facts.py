"""What the rules are asked about: one connection or one request, as far as it is known at that moment."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ...http.events import RequestHead
from ...network.cidr import endpoint_number
from ...observe.stream_info import NOTHING, StreamInfo


class Facts:
    """The facts at one moment. Addresses are numbers (see `network.cidr`), made when first asked for.

    info: of the connection, or of the stream. connection: of the connection that a stream belongs to.
    """

    __slots__ = ("info", "_connection", "_remote", "_connection_remote", "_direct_remote", "_local")

    def __init__(self, info: StreamInfo, connection: Optional[StreamInfo] = None) -> None:
        self.info = info
        self._connection = info if connection is None else connection
        self._remote: Optional[int] = None
        self._connection_remote: Optional[int] = None
        self._direct_remote: Optional[int] = None
        self._local: Optional[int] = None

    @property
    def remote(self) -> int:
        """The client, as a PROXY header or x-forwarded-for may have named it."""
        if self._remote is None:
            self._remote = endpoint_number(self.info.downstream_remote_address)
        return self._remote

    @property
    def connection_remote(self) -> int:
        """The client of the connection, as a PROXY header may have named it, whatever a request says."""
        if self._connection_remote is None:
            self._connection_remote = endpoint_number(self._connection.downstream_remote_address)
        return self._connection_remote

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

    @property
    def request(self) -> Optional[RequestHead]:
        """The head of the request; None for a connection."""
        facts = self.info.http
        head: Optional[RequestHead] = None if facts is None else facts.request
        return head

    @property
    def route_metadata(self) -> Mapping[str, Any]:
        """The metadata of the request's route, by namespace; empty without one."""
        facts = self.info.http
        metadata: Mapping[str, Any] = NOTHING if facts is None or facts.route is None else facts.route.metadata
        return metadata

    @property
    def has_route(self) -> bool:
        """Whether there is a request with a route."""
        return self.info.http is not None and self.info.http.route is not None


Condition = Callable[[Facts], bool]
AddressOf = Callable[[Facts], int]
