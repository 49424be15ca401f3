"""The bytes that were received and not yet used, with the two searches that parsing needs.

Place in the data's way: the codec appends what the connection read; the parser takes from the front.

Plan: one `bytes` object and a position in it. A read usually holds whole messages, then `append` on an empty
buffer is an assignment and nothing is copied. What stays behind is a partial head, trailer or chunk line,
bounded by the limits on those, or pipelined requests, for which the user stops reading. So the copy on append
is at most about 60 KB (some 3 us). A bytearray would save it, but each slice of it must be copied twice to
become `bytes`, and body slices are the hot path.

Both searches remember how far they looked, as distances from the front, so that input which comes byte by
byte is looked at once and not once per byte (a 1 MiB head in 1 KiB pieces: 1.5 ms instead of 520 ms).
"""

from __future__ import annotations

from typing import Optional, Tuple


class ReceiveBuffer:
    """data[pos:] is what is left. eof: nothing will be added."""

    __slots__ = ("data", "pos", "eof", "_searched")

    def __init__(self) -> None:
        self.data = b""
        self.pos = 0
        self.eof = False
        self._searched = 0

    def __len__(self) -> int:
        return len(self.data) - self.pos

    def append(self, data: bytes) -> None:
        """Add what was received."""
        if self.pos == len(self.data):
            self.data = data
        else:
            self.data = self.data[self.pos :] + data
        self.pos = 0

    def take(self, most: int) -> bytes:
        """Up to `most` bytes from the front. The whole of an untouched buffer is handed over without a
        copy."""
        if self.pos == 0 and len(self.data) <= most:
            taken, self.data = self.data, b""
        else:
            taken = self.data[self.pos : self.pos + most]
            self.drain_to(len(taken))
        self._searched = 0
        return taken

    def drain_to(self, distance: int) -> None:
        """Drop `distance` bytes from the front."""
        self.pos += distance
        self._searched = 0
        if self.pos == len(self.data):
            # Let go of the whole read: an idle keep-alive connection must not sit on 64 KB for the head it
            # had.
            self.data = b""
            self.pos = 0

    def take_rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self.data))

    def maybe_line_end(self) -> int:
        """The distance from the front to the first LF, or -1 while there is none."""
        found = self.data.find(b"\n", self.pos + self._searched)
        if found < 0:
            self._searched = len(self.data) - self.pos
            return -1
        return found - self.pos

    def maybe_block_end(self, start: int) -> Tuple[int, int]:
        """Where a block of lines ends: at the first empty line after the LF at distance `start`.

        Returns (distance just behind the last line, distance just behind the empty line), or (-1, -1) while
        it is not there. Both CRLF and LF end a line, as in Envoy's Balsa parser and as RFC 9112 section 2.2
        allows.
        """
        data = self.data
        scan = self.pos + (start if start > self._searched else self._searched)
        crlf = data.find(b"\n\r\n", scan)
        bare = data.find(b"\n\n", scan, len(data) if crlf < 0 else crlf + 1)
        if bare >= 0:
            return bare + 1 - self.pos, bare + 2 - self.pos
        if crlf >= 0:
            return crlf + 1 - self.pos, crlf + 3 - self.pos
        self._searched = max(start, len(data) - 2 - self.pos)
        return -1, -1

    def maybe_regular_head(self, limit: int) -> Optional[Tuple[bytes, bytes, int]]:
        """The start line without its LF, the block of header lines, and the length of the head in front, if it seems to be
        there as a whole, in at most `limit` bytes, with CRLFs. Nothing is taken.

        Only a guess: there may be a bare LF that ends the head before. Not tried a second time for the same head.
        """
        data, pos = self.data, self.pos
        line_end = data.find(b"\n", pos)
        last = data.find(b"\r\n\r\n", line_end)
        length = last + 4 - pos
        if last < 0 or length > limit or self._searched:
            return None
        return data[pos:line_end], data[line_end + 1 : last + 2], length
