"""RSA signatures: checking them (RFC 8017), with both encodings that JSON Web Algorithms know.

Only public data is handled, so nothing here has to take the same time for all inputs.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

_FEWEST_BITS, _MOST_BITS = 512, 16384
_MOST_EXPONENT: Final = 1 << 33

# DER of DigestInfo up to the digest (RFC 8017, section 9.2, note 1).
_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_PSS_TRAILER: Final = 0xBC


class PublicKey(NamedTuple):
    """modulus, exponent: as in RFC 8017."""

    modulus: int
    exponent: int

    @property
    def is_sound(self) -> bool:
        """Whether the numbers can be those of a key."""
        bits = self.modulus.bit_length()
        odd = bool(self.modulus & 1 and self.exponent & 1)
        return odd and _FEWEST_BITS <= bits <= _MOST_BITS and 3 <= self.exponent < _MOST_EXPONENT


def verify_pkcs1(key: PublicKey, algorithm: str, message: bytes, signature: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 (section 8.2.2). The whole encoded message is built and compared, so that no parser can be fooled.

    algorithm: "sha256", "sha384" or "sha512".
    """
    size = (key.modulus.bit_length() + 7) // 8
    encoded = _open(key, signature, size)
    tail = _DIGEST_INFO[algorithm] + hashlib.new(algorithm, message).digest()
    padding = size - len(tail) - 3
    return padding >= 8 and encoded == b"\x00\x01" + b"\xff" * padding + b"\x00" + tail


def verify_pss(key: PublicKey, algorithm: str, message: bytes, signature: bytes) -> bool:
    """RSASSA-PSS (section 8.1.2), MGF1 with the same hash and a salt as long as the digest (RFC 7518, section 3.5)."""
    bits = key.modulus.bit_length() - 1
    size = (bits + 7) // 8
    modulus_size = (key.modulus.bit_length() + 7) // 8
    encoded = _open(key, signature, modulus_size)
    if encoded[:modulus_size - size].strip(b"\0"):
        return False
    encoded = encoded[modulus_size - size:]
    digest: Any = hashlib.new(algorithm, message)
    length = digest.digest_size
    if size < 2 * length + 2 or encoded[-1] != _PSS_TRAILER:
        return False
    masked, found = encoded[:-length - 1], encoded[-length - 1:-1]
    unused = 8 * size - bits
    if masked[0] >> (8 - unused):
        return False
    block = bytearray(one ^ other for one, other in zip(masked, _mask(found, len(masked), algorithm)))
    block[0] &= 0xFF >> unused
    salt_at = len(block) - length
    if block[:salt_at].lstrip(b"\0") != b"\x01":
        return False
    return hashlib.new(algorithm, bytes(8) + digest.digest() + bytes(block[salt_at:])).digest() == found


def _open(key: PublicKey, signature: bytes, size: int) -> bytes:
    """The encoded message in a signature of `size` bytes; zeros for a signature that is out of range."""
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= key.modulus:
        return bytes(size)
    return pow(number, key.exponent, key.modulus).to_bytes(size, "big")


def _mask(seed: bytes, length: int, algorithm: str) -> bytes:
    """MGF1 (appendix B.2.1)."""
    made = b""
    counter = 0
    while len(made) < length:
        made += hashlib.new(algorithm, seed + counter.to_bytes(4, "big")).digest()
        counter += 1
    return made[:length]
