"""HTTP for the tests with running engines: bootstraps with a connection manager, and a client that shows every byte.

`Client` sends bytes as they are given, so that it can be as wrong as a test wants, and reads answers one by one.
"""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tests.support.live import Engine, address, bootstrap, static_cluster

_TYPES = "type.googleapis.com/envoy.extensions."
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_TYPES}filters.http.router.v3.Router"}}
_FILE_LOG = f"{_TYPES}access_loggers.file.v3.FileAccessLog"
_UPSTREAM_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def route(cluster: str, prefix: str = "/", **action: Any) -> Dict[str, Any]:
    """A route by prefix to a cluster; `action` are fields of its RouteAction."""
    return {"match": {"prefix": prefix}, "route": {"cluster": cluster, **action}}


def http_listener(name: str, routes: Sequence[Dict[str, Any]], **fields: Any) -> Dict[str, Any]:
    """A listener on port 0 with a connection manager; `fields` are the manager's."""
    manager = {
        "@type": f"{_TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "route_config": {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes)}]},
        "http_filters": [_ROUTER],
        **fields,
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": address(0), "filter_chains": [{"filters": filters}]}


def http_bootstrap(upstream_port: int, **fields: Any) -> Dict[str, Any]:
    """Listener `main` -> every path -> cluster `backend`, one host at `upstream_port`; `fields` are the manager's."""
    return bootstrap([http_listener("main", [route("backend")], **fields)], [static_cluster("backend", upstream_port)])


def text_log(file: Path, line: str) -> Dict[str, Any]:
    """An access log with one text line a request."""
    source = {"text_format_source": {"inline_string": f"{line}\n"}}
    return {"name": "file", "typed_config": {"@type": _FILE_LOG, "path": str(file), "log_format": source}}


def json_log(file: Path, **members: str) -> Dict[str, Any]:
    """An access log with one JSON object a request."""
    return {"name": "file", "typed_config": {"@type": _FILE_LOG, "path": str(file), "log_format": {"json_format": members}}}


def upstream_http1(**options: Any) -> Dict[str, Any]:
    """The cluster field that says how HTTP/1 is spoken with the upstream."""
    config = {"http_protocol_options": options}
    message = {"@type": f"{_TYPES}upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": config}
    return {_UPSTREAM_OPTIONS: message}


def request(path: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request in good order, with a host and a content-length if it has a body."""
    head = [f"{method} {path} HTTP/1.1", "Host: t", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


@dataclasses.dataclass
class Answer:
    """One response. headers: names in lower case; of repeated ones the last."""

    status: int
    headers: Dict[str, str]
    body: bytes
    lines: List[bytes]


class Ended(Exception):
    """The connection ended where an answer was expected; the argument is what came before."""


class Client:
    """A connection to a listener; a context manager."""

    def __init__(self, port: int, *, source: Optional[str] = None) -> None:
        """source: the loopback address to come from."""
        place = None if source is None else (source, 0)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=place)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """False when the other side has ended the connection."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def ask(self, data: bytes, head_only: bool = False) -> Answer:
        """Send, and the next answer."""
        self.send(data)
        return self.answer(head_only)

    def answer(self, head_only: bool = False) -> Answer:
        """The next answer, 1xx as well. head_only: it is to a HEAD. Raises Ended if the connection ends before it does."""
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head[:-4].split(b"\r\n")
        pairs = [line.decode("latin-1").partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(status_line.split(b" ")[1])
        if head_only or status < 200 or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self.rest()
        return Answer(status, headers, body, lines)

    def rest(self) -> bytes:
        """Everything up to the end of the connection. A reset counts as an end: what came before it came."""
        while self._more():
            pass
        data, self._unread = self._unread, b""
        return data

    def ends(self) -> bool:
        """True when the connection ends without another byte."""
        return self.rest() == b""

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._unread += data
        return data != b""

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            if not self._more():
                raise Ended(self._unread)
        data, _, self._unread = self._unread.partition(mark)
        return data + mark

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            if not self._more():
                raise Ended(self._unread)
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._until(b"\r\n"), 16)
            if size == 0:
                while self._until(b"\r\n") != b"\r\n":
                    pass
                return body
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"


def fetch(proxy: Engine, path: str, *lines: str, listener: str = "main") -> Answer:
    """One GET on a connection of its own."""
    with Client(proxy.port(listener)) as client:
        return client.ask(request(path, *lines))
