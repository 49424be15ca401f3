"""A strict reader of DER, the encoding of certificates (ITU-T X.690). Just enough for X.509: definite lengths, low tags.

Input may be a peer's: whatever is not DER raises ValueError, nothing is read past its end, and work is linear in the input.
"""

from __future__ import annotations

import calendar
import re
from typing import Final, Iterator, Tuple

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
T61_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
UNIVERSAL_STRING: Final = 0x1C
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31

_CHARACTERS = {
    UTF8_STRING: "utf-8", PRINTABLE_STRING: "ascii", IA5_STRING: "ascii", T61_STRING: "latin-1",
    BMP_STRING: "utf-16-be", UNIVERSAL_STRING: "utf-32-be",
}
_UTC = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_GENERALIZED = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")


class Reader:
    """The elements of one constructed value, front to back."""

    __slots__ = ("_data", "_at", "_end")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._end = len(data)

    @property
    def at_end(self) -> bool:
        """Whether all elements have been read."""
        return self._at == self._end

    def peek_tag(self) -> int:
        """The next element's tag byte; -1 at the end."""
        return -1 if self.at_end else self._data[self._at]

    def next(self, tag: int = -1) -> bytes:
        """The content of the next element, which must have `tag` (-1: any)."""
        return self._element(tag)[1]

    def next_whole(self, tag: int) -> bytes:
        """The next element with its tag and length."""
        start = self._at
        self._element(tag)
        return self._data[start:self._at]

    def open(self, tag: int) -> Reader:
        """A reader of the next element's own elements."""
        return Reader(self.next(tag))

    def skip_optional(self, tag: int) -> None:
        """Skip the next element if it has this tag."""
        if self.peek_tag() == tag:
            self.next(tag)

    def elements(self) -> Iterator[Tuple[int, bytes]]:
        """The rest: (tag, content) of each."""
        while not self.at_end:
            yield self._element(-1)

    def finish(self) -> None:
        """There must be nothing left."""
        if not self.at_end:
            raise ValueError(f"{self._end - self._at} bytes too many")

    def _element(self, expected: int) -> Tuple[int, bytes]:
        if self._end - self._at < 2:
            raise ValueError("truncated")
        tag = self._data[self._at]
        if expected not in (-1, tag):
            raise ValueError(f"expected tag 0x{expected:02x}, found 0x{tag:02x}")
        if tag & 0x1F == 0x1F:
            raise ValueError("tag of more than one byte")
        size, start = self._length(self._at + 1)
        if size > self._end - start:
            raise ValueError("truncated")
        self._at = start + size
        return tag, self._data[start:self._at]

    def _length(self, at: int) -> Tuple[int, int]:
        """The length that stands at `at`, and where the content begins (X.690 sections 8.1.3 and 10.1)."""
        first = self._data[at]
        if first < 0x80:
            return first, at + 1
        count = first & 0x7F
        if not 1 <= count <= 4 or at + 1 + count > self._end:
            raise ValueError("bad length")
        size = int.from_bytes(self._data[at + 1:at + 1 + count], "big")
        if size < 0x80 or size >> 8 * (count - 1) == 0:
            raise ValueError("length is not in its shortest form")
        return size, at + 1 + count


def encode(tag: int, content: bytes) -> bytes:
    """An element with its length in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(content: bytes) -> int:
    """The value of an INTEGER (X.690 section 8.3)."""
    if not content:
        raise ValueError("empty integer")
    return int.from_bytes(content, "big", signed=True)


def object_identifier(content: bytes) -> str:
    """An OID as dotted numbers (X.690 section 8.19)."""
    if not content or content[-1] & 0x80:
        raise ValueError("bad object identifier")
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    top = min(numbers[0] // 40, 2)
    return ".".join(map(str, [top, numbers[0] - 40 * top, *numbers[1:]]))


def text(tag: int, content: bytes) -> str:
    """The characters of a string type; ValueError for other types and for bytes that are none of its characters."""
    if tag not in _CHARACTERS:
        raise ValueError(f"tag 0x{tag:02x} is not a string")
    return content.decode(_CHARACTERS[tag])


def time(tag: int, content: bytes) -> int:
    """Seconds since the epoch of a UTCTime or GeneralizedTime in the form RFC 5280 section 4.1.2.5 asks for."""
    found = (_UTC if tag == UTC_TIME else _GENERALIZED).fullmatch(content)
    if tag not in (UTC_TIME, GENERALIZED_TIME) or found is None:
        raise ValueError("bad time")
    year, month, day, hour, minute, second = map(int, found.groups())
    if tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise ValueError("bad time")
    return calendar.timegm((year, month, day, hour, minute, second))
