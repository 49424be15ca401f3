"""`strip_matching_host_port`, `strip_any_host_port` and `strip_trailing_host_dot`: one spelling for each host. Mirrors
`ConnectionManagerUtility::maybeNormalizeHost`.
"""

from __future__ import annotations

import re
from typing import Final

from .peer import Peer

_PORT: Final = re.compile(r":([0-9]+)$")


class HostRules:
    """matching: strip the listener's own port only; any_port: strip every one; dot: strip a dot behind the name."""

    __slots__ = ("_matching", "_any", "_dot")

    def __init__(self, matching: bool, any_port: bool, dot: bool) -> None:
        self._matching = matching
        self._any = any_port
        self._dot = dot

    def apply(self, host: str, peer: Peer) -> str:
        """The host of a request, with its port if it keeps one."""
        found = _PORT.search(host)
        if self._dot:
            end = len(host) if found is None else found.start()
            if host[end - 1:end] == ".":
                host = host[:end - 1] + host[end:]
                found = _PORT.search(host)
        if found is None:
            return host
        if self._any or (self._matching and int(found.group(1)) == peer.local_port):
            return host[:found.start()]
        return host
