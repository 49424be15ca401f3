"""What is known of the other end of a connection, for the header rules: worked out at its first request."""

from __future__ import annotations

from typing import Any, Final, Mapping

from ...network.connection import Connection
from ...observe.access_log.values import split_address
from ...observe.stream_info import NOTHING

HTTP: Final = "http"
HTTPS: Final = "https"


class Peer:
    """ip: the client's address without port, after listener filters, "" for a Unix socket. scheme: "https" behind TLS.
    local_port: ours. tls: facts of the session (see `extensions.transport.tls.facts`), empty without."""

    __slots__ = ("ip", "is_loopback", "scheme", "local_port", "tls")

    def __init__(self, connection: Connection) -> None:
        info = connection.info
        ip, port = split_address(info.downstream_remote_address)
        self.ip = "" if port is None or ip is None else ip
        self.is_loopback = self.ip.startswith("127.") or self.ip == "::1"
        facts: Any = info.tls if info.tls is not None else connection.transport.facts()
        self.scheme = HTTP if facts is None else HTTPS
        self.tls: Mapping[str, Any] = NOTHING if facts is None else facts
        self.local_port = split_address(info.downstream_local_address)[1]
