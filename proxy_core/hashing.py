"""The two hashes that place connections on hosts, bit for bit as Envoy computes them: XXH64 and MurmurHash64A.

XXH64 is also the number that Envoy shows as the version of a dynamic resource. Both are plain readings of the published
algorithms (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md; MurmurHash2.cpp, which libstdc++'s std::hash uses as
well). Python needs about 3 us for the text of an address: once per connection, never per byte.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1
_PRIME1: Final = 0x9E3779B185EBCA87
_PRIME2: Final = 0xC2B2AE3D27D4EB4F
_PRIME3: Final = 0x165667B19E3779F9
_PRIME4: Final = 0x85EBCA77C2B2AE63
_PRIME5: Final = 0x27D4EB2F165667C5
_STRIPE: Final = 32  # bytes: four lanes of eight

_MURMUR: Final = 0xC6A4A7935BD1E995
MURMUR_SEED: Final = 0xC70F6907  # the seed of std::hash, which Envoy uses for MURMUR_HASH_2


def xxhash64(data: bytes, seed: int = 0) -> int:
    """The 64-bit hash of `data`."""
    length = len(data)
    if length < _STRIPE:
        return _tail(data, 0, (seed + _PRIME5 + length) & _MASK)
    whole = length - length % _STRIPE
    return _tail(data, whole, (_stripes(data, whole, seed) + length) & _MASK)


def murmur2(data: bytes, seed: int = MURMUR_SEED) -> int:
    """The 64-bit MurmurHash2 (the variant "64A") of `data`."""
    length = len(data)
    whole = length & ~7
    result = seed ^ (length * _MURMUR & _MASK)
    for place in range(0, whole, 8):
        word = int.from_bytes(data[place:place + 8], "little") * _MURMUR & _MASK
        result = (result ^ ((word ^ word >> 47) * _MURMUR & _MASK)) * _MURMUR & _MASK
    if whole < length:
        result = (result ^ int.from_bytes(data[whole:], "little")) * _MURMUR & _MASK
    result = (result ^ result >> 47) * _MURMUR & _MASK
    return result ^ result >> 47


def _stripes(data: bytes, whole: int, seed: int) -> int:
    lanes = [(seed + offset) & _MASK for offset in (_PRIME1 + _PRIME2, _PRIME2, 0, -_PRIME1)]
    for start in range(0, whole, _STRIPE):
        for lane in range(4):
            place = start + 8 * lane
            lanes[lane] = _round(lanes[lane], int.from_bytes(data[place:place + 8], "little"))
    result = sum(_rotated(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & _MASK
    for lane_value in lanes:
        result = ((result ^ _round(0, lane_value)) * _PRIME1 + _PRIME4) & _MASK
    return result


def _tail(data: bytes, place: int, result: int) -> int:
    """The bytes behind the last whole stripe: by eight, then four, then one; then the last mixing.

    The rotations are written out: a ring of 10,000 points is 10,000 of these, and calls were half of their cost.
    """
    length = len(data)
    while length - place >= 8:
        word = int.from_bytes(data[place:place + 8], "little") * _PRIME2 & _MASK
        result ^= ((word << 31 & _MASK) | word >> 33) * _PRIME1 & _MASK
        result = (((result << 27 & _MASK) | result >> 37) * _PRIME1 + _PRIME4) & _MASK
        place += 8
    if length - place >= 4:
        result ^= int.from_bytes(data[place:place + 4], "little") * _PRIME1 & _MASK
        result = (((result << 23 & _MASK) | result >> 41) * _PRIME2 + _PRIME3) & _MASK
        place += 4
    for byte in data[place:]:
        result ^= byte * _PRIME5 & _MASK
        result = ((result << 11 & _MASK) | result >> 53) * _PRIME1 & _MASK
    result = (result ^ result >> 33) * _PRIME2 & _MASK
    result = (result ^ result >> 29) * _PRIME3 & _MASK
    return result ^ result >> 32


def _round(accumulator: int, value: int) -> int:
    return _rotated((accumulator + value * _PRIME2) & _MASK, 31) * _PRIME1 & _MASK


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK
