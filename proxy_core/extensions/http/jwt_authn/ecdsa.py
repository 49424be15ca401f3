"""ECDSA signatures over the NIST curves: checking them (FIPS 186-4, section 6.4; SEC 1, section 4.1.4).

Only public data is handled, so nothing here has to take the same time for all inputs. Points are in Jacobian coordinates:
(X, Y, Z) stands for (X / Z^2, Y / Z^3), and Z = 0 for the point at infinity. All three curves have a = -3.
"""

from __future__ import annotations

import hashlib
from typing import Final, List, NamedTuple, Tuple

Point = Tuple[int, int, int]
_INFINITY: Final[Point] = (1, 1, 0)
_WINDOW: Final = 4  # bits of the scalars that are handled at once


class Curve(NamedTuple):
    """y^2 = x^3 - 3x + b modulo p, with the generator (gx, gy) of order n. size: bytes of a coordinate."""

    p: int
    b: int
    n: int
    gx: int
    gy: int
    size: int

    def holds(self, x: int, y: int) -> bool:
        """Whether this is a point of the curve."""
        p = self.p
        return 0 <= x < p and 0 <= y < p and (y * y - (x * x - 3) * x - self.b) % p == 0


# FIPS 186-4, appendix D.1.2.
P256: Final = Curve(
    0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    32,
)
P384: Final = Curve(
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    48,
)
P521: Final = Curve(
    (1 << 521) - 1,
    int("0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF07"
        "3573DF883D2C34F1EF451FD46B503F00", 16),
    int("01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D0"
        "3BB5C9B8899C47AEBB6FB71E91386409", 16),
    int("00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE"
        "3348B3C1856A429BF97E7E31C2E5BD66", 16),
    int("011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761"
        "353C7086A272C24088BE94769FD16650", 16),
    66,
)


class PublicKey:
    """A point of a curve, with the multiples of it that checking needs."""

    __slots__ = ("curve", "_multiples")

    def __init__(self, curve: Curve, x: int, y: int) -> None:
        """Raises ValueError for what is no point of the curve. (The order of these curves is prime: every point is sound.)"""
        if not curve.holds(x, y):
            raise ValueError("not a point of the curve")
        self.curve = curve
        self._multiples = _table(curve, (x, y, 1))

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature`, r and s as numbers of the curve's size one after the other (RFC 7518, section 3.4), is good."""
        curve = self.curve
        n, size = curve.n, curve.size
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        if not (0 < r < n and 0 < s < n):
            return False
        digest = hashlib.new(algorithm, message).digest()
        number = int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - n.bit_length())
        inverse = pow(s, -1, n)
        x, _, z = self._sum(number * inverse % n, r * inverse % n)
        if not z:
            return False
        return x * pow(z, -2, curve.p) % curve.p % n == r

    def _sum(self, by_generator: int, by_key: int) -> Point:
        """by_generator * G + by_key * Q, both from the top, a window at a time."""
        curve = self.curve
        generator = _GENERATORS[curve]
        result = _INFINITY
        mask = (1 << _WINDOW) - 1
        bits = max(by_generator.bit_length(), by_key.bit_length())
        for shift in range((bits + _WINDOW - 1) // _WINDOW * _WINDOW - _WINDOW, -1, -_WINDOW):
            for _ in range(_WINDOW):
                result = _double(curve.p, result)
            one, other = by_generator >> shift & mask, by_key >> shift & mask
            if one:
                result = _add(curve.p, result, generator[one])
            if other:
                result = _add(curve.p, result, self._multiples[other])
        return result


def _table(curve: Curve, point: Point) -> List[Point]:
    """0 to 2^_WINDOW - 1 times a point."""
    found = [_INFINITY, point]
    while len(found) < 1 << _WINDOW:
        found.append(_add(curve.p, found[-1], point))
    return found


def _double(p: int, point: Point) -> Point:
    """2 * point ("dbl-2001-b" of the Explicit-Formulas Database)."""
    x, y, z = point
    if not z or not y:
        return _INFINITY
    delta, gamma = z * z % p, y * y % p
    beta = x * gamma % p
    alpha = 3 * (x - delta) * (x + delta) % p
    x3 = (alpha * alpha - 8 * beta) % p
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % p, ((y + z) * (y + z) - gamma - delta) % p


def _add(p: int, one: Point, other: Point) -> Point:
    """one + other ("add-1998-cmo-2")."""
    x1, y1, z1 = one
    x2, y2, z2 = other
    if not z1:
        return other
    if not z2:
        return one
    z1z1, z2z2 = z1 * z1 % p, z2 * z2 % p
    u1, u2 = x1 * z2z2 % p, x2 * z1z1 % p
    s1, s2 = y1 * z2 * z2z2 % p, y2 * z1 * z1z1 % p
    h, r = (u2 - u1) % p, (s2 - s1) % p
    if not h:
        return _double(p, one) if not r else _INFINITY
    hh = h * h % p
    hhh, v = h * hh % p, u1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - s1 * hhh) % p, z1 * z2 * h % p


_GENERATORS: Final = {curve: _table(curve, (curve.gx, curve.gy, 1)) for curve in (P256, P384, P521)}
