"""`HttpHarness`: HTTP filters in memory, driven by a test.

    request -> codec -> the filters -> upstream          the test holds the client and the upstream
    response <- codec <- the filters <- upstream

Codec, connection manager, routes, buffers and timers are the real ones; the socket is scripted and the time is simulated. It
passes by `advance` only, and everything that a test does is followed by turns of the loop until nothing moves any more.

    with HttpHarness([Redact]) as harness:
        response = harness.request("POST", "/notes", body=b"the secret word")
        assert harness.upstream.body == b"the ****** word" and response.status == 200

An exception that leaves a filter is raised where the test caused it.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from ...listener.filter_chain import Assembly
from ...observe.stream_info import StreamInfo
from ..harness import ChainHarness
from .client import Client, Pairs, Response, as_headers
from .manager import STAT_PREFIX, FilterSpec, Json, TestManager
from .upstream import Answer, Upstream
from .watched import HookCall, HttpWitness

HOST = "test.example"


class _Assembly(Assembly):
    """Remembers the filter that is put into the chain: the connection manager."""

    __slots__ = ("filter",)

    def add_read_filter(self, read_filter: Any, name: str) -> None:
        self.filter = read_filter
        super().add_read_filter(read_filter, name)


class HttpHarness:
    """One connection with its requests.

    filters: in the order of a configuration; each an object as in `http_filters`, or what makes a filter for each request (its
    class, if that takes no arguments). routes: of the one virtual host; by default everything leads to the cluster "upstream".
    manager: other fields of HttpConnectionManager. runtime: values by key. clusters: what filters get that ask for a cluster by
    name. answer: what the upstream answers by itself; None to do it by hand.
    settings: of `ChainHarness`, such as buffer_limit in bytes, or remote, the client's address.
    """

    def __init__(
        self, filters: Sequence[FilterSpec], *, routes: Optional[Sequence[Json]] = None, manager: Optional[Json] = None,
        runtime: Optional[Mapping[str, Any]] = None, clusters: Optional[Mapping[str, Any]] = None,
        answer: Optional[Answer] = Answer(), **settings: Any,
    ) -> None:
        self.wire = ChainHarness([], terminal=True, start=False, **settings)
        self._witness = HttpWitness(lambda: self.wire.now)
        self._manager = TestManager(
            filters, routes, manager or {}, runtime or {}, clusters or {}, answer, self._witness, self.wire.reactor
        )
        self._client = Client()
        self._seen = 0
        connection = self.wire.connection
        connection.info.downstream_remote_address = str(connection.remote_address)
        connection.info.downstream_direct_remote_address = str(connection.remote_address)
        connection.info.downstream_local_address = str(connection.local_address)
        assembly = _Assembly(connection)
        self._manager.factory(assembly)
        self._http = assembly.filter
        self.wire.start()

    # -- what the client does --------------------------------------------------------------------------------------

    def request(
        self, method: str = "GET", path: str = "/", headers: Pairs = (), body: bytes = b"", trailers: Pairs = (),
        host: str = HOST,
    ) -> Response:
        """Send a whole request in one segment. Raises AssertionError unless something of a response comes at once; where that
        has to wait, use `open`."""
        answered = len(self._client.responses)
        has_trailers = len(as_headers(trailers)) > 0
        data = self._client.begin(method, path, host, headers, None if has_trailers else len(body))
        if body:
            data += self._client.data(body)
        if body or has_trailers:
            data += self._client.end(trailers)
        self._feed(data)
        if len(self._client.responses) == answered:
            raise AssertionError(f"no response yet: {self.describe()}")
        return self._client.responses[-1]

    def open(
        self, method: str = "GET", path: str = "/", headers: Pairs = (), length: Optional[int] = 0, host: str = HOST
    ) -> None:
        """Send the head of a request. length: of the body that will come, None for one in chunks."""
        self._feed(self._client.begin(method, path, host, headers, length))

    def data(self, data: bytes) -> None:
        """Send some of its body, in one segment."""
        self._feed(self._client.data(data))

    def end(self, trailers: Pairs = ()) -> None:
        """Send the end of a body in chunks, or say that the length is reached."""
        self._feed(self._client.end(trailers))

    def hang_up(self) -> None:
        """The client resets the connection."""
        self.wire.reset()

    def _feed(self, data: bytes) -> None:
        self.wire.feed(data)
        self._look()

    # -- time ------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let simulated time pass. It stops at every timer that is due on the way."""
        self.wire.advance(seconds)
        self._look()

    def act(self, what: Any, *arguments: Any) -> None:
        """Call something as the loop would, and let what follows happen: `harness.act(harness.upstream.send, b"more")`."""
        self.wire.act(lambda: what(*arguments))
        self._look()

    def _look(self) -> None:
        sent = self.wire.sent
        if len(sent) > self._seen:
            fresh, self._seen = sent[self._seen:], len(sent)
            self._client.receive(fresh)

    # -- what came of it -------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated seconds since the harness was made."""
        return self.wire.now

    @property
    def upstream(self) -> Upstream:
        """The newest request as it came past the filters. Raises AssertionError if there was none."""
        if not self._manager.upstreams:
            raise AssertionError(f"no request has begun: {self.describe()}")
        return self._manager.upstreams[-1]

    @property
    def reached_upstream(self) -> bool:
        """Whether the head of the newest request came past the filters."""
        return bool(self._manager.upstreams) and self._manager.upstreams[-1].head is not None

    @property
    def response(self) -> Optional[Response]:
        """What the client has seen of the newest response; None before its head."""
        return self._client.responses[-1] if self._client.responses else None

    @property
    def interim(self) -> List[int]:
        """The statuses of 1xx responses."""
        return self._client.interim

    @property
    def finished(self) -> List[StreamInfo]:
        """What is known of every request that is over: flags, details, metadata."""
        return self._manager.finished

    @property
    def details(self) -> str:
        """The response code details of the last request that is over."""
        return self.finished[-1].response_code_details if self.finished else ""

    @property
    def calls(self) -> List[HookCall]:
        """Every call of a filter's own hook with its answer, in order."""
        return self._witness.calls

    def statuses(self, hook: str, filter_name: str = "") -> List[Any]:
        """What filters answered to calls of a hook, in order."""
        return [call.status for call in self.calls if call.hook == hook and filter_name in ("", call.filter)]

    def stat(self, name: str) -> int:
        """A counter or gauge by its full name; below "http.test." without that. Raises KeyError if there is none."""
        for full in (name, f"http.{STAT_PREFIX}.{name}"):
            found: Any = self._manager.stats.find(full)
            if found is not None:
                return int(found.value)
        raise KeyError(name)

    @property
    def waits(self) -> List[str]:
        """What filters of the present request say they wait for: the reasons of `hold` and `schedule`."""
        return [] if self._http.stream is None else list(self._http.stream.describe())

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return self.wire.closed

    @property
    def errors(self) -> List[Exception]:
        """What left a filter."""
        return self.wire.errors

    def set_health_failed(self, failed: bool) -> None:
        """As the admin's `/healthcheck/fail` and `/ok`."""
        self._manager.health_failed = failed

    def describe(self) -> str:
        """What it waits for, in one line."""
        waits = ", ".join(self.waits)
        return f"{self.wire.describe()}{'; filters wait for ' + waits if waits else ''}"

    def check(self) -> None:
        """Raise AssertionError for answers that a hook must not give, and for ends that were told twice."""
        problems = list(self._witness.misuses)
        problems += ["the end of a request was told twice" for one in self._manager.upstreams if one.ends > 1]
        if problems:
            raise AssertionError("\n".join(problems))
        self.wire.check()

    def __enter__(self) -> HttpHarness:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            self.check()
