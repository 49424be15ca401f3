"""Random weather for the whole HTTP stack: clients and hosts on scripted sockets that do what a seed says, in any order.

Connection manager, filters, router and pools are real, time is simulated. Every request has a name of its own, which stands in
its path and all over its body; a host answers with a body made of the name that it was asked for. So bytes that end up in the
wrong message are seen by whoever gets them. Parsers here share no code with the package.
"""

from __future__ import annotations

import errno
import random
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from proxy_core.buffer import Buffer
from proxy_core.http.connection_manager.chain import Entry, FilterChain
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.filter_api import (
    CONTINUE, STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK, STOP_ITERATION, FilterStatus,
    HttpFilter,
)
from proxy_core.network.address import Address
from proxy_core.testing.scripted import ScriptedPeer, ScriptedSelector, ScriptedSocket
from tests.support.engine import Engine

POISON = b"poison"  # what no client may ever see
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
ALICE = Address.from_ip("10.0.0.1", 1000)
FRONT = Address.from_ip("127.0.0.1", 80)


class Wire(ScriptedSocket):
    """A socket that can connect: `outcome` is 0, an errno, or EINPROGRESS, which `settle` ends."""

    def __init__(self, outcome: int = 0) -> None:
        super().__init__()
        self.outcome = outcome

    def connect_ex(self, address: Any) -> int:
        return self.outcome

    def settle(self, number: int) -> None:
        """What `connect_ex` left open is decided."""
        self.outcome = self.connect_error = number

    @property
    def ready(self) -> int:
        return 0 if self.outcome == errno.EINPROGRESS else super().ready

    @property
    def closed(self) -> bool:
        """Whether the proxy has closed it."""
        return self.fileno() < 0

    @property
    def over(self) -> bool:
        """Whether nothing more can come out of it."""
        return self.closed or self.fin_sent


class Message(NamedTuple):
    """One parsed message. complete: its end was seen, or it lasts as long as the connection."""

    start: bytes
    headers: Dict[bytes, bytes]
    body: bytes
    complete: bool


def parse(data: bytes, bodiless: Callable[[bytes, int], bool], until_close: bool) -> Tuple[List[Message], bytes]:
    """All messages in `data`, and what is left. bodiless: by start line and number. until_close: what no length is said of, has
    a body to the end. Raises AssertionError for anything that is no HTTP."""
    found: List[Message] = []
    at = 0
    while True:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return found, data[at:]
        start, *lines = data[at:end].split(b"\r\n")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(b": ")
            assert colon and name == name.lower() and name not in headers, line
            headers[name] = value
        at = end + 4
        interim = start.startswith(b"HTTP/1.1 10")
        if interim or bodiless(start, sum(not one.start.startswith(b"HTTP/1.1 10") for one in found)):
            found.append(Message(start, headers, b"", True))
            continue
        body, at, complete = _body(data, at, headers, until_close)
        found.append(Message(start, headers, body, complete))
        if not complete:
            return found, b""


def _body(data: bytes, at: int, headers: Dict[bytes, bytes], until_close: bool) -> Tuple[bytes, int, bool]:
    length = headers.get(b"content-length")
    assert length is None or b"transfer-encoding" not in headers
    if length is not None:
        body = data[at:at + int(length)]
        return body, at + int(length), len(body) == int(length)
    if b"transfer-encoding" not in headers:
        return (data[at:], len(data), True) if until_close else (b"", at, True)
    assert headers[b"transfer-encoding"] == b"chunked"
    body = b""
    while True:
        size = _CHUNK.match(data, at)
        if size is None:
            assert len(data) - at < 20, data[at:at + 20]
            return body, len(data), False
        length_of_chunk = int(size.group(1), 16)
        at = size.end()
        body += data[at:at + length_of_chunk]
        if len(data) < at + length_of_chunk + 2:
            return body, len(data), False
        assert data[at + length_of_chunk:at + length_of_chunk + 2] == b"\r\n"
        at += length_of_chunk + 2
        if not length_of_chunk:
            return body, at, True


class Asked(NamedTuple):
    """A request that a client sends."""

    name: str
    method: str
    body: bytes


class Moody(HttpFilter):
    """A filter that does whatever it may, and keeps to the rules: what it stops it continues, answers or ends."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._keeps = False
        storm.filters += 1

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Continue, stop for a while, answer or give up."""
        return self._do(self.decoder.continue_decoding)

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Continue, or keep what comes until the end."""
        return self._body(end_stream)

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """As `decode_headers`."""
        return self._do(self.encoder.continue_encoding)

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """As `decode_data`."""
        return self._body(end_stream)

    def on_destroy(self) -> None:
        """Once."""
        self._storm.filters -= 1

    def _do(self, go_on: Callable[[], None]) -> FilterStatus:
        rng, roll = self._storm.rng, self._storm.rng.random()
        if roll < 0.6:
            return CONTINUE
        if roll < 0.65:
            self._answer()
            return STOP_ITERATION
        if roll < 0.68:
            self.decoder.reset_stream("moody")
            return STOP_ITERATION
        then = rng.choice((go_on, go_on, go_on, self._answer))
        self.decoder.schedule(rng.choice((0.0, 0.1, 1.0)), then, "in a mood")
        return rng.choice((STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK))

    def _body(self, end_stream: bool) -> FilterStatus:
        rng = self._storm.rng
        if rng.random() < 0.02:
            self._answer()
            return STOP_ITERATION
        self._keeps = not end_stream and (self._keeps or rng.random() < 0.1)
        if not self._keeps:
            return CONTINUE
        return rng.choice((STOP_AND_BUFFER, STOP_AND_WATERMARK)) if rng.random() < 0.8 else self._stop_keeping()

    def _stop_keeping(self) -> FilterStatus:
        self._keeps = False
        return CONTINUE

    def _answer(self) -> None:
        self.decoder.send_local_reply(self._storm.rng.choice((200, 403, 400)), b"in a mood", "moody")


class Client:
    """One connection of a client. `outbox`: pieces that are not sent yet."""

    def __init__(self, storm: Storm) -> None:
        self.near = Wire()
        self.peer = ScriptedPeer(self.near)
        self.asked: List[Asked] = []
        self.outbox: List[bytes] = []
        self.gone = False  # it has sent FIN or RST
        self._storm = storm
        storm.selector.add(self.near)
        storm.engine.listener().on_accepted(self.near, ALICE, FRONT)  # type: ignore[arg-type]  # a socket of a kind
        storm.put_moody_in_front()

    def ask(self) -> None:
        """Make up another request."""
        rng, storm = self._storm.rng, self._storm
        name = storm.new_name()
        kind = rng.choice(("get", "get", "get", "head", "post", "post", "chunked", "chunked", "expect", "upgrade", "bad"))
        method = {"get": "GET", "head": "HEAD", "upgrade": "GET", "bad": "GET"}.get(kind, "POST")
        lines = [f"{method} /{name} HTTP/1.1", "Host: a"]
        body = b""
        if method == "POST":
            body = f"{name}.".encode() * rng.choice((1, 3, 40, 400))
            if kind == "chunked":
                lines.append("Transfer-Encoding: chunked")
            else:
                lines.append(f"Content-Length: {len(body)}")
            if kind == "expect":
                lines.append("Expect: 100-continue")
        elif kind == "upgrade":
            lines += ["Connection: upgrade", "Upgrade: websocket"]
        elif kind == "bad":
            lines.append(rng.choice(("Content-Length : 3", "X\0: y", "Transfer-Encoding: chunked, gzip", "Content-Length: -1")))
        raw = "\r\n".join([*lines, "", ""]).encode() + (_chunked(body, rng) if kind == "chunked" else body)
        if kind == "upgrade":
            raw += b"raw bytes of a tunnel"
        self.asked.append(Asked(name, method, body))
        self.outbox += _cut(raw, rng)

    def answers(self) -> Sequence[Message]:
        """The final responses so far, checked. Raises AssertionError."""
        data = bytes(self.near.sent)
        assert POISON not in data
        found, rest = parse(data, self._is_bodiless, True)
        final = [one for one in found if not one.start.startswith(b"HTTP/1.1 10") or one.start.startswith(b"HTTP/1.1 101")]
        assert len(final) <= len(self.asked), (final, self.asked)
        for asked, answer in zip(self.asked, final):
            name = answer.headers.get(b"x-name")
            if name is not None:  # from a host
                assert name == asked.name.encode(), (asked, answer)
                if not answer.start.startswith(b"HTTP/1.1 101"):
                    assert ((name + b".") * len(answer.body)).startswith(answer.body), (asked, answer)
        return final

    def _is_bodiless(self, start: bytes, number: int) -> bool:
        status = int(start.split(b" ")[1])
        return status in (204, 304) or self.asked[number].method == "HEAD"


class Host:
    """One connection to a host. `outbox`: pieces of answers that are not sent yet; FIN and RST are among them."""

    def __init__(self, storm: Storm, outcome: int) -> None:
        self.near = Wire(outcome)
        self.peer = ScriptedPeer(self.near)
        self.outbox: List[Any] = []
        self.decided = 0  # how many requests have their answer made up
        self.owes = False  # it has a request that it will never answer
        self.gone = False
        self._storm = storm
        storm.selector.add(self.near)

    def requests(self) -> List[Message]:
        """Those that have come so far, checked. Raises AssertionError."""
        data = bytes(self.near.sent)
        cut = data.find(b"upgrade: websocket")
        if cut >= 0:  # what follows its head are raw bytes
            data = data[:data.find(b"\r\n\r\n", cut) + 4]
        found, rest = parse(data, lambda start, number: False, False)
        for one in found:
            method, path, version = one.start.split(b" ")
            asked = self._storm.named[path[1:].decode()]
            assert (asked.method.encode(), version) == (method, b"HTTP/1.1")
            assert asked.body == one.body if one.complete else asked.body.startswith(one.body), (asked, one)
        return found

    def answer(self) -> None:
        """Make up an answer for the oldest request that has none, or do something nobody asked for."""
        rng = self._storm.rng
        requests = self.requests()
        if self.decided >= len(requests):
            if rng.random() < 0.1 and not self.owes and b"websocket" not in self.near.sent:
                self.outbox.append(POISON)  # no answer: had a request been sent meanwhile, nobody could tell that it is for none
            return
        request = requests[self.decided]
        if not request.complete and rng.random() < 0.7:
            return
        self.decided += 1
        name = request.start.split(b" ")[1][1:]
        if b"upgrade" in request.headers:
            self.outbox += _cut(rng.choice((
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-name: %b\r\n\r\nraw" % name,
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nx-name: %b\r\n\r\n" % name,
            )), rng)
            return
        self.outbox = make_answer(name, request.start.startswith(b"HEAD"), rng)
        self.owes = not self.outbox



def make_answer(name: bytes, head: bool, rng: random.Random) -> List[Any]:
    """An answer in pieces; None is a FIN, False an RST."""
    body = (name + b".") * rng.choice((1, 2, 50, 800))
    mark = b"x-name: %b\r\n" % name
    kind = rng.choice(
        ("length", "length", "length", "chunked", "until close", "empty", "no content", "not modified", "error", "early end",
         "reset", "garbage", "behind", "never", "interim", "forbidden")
    )
    if kind == "chunked":
        raw = b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n%b" % (mark, b"" if head else _chunked(body, rng))
        return _cut(raw, rng)
    length = b"content-length: %d\r\n\r\n" % len(body)
    plain = b"HTTP/1.1 200 OK\r\n%b%b%b" % (mark, length, b"" if head else body)
    if kind == "until close":
        return [*_cut(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (mark, b"" if head else body), rng), None]
    if kind == "empty":
        return _cut(b"HTTP/1.1 200 OK\r\n%bcontent-length: 0\r\n\r\n" % mark, rng)
    if kind == "no content":
        return _cut(b"HTTP/1.1 204 No\r\n%b\r\n%b" % (mark, POISON if rng.random() < 0.5 else b""), rng)
    if kind == "not modified":
        return _cut(b"HTTP/1.1 304 No\r\n%b%b%b" % (mark, length, POISON if rng.random() < 0.5 else b""), rng)
    if kind == "error":
        return _cut(b"HTTP/1.1 503 No\r\n%bcontent-length: 0\r\n\r\n" % mark, rng)
    if kind == "early end":
        return [*_cut(plain[:rng.randrange(len(plain))], rng), None]
    if kind == "reset":
        return [*_cut(plain[:rng.randrange(len(plain))], rng), False]
    if kind == "garbage":
        return [POISON]
    if kind == "behind":
        return _cut(plain + POISON, rng)
    if kind == "never":
        return []
    if kind == "interim":
        return _cut(b"HTTP/1.1 100 Continue\r\n\r\n" * rng.randrange(1, 4) + plain, rng)
    if kind == "forbidden":
        return _cut(b"HTTP/1.1 200 OK\r\nx: a\0%b\r\n%b%b%b" % (POISON, mark, length, body), rng)
    return _cut(plain, rng)


class Storm:
    """One engine for one seed. config: a bootstrap with a connection manager "web" in listener "main", and cluster "c". moody:
    with a `Moody` filter."""

    def __init__(self, config: Any, seed: int, moody: bool = False) -> None:
        self.moody = moody
        self.filters = 0  # that are not destroyed
        self.selector = ScriptedSelector()
        self.engine = Engine(config, selector=self.selector)
        self.engine.start()
        self.rng = random.Random(seed)
        self.clients: List[Client] = []
        self.hosts: List[Host] = []
        self.named: Dict[str, Asked] = {}
        self._names = 0

    # -- called by the engine --------------------------------------------------------------------------------------

    def new_socket(self, *_: Any) -> Wire:
        """For a connection to a host, in place of `socket_options.new_socket`."""
        if self.rng.random() < 0.03:
            raise OSError(errno.EMFILE, "no more")
        return self.add_host(self.rng.choice((0, 0, 0, 0, errno.EINPROGRESS, errno.ECONNREFUSED))).near

    def add_host(self, outcome: int) -> Host:
        """One more connection, which comes up at once (0), is refused, or waits to be settled."""
        host = Host(self, outcome)
        self.hosts.append(host)
        return host

    def put_moody_in_front(self) -> None:
        """The chain belongs to the connection manager, which is found at its first connection."""
        if self.moody:
            self.moody = False
            manager: Any = self.engine.live[-1].read_chain.slots[0].filter
            settings = manager.manager
            settings.chain = FilterChain([Entry("moody", lambda: Moody(self), False, False), *settings.chain.entries])

    # -- one seed --------------------------------------------------------------------------------------------------

    def run(self, steps: int = 60) -> None:
        """Raises AssertionError."""
        for _ in range(steps):
            self._step()
        self._calm_down()
        self._probe()
        self._leave()
        self.engine.close()

    def new_name(self) -> str:
        """Of a request."""
        self._names += 1
        return f"r{self._names}q"

    def turn(self, count: int = 1) -> None:
        """Let the engine move, and look at what came out."""
        for _ in range(count):
            self.engine.reactor.turn(0)
        assert self.engine.errors == []
        for client in self.clients:
            for one in client.asked:
                self.named[one.name] = one

    def _step(self) -> None:
        rng = self.rng
        roll = rng.random()
        if not self.clients or roll < 0.06:
            self.clients.append(Client(self))
        elif roll < 0.5:
            self._move(rng.choice(self.clients))
        elif roll < 0.85 and self.hosts:
            self._answer(rng.choice(self.hosts))
        elif roll < 0.9:
            self.engine.clock.advance(rng.choice((0.01, 0.3, 2.0, 6.0)))
        elif roll < 0.91:
            hosts = self.engine.clusters.get("c")
            assert hosts is not None
            hosts.drain(hosts.hosts)
        self.named.update((one.name, one) for client in self.clients for one in client.asked)
        for _ in range(rng.choice((0, 1, 1, 2))):
            self.turn()

    def _move(self, client: Client) -> None:
        rng, roll = self.rng, self.rng.random()
        if client.gone:
            return
        if roll < 0.04:
            client.gone = True
            (client.peer.finish if rng.random() < 0.5 else client.peer.reset)()
        elif roll < 0.12:
            client.near.room = rng.choice((0, 0, 100, None, None))
        elif client.outbox and roll < 0.85:
            for _ in range(rng.choice((1, 1, 2, 5, 30))):
                if client.outbox:
                    client.peer.send(client.outbox.pop(0))
        else:
            client.ask()

    def _answer(self, host: Host) -> None:
        rng, roll = self.rng, self.rng.random()
        if host.near.outcome == errno.EINPROGRESS:
            if roll < 0.5:
                host.near.settle(rng.choice((0, 0, 0, errno.ECONNREFUSED)))
        elif host.gone:
            return
        elif roll < 0.08:
            host.near.room = rng.choice((0, 0, 100, None, None))
        elif host.outbox:
            for _ in range(rng.choice((1, 1, 2, 5, 30))):
                if host.outbox and not host.gone:
                    self._say(host, host.outbox.pop(0))
        else:
            host.answer()

    def _say(self, host: Host, piece: Any) -> None:
        if isinstance(piece, bytes):
            host.peer.send(piece)
            return
        host.gone = True
        (host.peer.finish if piece is None else host.peer.reset)()

    # -- the end of a seed -----------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Everybody takes what comes, says the rest of what was begun, and time passes until every timeout is over."""
        for client in self.clients:
            client.near.room = None
            if not client.gone:
                for piece in client.outbox:
                    client.peer.send(piece)
            client.outbox = []
        for _ in range(3):
            for host in list(self.hosts):
                host.near.room = None
                if host.near.outcome == errno.EINPROGRESS:
                    host.near.settle(0)
            self.turn(4)
        quiet = 0
        while quiet < 8:
            self.engine.clock.advance(3.0)
            self.turn(3)
            quiet = 0 if self.gauge("http.web.downstream_rq_active") else quiet + 1
            assert self.engine.clock() < 3000.0, "requests that never end"
        assert self.gauge("http.web.downstream_rq_active") == 0, [repr(one.asked) for one in self.clients]
        for client in self.clients:
            done = [one for one in client.answers() if one.complete]
            assert client.near.over or client.gone or len(done) == len(client.asked), (client.asked, bytes(client.near.sent))
        for host in self.hosts:
            host.requests()

    def _probe(self) -> None:
        """Connections that are still there serve more requests."""
        for client in self.clients:
            for method in ("HEAD", "GET"):
                if client.gone or client.near.over:
                    break
                name = self.new_name()
                asked = self.named[name] = Asked(name, method, b"")
                client.asked.append(asked)
                client.peer.send(f"{method} /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                for _ in range(50):
                    if client.near.over or len(client.answers()) == len(client.asked):
                        break
                    self.engine.clock.advance(0.1)  # for the pause before a retry, and for filters that wait
                    self.turn()
                    self._serve(asked)
                assert client.near.over or len(client.answers()) == len(client.asked), (client.asked, bytes(client.near.sent))

    def _serve(self, asked: Asked) -> None:
        """Hosts answer this request properly, wherever it is."""
        name, method = asked.name, asked.method
        for host in self.hosts:
            if host.near.outcome == errno.EINPROGRESS:
                host.near.settle(0)
            requests = host.requests()
            if requests and requests[-1].start == f"{method} /{name} HTTP/1.1".encode() and host.decided < len(requests):
                host.decided = len(requests)
                body = f"{name}."
                head = f"HTTP/1.1 200 OK\r\nx-name: {name}\r\ncontent-length: {len(body)}\r\n\r\n"
                host.peer.send((head if method == "HEAD" else head + body).encode())

    def _leave(self) -> None:
        """All close; nothing may be left."""
        for client in self.clients:
            client.answers()
            if not client.near.closed:
                client.peer.finish()
        self.turn(3)
        for host in self.hosts:
            if not host.near.closed:
                host.peer.finish()
        self.turn(3)
        for _ in range(4):
            self.engine.clock.advance(30.0)
            self.turn(3)
        assert self.engine.live == [] and not self.filters
        left = {name: gauge.value for name, gauge in self.engine.stats.gauges.items() if gauge.value and _COUNTS.search(name)}
        assert left == {}
        for cluster in ("c", "mirror"):
            found = self.engine.clusters.get(cluster)
            if found is not None:
                pools = self.engine.http_pools.of(found)
                assert pools._all() == []
                for breakers in (found.breakers, found.high_breakers):
                    used = [one.used for one in (
                        breakers.connections, breakers.pending_requests, breakers.requests, breakers.retries,
                        breakers.connection_pools,
                    )]
                    assert not any(used), used
        assert len(self.engine.reactor.timers) == 0 and not self.engine.reactor.unsettled

    def gauge(self, name: str) -> int:
        """0 if there is none yet."""
        found: Optional[Any] = self.engine.stats.find(name)
        return 0 if found is None else int(found.value)


_COUNTS = re.compile(r"(_cx|_rq|_pending|_cx_http1|upgrades)_active$|upstream_rq_pending_active")


def _chunked(body: bytes, rng: random.Random) -> bytes:
    out = b""
    while body:
        size = rng.choice((1, 7, 300, 5000))
        piece, body = body[:size], body[size:]
        out += b"%x\r\n%b\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def _cut(data: bytes, rng: random.Random) -> List[Any]:
    """In one piece, a few, or many."""
    if rng.random() < 0.4:
        return [data]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 2, 6))))
    return [piece for piece in (data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])) if piece]
