"""What the client accepts, by its `accept-encoding` (RFC 9110, section 12.5.3). Mirrors `CompressorFilter::chooseEncoding`.

Names are compared as they are written, as Envoy does. With gzip as the only encoding the outcome is the same for all compressors
of a chain, so the first that asks decides for the stream.
"""

from __future__ import annotations

import enum
from typing import Final, Tuple

_IDENTITY: Final = "identity"
_ANY: Final = "*"


class Choice(enum.Enum):
    """What comes of it, by the name of its stat."""

    USED = "header_compressor_used"
    NOT_VALID = "header_not_valid"
    IDENTITY = "header_identity"
    WILDCARD = "header_wildcard"

    __hash__ = object.__hash__


USED: Final = Choice.USED
NOT_VALID: Final = Choice.NOT_VALID
IDENTITY: Final = Choice.IDENTITY
WILDCARD: Final = Choice.WILDCARD


def choose(accepted: str, encoding: str, choose_first: bool = False) -> Choice:
    """Whether to compress with `encoding`, and why. accepted: the value of accept-encoding. choose_first: of what is wanted
    equally, take the encoding rather than what stands first."""
    allowed = True
    best, most = _IDENTITY, 0.0
    candidates = []
    for item in accepted.split(","):
        if not item:
            continue
        name, weight = _parse(item)
        if weight != weight:  # a q that is no number: as if the item were not there
            continue
        if not weight and name == encoding:
            allowed = False
        candidates.append((name, weight))
    if not allowed:
        return NOT_VALID
    for name, weight in candidates:
        if (weight > most or (choose_first and weight == most and name == encoding)) and name in (encoding, _IDENTITY, _ANY):
            best, most = name, weight
    if not most:
        return NOT_VALID
    if best == _IDENTITY:
        return IDENTITY
    return WILDCARD if best == _ANY else USED


def _parse(item: str) -> Tuple[str, float]:
    """Name and q of "gzip; q=0.5"; NaN for a q that can't be read. Other parameters count as nothing."""
    name, semicolon, parameters = item.partition(";")
    key, equals, value = parameters.partition("=")
    if not equals or key.strip().lower() != "q":
        return name.strip(), 1.0
    try:
        return name.strip(), float(value.strip().replace("_", "x"))
    except ValueError:
        return name.strip(), float("nan")
