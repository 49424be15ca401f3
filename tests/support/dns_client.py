"""A look-up that asks one name server over UDP, for tests: what the system's resolver would do if it knew that server."""

from __future__ import annotations

import socket
import struct
from typing import List, Sequence, Tuple

TIMEOUT = 2.0  # seconds
_TYPES = {socket.AF_INET: 1, socket.AF_INET6: 28}  # A, AAAA
NXDOMAIN = 3


class NameServer:
    """`upstream.resolver.LookUp`. port: of a name server on 127.0.0.1."""

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self._port = port
        self._timeout = timeout

    def __call__(self, name: str, family: int) -> Sequence[str]:
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0)
        query += b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
        query += struct.pack("!HH", _TYPES[socket.AddressFamily(family)], 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(self._timeout)
            sock.connect(("127.0.0.1", self._port))
            try:
                sock.send(query)
                reply = sock.recv(65535)
            except OSError:
                raise socket.gaierror(socket.EAI_AGAIN, "no answer from the name server") from None
        code, found = parse(reply, family)
        if code not in (0, NXDOMAIN):
            raise socket.gaierror(socket.EAI_FAIL, f"the name server refused: {code}")
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return found


def parse(reply: bytes, family: int) -> Tuple[int, List[str]]:
    """(response code, addresses of that family) of an answer."""
    _, flags, questions, answers = struct.unpack_from("!HHHH", reply)
    position = 12
    for _ in range(questions):
        position = _after_name(reply, position) + 4
    found = []
    for _ in range(answers):
        position = _after_name(reply, position)
        kind, _, _, length = struct.unpack_from("!HHIH", reply, position)
        position += 10
        if kind == _TYPES[socket.AddressFamily(family)]:
            found.append(socket.inet_ntop(family, reply[position:position + length]))
        position += length
    return flags & 15, found


def _after_name(reply: bytes, position: int) -> int:
    while reply[position]:
        if reply[position] & 0xC0:
            return position + 2
        position += 1 + reply[position]
    return position + 1
