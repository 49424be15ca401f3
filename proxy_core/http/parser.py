"""The receiving half: from bytes to heads. The readers of bodies are in `body`.

Place in the data's way: the codec asks the reader that the state of the connection calls for, and gives it what
was received. Readers do not know states, and write nothing. Mirrors Envoy's `BalsaParser`.

Whatever is wrong is noticed at the first byte that makes it wrong for certain, or at the end of the line or
head it is in; both depend on the bytes alone. So the events, and the error that ends them, are the same for
every way in which the input was cut into reads. (Envoy's are not: it reports the last error within one read.)

On kept connections most heads have come before. A head that is there as a whole, and whose start line and
header lines are both known (`recall`), is not parsed again. For a small request and its response that is 3.5 us
instead of 10, warm; a whole round trip through the proxy takes 64 us of CPU, 68 if only the target is new each
time, 79 if every line block is.
"""

from __future__ import annotations

from typing import Final, Optional, Tuple

from .body import cut_short
from .events import CONNECTION_CLOSED, Event, RequestHead
from .framing import NO_BODY, Framing
from .head_block import ALLOW, is_token
from .receive_buffer import ReceiveBuffer
from .request_head import build_request_head, build_versionless_head
from .request_line import NO_VERSION, RequestLine, is_plain, parse_request_line
from .response_head import StatusLine, build_response_head, parse_response_headers, parse_status_line
from .settings import HEADERS_TOO_LARGE, Http1Settings, ProtocolError

# What nobody should find in our memory later: heads with these are parsed each time, and so are lines with a query.
SECRETS: Final = frozenset(("authorization", "proxy-authorization", "cookie", "set-cookie"))

# A head whose request line is to be replaced, how its body ends, and its `head_bytes`.
KnownRequest = Tuple[RequestHead, Framing, int]

# The bytes that a token may start with. Anything else is not a method, whichever are allowed.
_METHOD_STARTS: Final = frozenset(bytes((code,)) for code in range(128) if is_token(chr(code)))


def _too_large() -> ProtocolError:
    return ProtocolError("head too large", 431, HEADERS_TOO_LARGE)


def _maybe_start_line(buffer: ReceiveBuffer, limit: int) -> Optional[bytes]:
    # The first line without its LF, not consumed: the limit counts the head as a whole.
    end = buffer.maybe_line_end()
    if end >= limit or (end < 0 and len(buffer) >= limit):
        raise _too_large()
    return None if end < 0 else buffer.data[buffer.pos : buffer.pos + end]


def _maybe_take_block(buffer: ReceiveBuffer, line_end: int, limit: int) -> Optional[bytes]:
    # The header lines behind the start line, whose LF is at `line_end`. Consumes the head when it is
    # complete.
    last_line, end = buffer.maybe_block_end(line_end)
    if end > limit or (end < 0 and len(buffer) >= limit):
        raise _too_large()
    if end < 0:
        return None
    block = buffer.data[buffer.pos + line_end + 1 : buffer.pos + last_line]
    buffer.drain_to(end)
    return block


class RequestHeadReader:
    """Reads request heads, one after the other. framing: how the body of the last one ends. head_bytes: the
    size of its header lines, each without one byte of its end, which is how Envoy counts them."""

    __slots__ = ("framing", "head_bytes", "_settings", "_limit", "_line", "_line_end")

    def __init__(self, settings: Http1Settings) -> None:
        self.framing: Framing = (NO_BODY, 0)
        self.head_bytes = 0
        self._settings = settings
        self._limit = settings.max_headers_kb * 1024
        self._line: Optional[RequestLine] = None
        self._line_end = 0

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        line = self._line
        if line is None:
            head = self._maybe_known(buffer)
            if head is not None:
                return head
            line = self._read_line(buffer)
            if line is None:
                return None
            if line[2] is NO_VERSION:
                self.head_bytes = 0
                buffer.drain_to(self._line_end + 1)
                self._line = None
                head, self.framing = build_versionless_head(line, self._settings)
                return head
        block = _maybe_take_block(buffer, self._line_end, self._limit)
        if block is None:
            return None
        self._line = None
        return self._understood(line, block)

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        if len(buffer):
            raise cut_short()
        return CONNECTION_CLOSED

    def _understood(self, line: RequestLine, block: bytes) -> RequestHead:
        settings, size = self._settings, len(block) - block.count(b"\n")
        if not is_plain(line):
            self.head_bytes = size
            head, self.framing = build_request_head(line, block, settings)
            return head
        known = settings.known_requests.get(block)
        if known is None:
            known = (*build_request_head(line, block, settings), size)
            counted = settings.headers_with_underscores_action is not ALLOW and b"_" in block  # each time it is dropped
            if not counted and not known[0].headers.has_any(SECRETS):
                settings.known_requests.keep(block, known)
        return self._again(line, known)

    def _again(self, line: RequestLine, known: KnownRequest) -> RequestHead:
        head, self.framing, self.head_bytes = known
        return head.again(line)

    def _maybe_known(self, buffer: ReceiveBuffer) -> Optional[RequestHead]:
        pieces = buffer.maybe_regular_head(self._limit)
        if pieces is None:
            return None
        raw, block, length = pieces
        line: Optional[RequestLine] = self._settings.known_lines.get(raw)
        known = self._settings.known_requests.get(block)
        if line is None or known is None:
            return None
        buffer.drain_to(length)
        return self._again(line, known)

    def _read_line(self, buffer: ReceiveBuffer) -> Optional[RequestLine]:
        first = buffer.data[buffer.pos : buffer.pos + 1]
        if first in (b"\r", b"\n"):
            # Empty lines in front of a request: old clients send one after a body (RFC 9112 section 2.2).
            rest = buffer.take_rest().lstrip(b"\r\n")
            buffer.append(rest)
            first = rest[:1]
        if first not in _METHOD_STARTS:
            if not first:
                return None
            raise ProtocolError("not an HTTP request")  # said at once: TLS, for one, may never send an LF
        raw = _maybe_start_line(buffer, self._limit)
        if raw is None:
            return None
        self._line_end = len(raw)
        line = self._line = parse_request_line(raw, self._settings)
        if is_plain(line):
            if b"?" not in raw:
                self._settings.known_lines.keep(raw, line)
        return line


class ResponseHeadReader:
    """Reads response heads. request: what the next one answers; None if nothing was asked. framing: as
    above."""

    __slots__ = ("framing", "request", "_settings", "_limit", "_line", "_line_end")

    def __init__(self, settings: Http1Settings) -> None:
        self.framing: Framing = (NO_BODY, 0)
        self.request: Optional[RequestHead] = None
        self._settings = settings
        self._limit = settings.max_headers_kb * 1024
        self._line: Optional[StatusLine] = None
        self._line_end = 0

    def read(self, buffer: ReceiveBuffer) -> Optional[Event]:
        if not buffer.data:
            return None
        request, line, settings = self.request, self._line, self._settings
        if request is None:
            raise ProtocolError("response without a request")
        if line is None:
            pieces = buffer.maybe_regular_head(self._limit)
            if pieces is not None:
                line, known = settings.known_statuses.get(pieces[0]), settings.known_responses.get(pieces[1])
                if line is not None and known is not None:
                    buffer.drain_to(pieces[2])
                    head, self.framing = build_response_head(line, known[0].copy(), known[1], request)
                    return head
            line = self._read_line(buffer)
            if line is None:
                return None
        block = _maybe_take_block(buffer, self._line_end, self._limit)
        if block is None:
            return None
        self._line = None
        headers, stated = parse_response_headers(block, settings)
        if not headers.has_any(SECRETS):
            settings.known_responses.keep(block, (headers.copy(), stated))
        head, self.framing = build_response_head(line, headers, stated, request)
        return head

    def at_eof(self, buffer: ReceiveBuffer) -> Event:
        if len(buffer):
            raise cut_short()
        return CONNECTION_CLOSED

    def _read_line(self, buffer: ReceiveBuffer) -> Optional[StatusLine]:
        if buffer.data[buffer.pos] != 72:  # "H"; no empty lines are tolerated here
            raise ProtocolError("not an HTTP response")
        raw = _maybe_start_line(buffer, self._limit)
        if raw is None:
            return None
        self._line_end = len(raw)
        line = self._line = parse_status_line(raw)
        self._settings.known_statuses.keep(raw, line)
        return line
