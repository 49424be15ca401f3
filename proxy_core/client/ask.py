"""One request to an admin, over TCP or a Unix socket.

By hand and not with `http.client`: that is 30 ms and 2 MB which every start of the proxy would pay as well, it wants a class
for Unix sockets anyway, and all replies of the admin are of one kind.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlencode

DEFAULT_ADMIN = "127.0.0.1:9901"
DEFAULT_PORT = 9901
PATIENCE = 10.0  # seconds for one step of a request

_HOST_AND_PORT = re.compile(r"(?:http://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^][:/@ ]*)(?::(?P<port>[0-9]{1,5}))?/?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")


class AskError(Exception):
    """There is no answer, or it is a refusal. The text is for the user."""


class AdminAddress(NamedTuple):
    """Where an admin is. path: of its Unix socket, "@name" for an abstract one; else "" and host and port count."""

    host: str
    port: int
    path: str = ""

    @property
    def text(self) -> str:
        """As the user writes it."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> AdminAddress:
    """HOST:PORT, [IPV6]:PORT, :PORT, PORT, HOST, a URL of these, or the path of a Unix socket. Raises ValueError with a
    sentence."""
    if text.startswith(("unix:", "/", "./", "@")):
        return AdminAddress("", 0, text[len("unix:"):] if text.startswith("unix:") else text)
    found = _HOST_AND_PORT.fullmatch(f":{text}" if text.isdigit() else text)
    port = int(found["port"] or DEFAULT_PORT) if found is not None else 0
    if found is None or not 0 < port <= 65535 or not (found["host"] or found["port"]):
        raise ValueError(f"expected HOST:PORT or the path of a Unix socket, found '{text}'")
    return AdminAddress(found["host"].strip("[]") or "127.0.0.1", port)


def ask(address: AdminAddress, path: str, query: Optional[Mapping[str, str]] = None, method: str = "GET") -> str:
    """The body of the answer. path: with what is special in a path already quoted. Raises AskError when there is no answer,
    or when its status is not 200."""
    target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
    host = "localhost" if address.path else address.text
    head = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    try:
        with connect(address) as sock:
            sock.sendall(head.encode("latin-1"))
            reply = _read_all(sock)
    except OSError as error:
        raise AskError(f"no answer from an admin at {address.text}: {error.strerror or error}") from None
    status, body = _split(reply)
    if not status:
        raise AskError(f"what answers at {address.text} is no admin")
    if status != 200:
        first = body.strip().partition("\n")[0]
        raise AskError(f"{first} ({status})" if first and len(first) < 300 else f"status {status} for {target}")
    return body


def connect(address: AdminAddress, patience: float = PATIENCE) -> socket.socket:
    """A connection to an admin. patience: seconds for one step of what is done with it. Raises OSError."""
    if not address.path:
        return socket.create_connection((address.host, address.port), patience)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(patience)
        sock.connect("\0" + address.path[1:] if address.path.startswith("@") else address.path)
    except BaseException:
        sock.close()
        raise
    return sock


def _read_all(sock: socket.socket) -> bytes:
    """Until the end, which `connection: close` promises."""
    pieces: List[bytes] = []
    while True:
        piece = sock.recv(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _split(reply: bytes) -> Tuple[int, str]:
    """Status and body; status 0 for what is no HTTP reply, or not all of one."""
    head, end_of_head, body = reply.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] ([1-9][0-9][0-9])", head)
    length = re.search(rb"\r\ncontent-length: *([0-9]+)", head, re.IGNORECASE)
    whole: Optional[bytes] = body
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        whole = _unchunked(body)
    elif length is not None and int(length[1]) != len(body):
        whole = None
    if not end_of_head or status is None or whole is None:
        return 0, ""
    return int(status[1]), whole.decode("utf-8", "replace")


def _unchunked(body: bytes) -> Optional[bytes]:
    """The content of a chunked body (RFC 9112 section 7.1), None for less than all of it."""
    pieces: List[bytes] = []
    at = 0
    while True:
        size = _CHUNK_SIZE.match(body, at)
        if size is None:
            return None
        count, at = int(size[1], 16), size.end()
        if not count:
            return b"".join(pieces)
        if body[at + count:at + count + 2] != b"\r\n":
            return None
        pieces.append(body[at:at + count])
        at += count + 2


def ask_json(address: AdminAddress, path: str, query: Optional[Mapping[str, str]] = None) -> Any:
    """The answer of an endpoint with `format=json`. Raises AskError, also for what is no JSON."""
    body = ask(address, path, {**(query or {}), "format": "json"})
    try:
        return json.loads(body)
    except ValueError:
        raise AskError(f"what answers at {address.text} is not the admin of proxy_core") from None
