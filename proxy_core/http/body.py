"""Body readers: the bytes of one body, cut off exactly where its framing says.

Place in the data's way: when a head is complete the parser takes the reader of its framing (`body_reader`)
and asks it until it says `EndOfMessage`. Each reader has two methods: `read(buffer)` returns an event, or
None when it needs more bytes; `at_eof(buffer)` says what it means that there will be none. The chunked rules
are RFC 9112 section 7.1, as strict as it allows: chunk boundaries are where requests get smuggled. Envoy
drops what stands between the end of a chunk and the next LF; here only CRLF may stand there, everything else
is a 400.
"""

from __future__ import annotations

import re
from typing import Final, List, Optional, Protocol

from .events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED, Data, EndOfMessage, Event
from .framing import CHUNKED, CONTENT_LENGTH, NO_BODY, Framing
from .head_block import TRAILERS_JOINED, parse_header_lines
from .receive_buffer import ReceiveBuffer
from .settings import HEADERS_TOO_LARGE, Http1Settings, ProtocolError


class Reader(Protocol):
    """What the parser asks for the next event, chosen by the state of the connection."""

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        """The next event, or None if it takes more bytes. Raises ProtocolError."""

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        """What `read` could not tell, now that no bytes will come. Raises ProtocolError."""


def cut_short() -> ProtocolError:
    """The error of a connection that ends inside a message."""
    return ProtocolError("connection ended in the middle of a message")


class NoBodyReader:
    """There is no body: the message is complete with its head."""

    __slots__ = ()

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        return END_OF_MESSAGE

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        return END_OF_MESSAGE


class UntilCloseReader:
    """Everything until the end of the connection: close-framed responses, and tunnels."""

    __slots__ = ()

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        return Data(buffer.take_rest()) if len(buffer) else None

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        return END_OF_MESSAGE


class PausedReader:
    """The message is complete and ours is not: what follows has to wait."""

    __slots__ = ()

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        return PAUSED

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        return PAUSED


class DiscardReader:
    """Nothing more is wanted from this peer: bytes are dropped until it closes."""

    __slots__ = ()

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        buffer.take_rest()
        return CONNECTION_CLOSED if buffer.eof else NEED_DATA

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        return CONNECTION_CLOSED


class ContentLengthReader:
    """A body of known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        if not self._left:
            return END_OF_MESSAGE
        data = buffer.take(self._left)
        if not data:
            return None
        self._left -= len(data)
        return Data(data)

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        raise cut_short()


# The four places of a chunked body.
_SIZE: Final = "size"  # before a chunk-size line
_DATA: Final = "data"
_DATA_END: Final = "data end"  # before the CRLF behind the data
_TRAILERS: Final = "trailers"  # before the trailer lines; the LF of the last size line is still in the buffer

# Blanks after the size are old servers' padding; an extension may hold anything but CR and LF. A bare LF must
# not end this line, other than that of a header: some take it as part of an extension and read the next line
# as data.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t;][^\r\n]*)?\r").fullmatch
_SIZE_LINE_SO_FAR: Final = re.compile(rb"(?:[0-9A-Fa-f]+(?:[ \t;][^\r\n]*)?\r?)?").fullmatch
_MAX_SIZE_DIGITS: Final = 16  # 64 bits
_JUDGED_EARLY: Final = 32  # bytes of an incomplete size line


class ChunkedReader:
    """A body in chunks, with trailers.

    All chunks that are in the buffer come out as one `Data`, so small chunks cost no event each. An error
    behind them is raised on the next call: what was received properly is delivered first, however the input
    was cut.
    """

    __slots__ = ("_settings", "_place", "_left")

    def __init__(self, settings: Http1Settings) -> None:
        self._settings = settings
        self._place = _SIZE
        self._left = 0

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        pieces: List[bytes] = []
        try:
            while self._place is not _TRAILERS and self._advance(buffer, pieces):
                pass
        except ProtocolError:
            if not pieces:
                raise
        if pieces:
            return Data(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return self._read_trailers(buffer) if self._place is _TRAILERS else None

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        raise cut_short()

    def _advance(self, buffer: ReceiveBuffer, pieces: List[bytes]) -> bool:
        # One step; False if it takes more bytes. Consumes nothing that is wrong or incomplete.
        if self._place is _DATA:
            piece = buffer.take(self._left)
            if not piece:
                return False
            pieces.append(piece)
            self._left -= len(piece)
            if self._left:
                return False
            self._place = _DATA_END
            return True
        return self._pass_data_end(buffer) if self._place is _DATA_END else self._pass_size_line(buffer)

    def _pass_data_end(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.data[buffer.pos : buffer.pos + 2]
        if end == b"\r\n":
            buffer.drain_to(2)
            self._place = _SIZE
            return True
        if end not in (b"", b"\r"):
            raise ProtocolError("chunk data not followed by CRLF")
        return False

    def _pass_size_line(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.maybe_line_end()
        length = len(buffer) if end < 0 else end + 1
        limit = self._settings.max_chunk_line_bytes
        if end < 0 or length > limit:
            # A wrong start is answered at once; a long line is not looked at again with every byte.
            judged = limit if length > limit else min(length, _JUDGED_EARLY)
            if _SIZE_LINE_SO_FAR(buffer.data, buffer.pos, buffer.pos + judged) is None:
                raise ProtocolError("invalid chunk size")
            if length > limit:
                raise ProtocolError("chunk-size line too long")
            return False
        match = _SIZE_LINE(buffer.data, buffer.pos, buffer.pos + end)
        digits = b"" if match is None else match.group(1)
        if match is None or len(digits.lstrip(b"0")) > _MAX_SIZE_DIGITS:
            raise ProtocolError("invalid chunk size")
        self._left = int(digits, 16)
        if self._left:
            buffer.drain_to(end + 1)
            self._place = _DATA
        else:
            buffer.drain_to(end)
            self._place = _TRAILERS
        return True

    def _read_trailers(self, buffer: ReceiveBuffer) -> Optional[Event]:
        last_line, end = buffer.maybe_block_end(0)
        limit = self._settings.max_headers_kb * 1024
        if end - 1 > limit or (end < 0 and len(buffer) - 1 >= limit):
            raise ProtocolError("trailers too large", 431, HEADERS_TOO_LARGE)
        if end < 0:
            return None
        block = buffer.data[buffer.pos + 1 : buffer.pos + last_line]
        buffer.drain_to(end)
        if not block:
            return END_OF_MESSAGE
        # Parsed even when they are thrown away: whether a message is valid must not depend on who wants its
        # trailers.
        trailers = parse_header_lines(block, TRAILERS_JOINED, self._settings)
        return EndOfMessage(trailers) if self._settings.enable_trailers else END_OF_MESSAGE


# These have no state, so one object serves every connection.
NO_BODY_READER: Final = NoBodyReader()
UNTIL_CLOSE_READER: Final = UntilCloseReader()
PAUSED_READER: Final = PausedReader()
DISCARD_READER: Final = DiscardReader()


def body_reader(framing: Framing, settings: Http1Settings) -> Reader:
    """The reader for a body that is framed like this."""
    kind, length = framing
    if kind is NO_BODY:
        return NO_BODY_READER
    if kind is CONTENT_LENGTH:
        return ContentLengthReader(length)
    if kind is CHUNKED:
        return ChunkedReader(settings)
    return UNTIL_CLOSE_READER
