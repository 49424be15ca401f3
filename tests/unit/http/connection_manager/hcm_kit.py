"""A connection manager under test: configured as a user would, with filters of the test's own, on a scripted connection under
simulated time. The terminal filter is in the test's hand (`Upstream`), or answers from the route table."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from proxy_core.buffer import Buffer
from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.model.access_log import AccessLog
from proxy_core.errors import Problem
from proxy_core.event.reactor import Reactor
from proxy_core.extensions.http.router.config import Router
from proxy_core.extensions.network.http_connection_manager.config import HttpConnectionManager
from proxy_core.extensions.network.http_connection_manager.prepare import prepare
from proxy_core.http.connection_manager.chain import Entry, FilterChain
from proxy_core.http.connection_manager.connection import HttpConnection
from proxy_core.http.connection_manager.direct import answer_directly, answer_no_route
from proxy_core.http.connection_manager.settings import ManagerSettings
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.filter_api import STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter
from proxy_core.http.headers import Headers
from proxy_core.http.registry import HttpExtension, HttpFilterRegistry
from proxy_core.http.services import HttpServices
from proxy_core.listener.drain import DrainManager
from proxy_core.observe.access_log.filters import Sources
from proxy_core.observe.access_log.format import FormatCompiler
from proxy_core.observe.access_log.values import LogContext
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.server.extensions import Extensions
from tests.support.rig import Rig

HELLO = {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
    {"match": {"prefix": "/hi"}, "direct_response": {"status": 200, "body": {"inline_string": "hi"}}},
    {"match": {"prefix": "/old"}, "redirect": {"path_redirect": "/new"}},
    {"match": {"prefix": "/up"}, "route": {"cluster": "c"}},
]}]}
ROUTER = {
    "name": "router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
DATE = "Thu, 01 Jan 1970 00:00:00 GMT"
HOST = b"Host: a\r\n\r\n"


def get(path: str = "/hi", *lines: str) -> bytes:
    """A GET request."""
    return request("GET", path, *lines)


def request(method: str, path: str, *lines: str) -> bytes:
    """A request without a body, or the head of one with."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1")


class Upstream(HttpFilter):
    """The terminal filter: records the request; the test answers with `answer`, or it answers itself from the route."""

    def __init__(self, log: List[Tuple[Any, ...]], streams: List[Upstream], direct: bool) -> None:
        self.log = log
        self.direct = direct
        self.body = b""
        self.ended = self.destroyed = False
        self.pressure: List[str] = []
        streams.append(self)

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        self.log.append(("headers", head.method, head.path, end_stream))
        self.ended = end_stream
        route = self.decoder.route
        if self.direct and route is None:
            answer_no_route(self.decoder)
        elif self.direct and route is not None:
            answer_directly(self.decoder, route)
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self.log.append(("data", bytes(data), end_stream))
        self.body += data.take()
        self.ended = end_stream
        return STOP_NO_BUFFER

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        self.log.append(("trailers", list(trailers.items())))
        self.ended = True
        return STOP_ITERATION

    def on_destroy(self) -> None:
        self.destroyed = True

    def on_above_write_buffer_high_watermark(self) -> None:
        """Of the client."""
        self.pressure.append("high")

    def on_below_write_buffer_low_watermark(self) -> None:
        """Of the client."""
        self.pressure.append("low")

    def answer(self, status: int = 200, body: bytes = b"", end: bool = True, **headers: str) -> None:
        """Send a response, or its beginning."""
        lines = Headers((name.replace("_", "-"), value) for name, value in headers.items())
        self.decoder.encode_headers(ResponseHead(status, headers=lines), end and not body, "via_upstream")
        if body:
            self.decoder.encode_data(Buffer(body), end)


class LogLines:
    """An access logger that keeps what it is told, in a fixed format."""

    FORMAT = (
        "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
        "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %ACCESS_LOG_TYPE%"
    )

    def __init__(self, now: Callable[[], float], format: str = FORMAT) -> None:
        self.lines: List[str] = []
        self._formatter = FormatCompiler().text(format)
        self._now = now

    def log(self, info: StreamInfo, log_type: str) -> None:
        self.lines.append(self._formatter.format(info, LogContext(log_type, 0.0, self._now())))


class Logs:
    """`FactoryContext.access_logs`: whatever is configured, one `LogLines` is built."""

    def __init__(self, reactor: Reactor) -> None:
        self.sources = Sources(random.Random(1).random)
        self.logger = LogLines(lambda: reactor.now)

    def build(self, configs: Sequence[AccessLog], path: str, problems: List[Problem], http: bool = False) -> List[LogLines]:
        return [self.logger]


class StaticTables:
    """`HttpServices.route_configs` without discovery."""

    def static(self, config: Any, table: Any) -> Any:
        return SimpleNamespace(table=table)


def decoded(config: Dict[str, Any]) -> Tuple[HttpConnectionManager, List[str]]:
    """The message with this JSON, and what is wrong with it."""
    context = Context(Extensions().types())
    whole = {"stat_prefix": "web", "http_filters": [ROUTER], "route_config": HELLO, **config}
    message = decode_message(HttpConnectionManager, whole, "", context)
    return message, [str(problem) for problem in context.problems]


class Hcm:
    """filters: (name, class or factory) in front of the terminal filter. direct: the route table's answers are sent.

    clients: one per call of `connect`. streams: the terminal filters of all requests, in order; seen: what they were given.
    """

    def __init__(
        self, config: Optional[Dict[str, Any]] = None, filters: Sequence[Tuple[str, Callable[[], HttpFilter]]] = (),
        direct: bool = True, kind: str = "scripted", **settings: Any,
    ) -> None:
        self.rig = Rig(kind, filters=[], established=False, half_close=False, **settings)
        self.reactor = self.rig.reactor
        message, problems = decoded(config or {})
        assert problems == []
        self.stats = StatsStore(self.rig.clock)
        self.logs = Logs(self.reactor)
        self.drain = DrainManager(10.0, False, random.Random(1))
        self.settings: ManagerSettings = prepare(message, self._context())
        self.seen: List[Tuple[Any, ...]] = []
        self.streams: List[Upstream] = []
        entries = [Entry(name, factory, False, False) for name, factory in filters]
        entries.append(Entry("router", lambda: Upstream(self.seen, self.streams, direct), False, True))
        self.settings.chain = FilterChain(entries)
        self.connection = self.rig.connection
        self.connection.info.downstream_remote_address = "10.1.2.3:5555"
        self.connection.info.downstream_direct_remote_address = "10.1.2.3:5555"
        self.connection.info.downstream_local_address = "192.0.2.1:80"
        self.http = HttpConnection(self.settings, self.connection)
        self.connection.read_chain.add(self.http, "hcm")
        self.rig.establish()
        self.rig.turn()

    def _context(self) -> Any:
        stub = HttpFilterRegistry([HttpExtension(Router, lambda config, context: HttpFilter, terminal=True)])
        clusters: Any = SimpleNamespace(get=lambda name: SimpleNamespace(name=name))
        return SimpleNamespace(
            reactor=self.reactor, stats=self.stats, clusters=clusters, pool=None, access_logs=self.logs,
            runtime=SimpleNamespace(get=lambda key: None), drain=self.drain, random=random.Random(1), singletons=None,
            http=HttpServices(stub, lambda: 0.0, None, StaticTables(), "svc", "node-1"),
            listener_scope=self.stats.scope("listener.l"), path="hcm",
        )

    def send(self, *pieces: bytes) -> bytes:
        """Each piece arrives in a turn of its own; what came back since the last call."""
        for piece in pieces:
            self.rig.peer.send(piece)
            self.rig.turn(2)
        return self.got()

    def advance(self, seconds: float) -> None:
        """Let time pass at once; a timer that is set in the turn that notices it fires in the next."""
        self.rig.advance(seconds)
        self.rig.turn(2)

    def got(self) -> bytes:
        """What came back since the last call, with a fixed request id."""
        self.rig.turn(2)
        data = bytes(self.rig.peer.got)
        del self.rig.peer.got[:]
        return re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", b"<uuid>", data)

    def stat(self, name: str) -> int:
        """A counter or gauge of "http.web."."""
        found = self.stats.find(f"http.web.{name}")
        assert found is not None, name
        return int(found.value)  # type: ignore[union-attr]  # histograms and texts are not asked for

    @property
    def last(self) -> Upstream:
        """The terminal filter of the newest request."""
        return self.streams[-1]

    @property
    def lines(self) -> List[str]:
        """The access log so far."""
        return self.logs.logger.lines


def reply(status: str, *lines: str, body: str = "") -> bytes:
    """A response of the manager's own."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", body]).encode("latin-1")


def local(status: str, text: str, *more: str) -> bytes:
    """A local reply with a body: Envoy's headers in Envoy's order."""
    return reply(
        status, f"content-length: {len(text)}", "content-type: text/plain", f"date: {DATE}", "server: envoy", *more, body=text
    )


def empty(status: str, *more: str) -> bytes:
    """A local reply without one."""
    return reply(status, f"date: {DATE}", "server: envoy", *more, "content-length: 0")
