"""Ed25519 signatures: checking them (RFC 8032, section 5.1.7).

Only public data is handled, so nothing here has to take the same time for all inputs. Points are in extended coordinates
(X, Y, Z, T): x = X / Z, y = Y / Z, x * y = T / Z.
"""

from __future__ import annotations

import hashlib
from typing import Final, Optional, Tuple

Point = Tuple[int, int, int, int]

SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32
_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_OF_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)
_NEUTRAL: Final[Point] = (0, 1, 1, 0)


class PublicKey:
    """A point of the curve, and its encoding."""

    __slots__ = ("_encoded", "_point")

    def __init__(self, encoded: bytes) -> None:
        """encoded: 32 bytes. Raises ValueError for what is no point."""
        point = _decode(encoded)
        if point is None:
            raise ValueError("not a point of the curve")
        self._encoded = encoded
        self._point = point

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is good. S must be below the group's order, so that there is one signature only."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        r, s = _decode(signature[:32]), int.from_bytes(signature[32:], "little")
        if r is None or s >= _ORDER:
            return False
        digest = hashlib.sha512(signature[:32] + self._encoded + message).digest()
        k = int.from_bytes(digest, "little") % _ORDER
        return _equal(_multiply(s, _BASE), _add(r, _multiply(k, self._point)))


def _decode(encoded: bytes) -> Optional[Point]:
    """Section 5.1.3."""
    if len(encoded) != KEY_BYTES:
        return None
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _x_of(y: int, sign: int) -> Optional[int]:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if not square:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_OF_MINUS_1 % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


def _add(one: Point, other: Point) -> Point:
    """Section 5.1.4."""
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % _P, (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: Point) -> Point:
    result = _NEUTRAL
    for bit in bin(scalar)[2:]:
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result


def _equal(one: Point, other: Point) -> bool:
    same_x = (one[0] * other[2] - other[0] * one[2]) % _P == 0
    return same_x and (one[1] * other[2] - other[1] * one[2]) % _P == 0


def _base() -> Point:
    y = 4 * pow(5, -1, _P) % _P
    x = _x_of(y, 0)
    assert x is not None
    return x, y, 1, x * y % _P


_BASE: Final = _base()
