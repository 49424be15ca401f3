"""The first flight of a TLS client, without I/O: records and an SSLv2 hello in, a `ClientHello` out. tls_inspector's parser.

Mirrors what BoringSSL does before it calls Envoy's inspector: it reads records until one whole handshake message is there, takes
the message apart, and looks into two extensions, server_name and encrypted_client_hello. All the rest (versions, compression,
other extensions) is the affair of the TLS stack that will answer. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 5246
appendix E.2 for the SSLv2 form.

What can't become a ClientHello is refused as soon as that is known: BoringSSL first waits for five bytes, and for a whole record.
"""

from __future__ import annotations

import enum
from typing import Dict, Final, NamedTuple, Optional, Tuple

_HEADER: Final = 5  # of a record
_ALERT: Final = 0x15
_HANDSHAKE: Final = 0x16
_CLIENT_HELLO: Final = 1
_MOST_CIPHERTEXT: Final = 16384 + 320
_MOST_MESSAGE: Final = 16384
_MOST_V2: Final = 4096
_MOST_EMPTY_RECORDS: Final = 32  # in a row
_MOST_WARNINGS: Final = 4  # in a row
_V2_MARK: Final = b"\x01\x03"  # the third and fourth byte of an SSLv2 hello: its type, and a version of TLS

_SERVER_NAME: Final = 0
_ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D
ALPN: Final = 16


class Reason(enum.IntEnum):
    """Why bytes are no ClientHello: BoringSSL's reason codes, with the names that it prints."""

    CLIENTHELLO_PARSE_FAILED = 0x83
    CONNECTION_REJECTED = 0x85
    DECODE_ERROR = 0x89
    ENCRYPTED_LENGTH_TOO_LONG = 0x92
    ERROR_PARSING_EXTENSION = 0x95
    EXCESSIVE_MESSAGE_SIZE = 0x96
    HTTPS_PROXY_REQUEST = 0x9B
    HTTP_REQUEST = 0x9C
    RECORD_LENGTH_MISMATCH = 0xC7
    RECORD_TOO_LARGE = 0xC8
    TOO_MANY_EMPTY_FRAGMENTS = 0xDB
    UNEXPECTED_MESSAGE = 0xDF
    UNEXPECTED_RECORD = 0xE1
    WRONG_VERSION_NUMBER = 0xF7
    EXCESS_HANDSHAKE_DATA = 0xFF

    def __str__(self) -> str:
        return f"error:{0x10000000 + self.value:08x}:SSL routines:OPENSSL_internal:{self.name}"


class NotAHello(Exception):
    """The bytes are not a ClientHello, or a broken one."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ClientHello(NamedTuple):
    """One ClientHello.

    version: legacy_version, 0x0303 for TLS 1.2 and 1.3. ciphers: as offered. extensions: type -> content, in the order of the
    wire. server_name: as sent; b"" if there is none.
    """

    version: int
    ciphers: Tuple[int, ...]
    extensions: Dict[int, bytes]
    server_name: bytes


class Cursor:
    """Reads TLS's presentation language (RFC 8446 section 3) from the front of some bytes; `EOFError` when they are too few."""

    __slots__ = ("_data", "_at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are not read yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise EOFError
        self._at += count
        return self._data[self._at - count:self._at]

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes behind their length, which has `size` bytes."""
        return self.take(self.number(size))


def uint16s(data: bytes) -> Tuple[int, ...]:
    """The 16-bit numbers of a list; an odd last byte is left out."""
    return tuple(int.from_bytes(data[at:at + 2], "big") for at in range(0, len(data) - 1, 2))


class HelloReader:
    """Puts one handshake message together. It is shown all bytes each time, and looks at those of complete records only once,
    so that a hello that comes byte by byte costs no more than a few comparisons for each."""

    __slots__ = ("consumed", "_message", "_empty_records", "_warnings")

    def __init__(self) -> None:
        self.consumed = 0  # how many bytes were needed so far, or in the end
        self._message = bytearray()
        self._empty_records = 0
        self._warnings = 0

    def read(self, data: bytearray, end: int) -> Optional[bytes]:
        """The body of the ClientHello message; None while bytes are missing. Raises `NotAHello`.

        data: everything from the first byte on. end: how many of its bytes count.
        """
        if not self.consumed and end and data[0] & 0x80 and data[2:min(end, 4)] == _V2_MARK[:max(0, end - 2)]:
            return self._read_v2(data, end)
        while end > self.consumed:
            body = self._next_record(data, end)
            if body is None:
                return None
            self._message += body
            size = int.from_bytes(self._message[1:4], "big") if len(self._message) >= 4 else 0
            if len(self._message) >= 4 + size:
                return self._complete(size)
            if size > _MOST_MESSAGE:
                raise NotAHello(Reason.EXCESSIVE_MESSAGE_SIZE)
        return None

    def _next_record(self, data: bytearray, end: int) -> Optional[bytearray]:
        """The content of the next record, if it is all there."""
        start = self.consumed
        head = bytes(data[start:min(end, start + _HEADER)])
        if head[0] not in (_HANDSHAKE, _ALERT) or len(head) > 1 and head[1] != 3:
            raise self._refused(head, end)
        if len(head) < _HEADER:
            return None
        size = int.from_bytes(head[3:], "big")
        if size > _MOST_CIPHERTEXT:
            raise self._refused(head, end)
        begin = start + _HEADER
        if head[0] == _ALERT:
            return self._skip_warning(head, bytes(data[begin:min(end, begin + 2)]), size)
        if size and end > begin and not self._message and data[begin] != _CLIENT_HELLO:
            self.consumed = min(end, begin + size)
            raise NotAHello(Reason.UNEXPECTED_MESSAGE)
        if end < begin + size:
            return None
        self.consumed = begin + size
        self._warnings = 0
        self._empty_records = 0 if size else self._empty_records + 1
        if self._empty_records > _MOST_EMPTY_RECORDS:
            raise NotAHello(Reason.TOO_MANY_EMPTY_FRAGMENTS)
        return data[begin:begin + size]

    def _skip_warning(self, head: bytes, alert: bytes, size: int) -> Optional[bytearray]:
        """Warnings may stand before and between the records of a hello: TLS stacks skip them, so it would hide a server name not
        to. Only close_notify (0) is the end. Adds nothing to the message."""
        if size != 2 or alert[:1] not in (b"", b"\1") or alert[1:] == b"\0" or self._warnings == _MOST_WARNINGS:
            raise self._refused(head, self.consumed + _HEADER + len(alert))
        if len(alert) < 2:
            return None
        self._warnings += 1
        self._empty_records = 0
        self.consumed += _HEADER + 2
        return bytearray()

    def _refused(self, head: bytes, end: int) -> NotAHello:
        """Why a record that begins like this can't be of a ClientHello."""
        first = not self.consumed
        self.consumed += len(head)
        if first and (head[:4] in (b"GET ", b"PUT ") or head in (b"POST ", b"HEAD ")):
            return NotAHello(Reason.HTTP_REQUEST)
        if first and head == b"CONNE":
            return NotAHello(Reason.HTTPS_PROXY_REQUEST)
        if len(head) < 2 or head[1] != 3:
            return NotAHello(Reason.WRONG_VERSION_NUMBER)
        size = int.from_bytes(head[3:], "big") if len(head) == _HEADER else 0
        if size > _MOST_CIPHERTEXT:
            return NotAHello(Reason.ENCRYPTED_LENGTH_TOO_LONG)
        self.consumed = min(end, self.consumed + size)
        return NotAHello(Reason.UNEXPECTED_RECORD)

    def _complete(self, size: int) -> bytes:
        body = bytes(self._message[4:4 + size])
        if len(self._message) > 4 + size:
            _structure(body)  # a broken ClientHello is the better explanation
            raise NotAHello(Reason.EXCESS_HANDSHAKE_DATA)
        return body

    def _read_v2(self, data: bytearray, end: int) -> Optional[bytes]:
        """An SSLv2 hello, rewritten as the body of the TLS one that says the same."""
        if end < _HEADER:
            return None
        size = int.from_bytes(data[:2], "big") & 0x7FFF
        if not 3 <= size <= _MOST_V2:
            self.consumed = _HEADER
            raise NotAHello(Reason.RECORD_TOO_LARGE if size > _MOST_V2 else Reason.RECORD_LENGTH_MISMATCH)
        if end < 2 + size:
            return None
        self.consumed = 2 + size
        try:
            return _from_v2(bytes(data[3:2 + size]))
        except EOFError:
            raise NotAHello(Reason.DECODE_ERROR) from None


def _from_v2(message: bytes) -> bytes:
    """message: from the version on. RFC 5246 appendix E.2."""
    cursor = Cursor(message)
    version = cursor.take(2)
    sizes = [cursor.number(2) for _ in range(3)]
    specs, _session_id, challenge = [cursor.take(size) for size in sizes]
    if cursor.left or len(specs) % 3:
        raise EOFError
    ciphers = b"".join(specs[at + 1:at + 3] for at in range(0, len(specs), 3) if not specs[at])
    return b"".join((version, challenge[:32].rjust(32, b"\0"), b"\0", len(ciphers).to_bytes(2, "big"), ciphers, b"\1\0"))


def parse(body: bytes) -> ClientHello:
    """Take the body of a ClientHello message apart. Raises `NotAHello`."""
    hello = _structure(body)
    _check_encrypted_client_hello(hello.extensions.get(_ENCRYPTED_CLIENT_HELLO))
    return hello._replace(server_name=_server_name(hello.extensions.get(_SERVER_NAME)))


def _structure(body: bytes) -> ClientHello:
    try:
        return _take_apart(Cursor(body))
    except EOFError:
        raise NotAHello(Reason.CLIENTHELLO_PARSE_FAILED) from None


def _take_apart(cursor: Cursor) -> ClientHello:
    version = cursor.number(2)
    cursor.take(32)
    session_id = cursor.vector(1)
    ciphers = cursor.vector(2)
    compressions = cursor.vector(1)
    extensions: Dict[int, bytes] = {}
    if cursor.left:
        block = Cursor(cursor.vector(2))
        while block.left:
            kind = block.number(2)
            if kind in extensions:
                raise EOFError
            extensions[kind] = block.vector(2)
    if len(session_id) > 32 or len(ciphers) < 2 or len(ciphers) % 2 or not compressions or cursor.left:
        raise EOFError
    return ClientHello(version, uint16s(ciphers), extensions, b"")


def _check_encrypted_client_hello(content: Optional[bytes]) -> None:
    """RFC 9849 section 5: type outer (0), the cipher suite, config id, encapsulated key and payload."""
    if content is None or content and content[0]:
        return
    cursor = Cursor(content)
    try:
        cursor.take(6)
        cursor.vector(2)
        cursor.vector(2)
    except EOFError:
        raise NotAHello(Reason.DECODE_ERROR) from None
    if cursor.left:
        raise NotAHello(Reason.DECODE_ERROR)


def _server_name(content: Optional[bytes]) -> bytes:
    """The one host name of a server_name extension. Several names are refused: nobody could ever send them (RFC 6066)."""
    if content is None:
        return b""
    try:
        outer = Cursor(content)
        inner = Cursor(outer.vector(2))
        kind = inner.number(1)
        name = inner.vector(2)
    except EOFError:
        raise NotAHello(Reason.ERROR_PARSING_EXTENSION) from None
    if outer.left or inner.left or kind or not 0 < len(name) <= 255 or 0 in name:
        raise NotAHello(Reason.ERROR_PARSING_EXTENSION)
    return name


def application_protocols(content: bytes) -> Tuple[bytes, ...]:
    """The names in an ALPN extension (RFC 7301 section 3.1); none if it is malformed anywhere."""
    names = []
    try:
        outer = Cursor(content)
        inner = Cursor(outer.vector(2))
        while inner.left:
            names.append(inner.vector(1))
    except EOFError:
        return ()
    return () if outer.left or b"" in names else tuple(names)
