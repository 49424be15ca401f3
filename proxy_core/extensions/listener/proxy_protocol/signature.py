"""Which PROXY protocol header do these bytes begin with? Decided by the first byte that tells."""

from __future__ import annotations

import enum

from ....network.proxy_header import V1_SIGNATURE, V2_SIGNATURE


class Match(enum.Enum):
    """What the bytes are so far."""

    NONE = "neither signature, whatever follows"
    PARTIAL = "the beginning of a signature"
    V1 = "the signature of version 1"
    V2 = "the signature of version 2"


def match(data: bytearray, v1: bool = True, v2: bool = True) -> Match:
    """Look at all bytes received. v1, v2: which versions to look for."""
    if v1 and data.startswith(V1_SIGNATURE):
        return Match.V1
    if v2 and data.startswith(V2_SIGNATURE):
        return Match.V2
    begin = bytes(data[: len(V2_SIGNATURE)])
    if (v1 and V1_SIGNATURE.startswith(begin)) or (v2 and V2_SIGNATURE.startswith(begin)):
        return Match.PARTIAL
    return Match.NONE
