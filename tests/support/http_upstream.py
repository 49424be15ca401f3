"""An HTTP/1.1 server that believes nothing: it writes down what arrives and insists that each request has one meaning only.

It is stricter than any real server and shares no code with the package: a request that it accepts, every server reads alike.
So whatever a client does to the proxy in front, `violations` must stay empty.

A request is answered with what `answers` has for its path, else with its own method, path and body, so that a client can see
whether it got an answer to its own question.
"""

from __future__ import annotations

import re
import socket
import threading
from typing import Dict, List, NamedTuple, Optional, Tuple

from tests.support.live_peers import Upstream

_REQUEST_LINE = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9a-z-]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,8})")
_LENGTH = re.compile(rb"[0-9]{1,40}")


class Violation(Exception):
    """What no request of a good proxy may have."""


class Received(NamedTuple):
    """One request. connection: the number of the connection that it came on, from 0; headers: in their order, as bytes."""

    connection: int
    method: str
    path: str
    headers: List[Tuple[str, str]]
    body: bytes

    def header(self, name: str) -> Optional[str]:
        """The value of a header that must not be there twice."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def line(self) -> str:
        """Method, path and body, to compare with."""
        return " ".join([self.method, self.path, *([self.body.decode("latin-1")] if self.body else [])])


class RecordingUpstream:
    """The server; a context manager."""

    def __init__(self, answers: Optional[Dict[str, bytes]] = None) -> None:
        self.answers = answers or {}
        self.requests: List[Received] = []
        self.violations: List[str] = []
        self._lock = threading.Lock()
        self._peers: List[socket.socket] = []
        self._server = Upstream(self._serve)
        self.port = self._server.port

    def __enter__(self) -> RecordingUpstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def lines(self) -> List[str]:
        """What arrived so far and is forgotten now, see `Received.line`."""
        with self._lock:
            found = [one.line() for one in self.requests]
            self.requests.clear()
        return found

    def say(self, connection: int, data: bytes) -> None:
        """Send something unasked."""
        self._peers[connection].sendall(data)

    def _serve(self, peer: socket.socket) -> None:
        with self._lock:
            number = len(self._peers)
            self._peers.append(peer)
        reader = _Reader(peer)
        try:
            while True:
                received = reader.request(number)
                if received is None:
                    return
                with self._lock:
                    self.requests.append(received)
                peer.sendall(self._answer(received))
        except Violation as violation:
            self.violations.append(f"{violation} in {reader.seen[-2000:]!r}")

    def _answer(self, received: Received) -> bytes:
        scripted = self.answers.get(received.path)
        if scripted is not None:
            return scripted
        body = b"" if received.method == "HEAD" else received.line().encode("latin-1")
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class _Reader:
    """Requests from a socket. seen: all bytes so far."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._unread = b""
        self.seen = b""

    def request(self, number: int) -> Optional[Received]:
        """The next one; None at the end of the stream, also when it ends within one: the proxy has given it up."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        line, *fields = head.split(b"\r\n")
        parts = _REQUEST_LINE.fullmatch(line)
        if parts is None:
            raise Violation(f"request line {line!r}")
        headers = []
        for field in fields:
            pair = _FIELD.fullmatch(field)
            if pair is None:
                raise Violation(f"header {field!r}")
            headers.append((pair[1].decode("latin-1"), pair[2].decode("latin-1")))
        body = self._body(headers)
        if body is None:
            return None
        return Received(number, parts[1].decode(), parts[2].decode(), headers, body)

    def _body(self, headers: List[Tuple[str, str]]) -> Optional[bytes]:
        hosts, lengths, codings = (
            [value for name, value in headers if name == wanted] for wanted in ("host", "content-length", "transfer-encoding")
        )
        if len(hosts) != 1 or len(lengths) + len(codings) > 1:
            raise Violation(f"hosts {hosts}, lengths {lengths}, codings {codings}")
        if codings:
            if codings != ["chunked"]:
                raise Violation(f"coding {codings}")
            return self._chunks()
        if lengths:
            if _LENGTH.fullmatch(lengths[0].encode("latin-1")) is None:
                raise Violation(f"length {lengths}")
            return self._exactly(int(lengths[0]))
        return b""

    def _chunks(self) -> Optional[bytes]:
        body = b""
        while True:
            line = self._until(b"\r\n")
            if line is None:
                return None
            if _CHUNK_SIZE.fullmatch(line) is None:
                raise Violation(f"chunk size {line!r}")
            size = int(line, 16)
            if size == 0:
                return body if self._trailers() else None
            data = self._exactly(size + 2)
            if data is None:
                return None
            if data[size:] != b"\r\n":
                raise Violation(f"end of chunk {data[size:]!r}")
            body += data[:size]

    def _trailers(self) -> bool:
        while True:
            line = self._until(b"\r\n")
            if not line:
                return line is not None
            if _FIELD.fullmatch(line) is None:
                raise Violation(f"trailer {line!r}")

    def _until(self, mark: bytes) -> Optional[bytes]:
        while mark not in self._unread:
            if not self._more():
                return None
        data, _, self._unread = self._unread.partition(mark)
        return data

    def _exactly(self, size: int) -> Optional[bytes]:
        while len(self._unread) < size:
            if not self._more():
                return None
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _more(self) -> bool:
        data = self._peer.recv(65536)
        self._unread += data
        self.seen += data
        return data != b""
