"""What an engine is asked to proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

TCP: Final = "tcp"
FILTERS: Final = "filters"  # TCP, four policy filters in front
TLS: Final = "tls"  # TCP, the engine ends TLS towards clients
HTTP: Final = "http"  # HTTP/1.1, one route
HTTP_ROUTES: Final = "http, many routes"

ROUTES = 1000


class Route(NamedTuple):
    """From which port to which, in which mode, and a directory for the engine's files."""

    directory: Path
    listen_port: int
    upstream_port: int
    mode: str = TCP
