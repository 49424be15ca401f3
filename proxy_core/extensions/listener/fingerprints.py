"""JA3 and JA4: two ways to sum up a ClientHello, by which the TLS library of a client is known again.

JA3 is the MD5 of what a hello offers in the order it offers it (https://github.com/salesforce/ja3). JA4, here only that of TLS
clients, sorts first (https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md). Where Envoy's result differs from the letter of
these, it is Envoy's: GREASE is left out of ciphers, extensions and versions, but not of groups and signature algorithms.
"""

from __future__ import annotations

import hashlib
from typing import Final, FrozenSet, Iterable, List

from .client_hello import ALPN, ClientHello, Cursor, uint16s

_SERVER_NAME: Final = 0
_SUPPORTED_GROUPS: Final = 10
_EC_POINT_FORMATS: Final = 11
_SIGNATURE_ALGORITHMS: Final = 13
_SUPPORTED_VERSIONS: Final = 43

GREASE: Final[FrozenSet[int]] = frozenset(0x0A0A + 0x1010 * step for step in range(16))  # RFC 8701
_NO_HASH: Final = "0" * 12


def ja3(hello: ClientHello) -> str:
    """The MD5 in hexadecimal."""
    return hashlib.md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest()


def ja3_text(hello: ClientHello) -> str:
    """"version,ciphers,extensions,groups,point formats", the lists in decimal, joined by "-"."""
    groups = uint16s(hello.extensions.get(_SUPPORTED_GROUPS, b"")[2:])
    formats = hello.extensions.get(_EC_POINT_FORMATS, b"")[1:]
    parts = [[hello.version], _without_grease(hello.ciphers), _without_grease(hello.extensions), groups, formats]
    return ",".join("-".join(map(str, part)) for part in parts)


def ja4(hello: ClientHello) -> str:
    """The fingerprint as it is printed, "t13d1516h2_8daaf6152771_e5627efa2ab1"."""
    ciphers = _without_grease(hello.ciphers)
    extensions = _without_grease(hello.extensions)
    named = "d" if _SERVER_NAME in hello.extensions else "i"
    counts = f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}"
    head = f"t{_version(hello)}{named}{counts}{_first_protocol(hello)}"
    return f"{head}_{_short_hash(_hexadecimal(sorted(ciphers)))}_{_short_hash(_rest(hello, extensions))}"


def _without_grease(numbers: Iterable[int]) -> List[int]:
    return [number for number in numbers if number not in GREASE]


def _version(hello: ClientHello) -> str:
    """The highest version on offer; 00 for one that is not TLS 1.0 to 1.3."""
    highest = hello.version
    content = hello.extensions.get(_SUPPORTED_VERSIONS)
    if content is not None:
        try:
            offered = _without_grease(uint16s(Cursor(content).vector(1)))
        except EOFError:
            return "00"
        highest = max(offered, default=0) or highest
    return {0x0301: "10", 0x0302: "11", 0x0303: "12", 0x0304: "13"}.get(highest, "00")


def _first_protocol(hello: ClientHello) -> str:
    """First and last character of the first ALPN name; of its hexadecimal form if one of them is no letter or digit."""
    try:
        cursor = Cursor(hello.extensions.get(ALPN, b""))
        cursor.take(2)
        name = cursor.vector(1)
    except EOFError:
        return "00"
    if not name:
        return "00"
    if name[:1].isalnum() and name[-1:].isalnum():
        return chr(name[0]) + chr(name[-1])
    return f"{name[0] >> 4:x}{name[-1] & 15:x}"


def _rest(hello: ClientHello, extensions: List[int]) -> str:
    """All extensions but server_name and ALPN, sorted; then the signature algorithms as they are."""
    text = _hexadecimal(sorted(kind for kind in extensions if kind not in (_SERVER_NAME, ALPN)))
    algorithms = uint16s(hello.extensions.get(_SIGNATURE_ALGORITHMS, b"")[2:])
    return f"{text}_{_hexadecimal(algorithms)}" if algorithms else text


def _hexadecimal(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _NO_HASH
