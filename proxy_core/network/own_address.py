"""The address of this machine as others see it. Mirrors `Network::Utility::getLocalAddress`, as far as HTTP headers need it."""

from __future__ import annotations

import socket
from typing import Final

_ELSEWHERE: Final = ("192.0.2.1", 9)  # RFC 5737: belongs to nobody


def own_ip() -> str:
    """The one a packet to elsewhere would come from; none is sent. The loopback's where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
