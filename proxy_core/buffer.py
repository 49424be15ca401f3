"""The one byte container: what a socket read produced, on its way to the socket that will send it.

Every connection owns two (read and write); filters are handed the read buffer itself, not a copy. Mirrors Envoy's
`Buffer::Instance`, less the watermarks, which belong to the connection here.

Operations and what they cost:

    append(data)        a reference is kept, nothing is copied (tiny neighbours are joined, see `JOIN_BELOW`)
    move_from(other)    O(1) into an empty buffer, O(chunks) otherwise; no bytes are copied
    drain(n)            O(chunks drained); the rest of a chunk that is cut stays where it is
    front / gather      views for the send call
    peek / find         for parsers; `find` takes the position to go on from, so a slow sender costs no rescans

The chunks are immutable `bytes` in a plain list. A list, because an idle connection holds two empty ones: 56 bytes each,
where a deque takes 624. Immutable, because a `bytearray` can't be resized while someone holds a view of it.
"""

from __future__ import annotations

from typing import List, Union

Chunk = Union[bytes, memoryview]

# Neighbouring chunks up to this many bytes together are joined. A peer that sends a byte a segment to a parked chain
# would otherwise cost 40 bytes of list and object per byte held.
JOIN_BELOW = 4096


class Buffer:
    """Bytes in order. `size` is the number of bytes held; read it, never write it.

    `chunks` and `start` are for this module and for `network.sockets.send`, which saves three calls per send by looking
    at them itself (0.15 us of a round trip's 18).
    """

    __slots__ = ("chunks", "start", "size")

    def __init__(self, data: bytes = b"") -> None:
        self.chunks: List[bytes] = [data] if data else []
        self.start = 0  # bytes of the first chunk that were drained already
        self.size = len(data)

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return self.peek(self.size)

    def __repr__(self) -> str:
        return f"<Buffer {self.size} bytes in {len(self.chunks)} chunks>"

    def append(self, data: bytes) -> None:
        """Add `data` at the end. The buffer keeps a reference: do not pass a bytearray that will change."""
        added = len(data)
        if not added:
            return
        chunks = self.chunks
        if chunks and added < JOIN_BELOW and len(chunks[-1]) + added <= JOIN_BELOW:
            chunks[-1] += data
        else:
            chunks.append(data)
        self.size += added

    def move_from(self, other: Buffer) -> None:
        """Take everything `other` holds; it is empty afterwards."""
        moved = other.size
        if not moved:
            return
        if self.size:
            if moved < JOIN_BELOW and len(other.chunks) == 1:
                self.append(other.take())  # for the same reason as in `append`
                return
            if other.start:
                other.chunks[0] = other.chunks[0][other.start:]
            self.chunks.extend(other.chunks)
            other.chunks.clear()
        else:
            self.chunks, other.chunks = other.chunks, self.chunks
            self.start = other.start
        other.start = 0
        other.size = 0
        self.size += moved

    def drain(self, count: int) -> None:
        """Forget the first `count` bytes; count must not exceed `size`."""
        assert 0 <= count <= self.size, f"drain({count}) of {self.size}"
        if count == self.size:
            self.clear()
            return
        self.size -= count
        count += self.start
        gone = 0
        for chunk in self.chunks:
            if count < len(chunk):
                break
            count -= len(chunk)
            gone += 1
        if gone:
            del self.chunks[:gone]
        self.start = count

    def clear(self) -> None:
        """Forget everything."""
        self.chunks.clear()
        self.start = 0
        self.size = 0

    def front(self) -> Chunk:
        """The first chunk that is left, without copying; b"" when empty. Valid until the buffer changes."""
        if not self.size:
            return b""
        first = self.chunks[0]
        return memoryview(first)[self.start:] if self.start else first

    def gather(self, most_bytes: int, most_chunks: int) -> List[Chunk]:
        """The first chunks, for `sendmsg`: no more than most_chunks, stopping once most_bytes are covered."""
        chunks: List[Chunk] = [self.front()]
        total = len(chunks[0])
        for chunk in self.chunks[1:most_chunks]:
            if total >= most_bytes:
                break
            chunks.append(chunk)
            total += len(chunk)
        return chunks

    def peek(self, count: int) -> bytes:
        """A copy of the first `count` bytes (fewer if there are fewer)."""
        if not self.size or count <= 0:
            return b""
        first = self.chunks[0]
        if len(first) - self.start >= count or len(self.chunks) == 1:
            return first[self.start:self.start + count]
        parts, need = [], count
        for index, chunk in enumerate(self.chunks):
            piece = chunk[self.start:self.start + need] if index == 0 else chunk[:need]
            parts.append(piece)
            need -= len(piece)
            if not need:
                break
        return b"".join(parts)

    def take(self) -> bytes:
        """All bytes as one object; the buffer is empty afterwards. No copy when they lie in one chunk."""
        chunks = self.chunks
        if len(chunks) == 1 and not self.start:
            self.size = 0
            return chunks.pop()
        data = self.peek(self.size)
        self.clear()
        return data

    def find(self, needle: bytes, start: int = 0) -> int:
        """Position of `needle` at or after `start`, or -1.

        A parser that got -1 goes on from `max(0, size - len(needle) + 1)` as it was then, so each byte is looked at once
        however slowly it arrives.
        """
        offset = -self.start  # position in the buffer of the current chunk's first byte
        overlap = len(needle) - 1
        tail = b""  # the last `overlap` bytes before the current chunk
        for chunk in self.chunks:
            end = offset + len(chunk)
            if end > start:
                if tail:
                    joint = tail + chunk[:overlap]
                    at = joint.find(needle, max(0, start - (offset - len(tail))))
                    if at >= 0:
                        return offset - len(tail) + at
                at = chunk.find(needle, max(start - offset, -offset, 0))
                if at >= 0:
                    return offset + at
            if overlap:
                tail = (tail + chunk[max(-offset, len(chunk) - overlap, 0):])[-overlap:]
            offset = end
        return -1
