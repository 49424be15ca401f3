"""The server's end of a WebSocket (RFC 6455), for a page in a browser: it echoes, and does a few things when it is told to.

A message is sent back as it came, in fragments, after a ping whose pong must come before the next message is answered: what
real servers do. The text "close" makes the server close with code 4001.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from typing import List, NamedTuple, Optional

from tests.support.live_peers import receive_exactly

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FRAGMENT = 100_000  # bytes of a message in one frame


class Frame(NamedTuple):
    final: bool
    opcode: int
    payload: bytes


def switching_protocols(key: str) -> bytes:
    """The answer to the handshake with that Sec-WebSocket-Key."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    """A frame of the server: not masked."""
    first, size = opcode | (0x80 if final else 0), len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def fragments(opcode: int, payload: bytes) -> bytes:
    """A message in frames of FRAGMENT bytes."""
    starts = range(0, max(1, len(payload)), FRAGMENT)
    return b"".join(
        frame(CONTINUATION if start else opcode, payload[start:start + FRAGMENT], start + FRAGMENT >= len(payload))
        for start in starts
    )


def read_frame(peer: socket.socket) -> Optional[Frame]:
    """A frame of the browser, unmasked; None at the end of the stream."""
    start = receive_exactly(peer, 2)
    if len(start) < 2:
        return None
    assert start[1] & 0x80, "the browser masks its frames"
    size = start[1] & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", receive_exactly(peer, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", receive_exactly(peer, 8))
    mask = receive_exactly(peer, 4)
    masked = receive_exactly(peer, size)
    assert len(masked) == size, "the stream ended within a frame"
    whole = int.from_bytes(masked, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return Frame(bool(start[0] & 0x80), start[0] & 0x0F, whole.to_bytes(size, "big"))


def serve(peer: socket.socket, ends: List[str]) -> None:
    """The conversation after the handshake. ends: how it ended is appended, "code by whom" or "no close"."""
    opcode, message, pongs = 0, b"", 0
    while True:
        received = read_frame(peer)
        if received is None:
            ends.append("no close")
            return
        if received.opcode == CLOSE:
            code = int.from_bytes(received.payload[:2], "big")
            ends.append(f"{code} by the browser")
            peer.sendall(frame(CLOSE, received.payload))
            return
        if received.opcode == PONG:
            pongs += 1
            continue
        opcode = received.opcode or opcode
        message += received.payload
        if not received.final:
            continue
        if opcode == TEXT and message == b"close":
            peer.sendall(frame(CLOSE, struct.pack("!H", 4001) + b"as you wish"))
            answer = read_frame(peer)
            ends.append(f"{pongs} pongs, answered with {answer.opcode if answer else 'nothing'}")
            return
        peer.sendall(frame(PING, b"there?") + fragments(opcode, message))
        message = b""
