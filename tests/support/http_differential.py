"""The same HTTP/1 messages for two engines, and how their behaviour differs. For `tools/http_differential.py`.

Each engine is a process of its own with the same configuration and its own recording upstream. A message is sent on a fresh
connection, then the client waits until the engine has answered what it will answer: a second, good request on the same
connection would be part of the message, so a marker on another connection tells that the engine has read it, and a pause that
nothing more comes. What is compared: the status of each answer, whether the connection ended, and what reached the upstream.
"""

from __future__ import annotations

import random
import re
import select
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from tests.support.http_fuzz import H, REQUESTS, mutate
from tests.support.http_live import Client, fetch, http_bootstrap, upstream_http1
from tests.support.http_upstream import RecordingUpstream
from tests.support.live import Engine

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")  # wherever it is: a body may stand before it
QUIET = 0.02  # seconds without another byte after which an engine is taken to have said everything
MORE_REQUESTS = [
    b"POST /up HTTP/1.1\r\n" + H + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
    b"HEAD / HTTP/1.1\r\n" + H + b"accept-encoding: gzip\r\nx-forwarded-for: 1.2.3.4\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
    b"PUT /a%20b/../c;d=1?e=%0a HTTP/1.1\r\n" + H + b"transfer-encoding: Chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1]:80\r\nte: trailers, gzip\r\nvia: 1.1 x\r\n\r\n",
]
ENVOY_OPTIONS = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "off"]
FIELDS: Dict[str, Any] = {  # of the connection manager; everything is let in that can be
    "delayed_close_timeout": "0s", "generate_request_id": False, "upgrade_configs": [{"upgrade_type": "websocket"}],
    "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "old", "enable_trailers": True},
}


class Outcome(NamedTuple):
    """statuses: of the answers; ended: the connection; arrived: (request line and body, headers) of each request upstream."""

    statuses: Tuple[int, ...]
    ended: bool
    arrived: Tuple[Tuple[str, Tuple[Tuple[str, str], ...]], ...]


class Side:
    """One engine and its upstream; a context manager."""

    def __init__(self, command: List[str], directory: Path, fields: Dict[str, Any]) -> None:
        """command: the engine's, up to its options. fields: of the connection manager."""
        self._upstream = RecordingUpstream()
        config = http_bootstrap(self._upstream.port, **fields)
        options = upstream_http1(enable_trailers=True)
        config["static_resources"]["clusters"][0]["typed_extension_protocol_options"] = options
        self.engine = Engine(config, directory, command=command)
        self._port = self.engine.port()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.engine.stop()
        self._upstream.__exit__(kind, *rest)

    def violations(self) -> List[str]:
        """What arrived upstream that no request of a good proxy may have; forgotten now."""
        found, self._upstream.violations[:] = list(self._upstream.violations), []
        return found

    def begin(self, data: bytes) -> Client:
        """Send the message, whole."""
        client = Client(self._port)
        client.try_send(data)
        return client

    def finish(self, client: Client) -> Outcome:
        """What became of it."""
        fetch(self.engine, "/marker")
        statuses, ended = answers(client)
        client.close()
        requests = [one for one in self._upstream.requests if one.path != "/marker"]
        self._upstream.lines()
        return Outcome(statuses, ended, tuple((one.line(), tuple(one.headers)) for one in requests))


def answers(client: Client) -> Tuple[Tuple[int, ...], bool]:
    """The statuses of all answers that come before QUIET, and whether the connection ended."""
    client.socket.settimeout(QUIET)
    data, ended = b"", False
    while not ended and select.select([client.socket], [], [], QUIET)[0]:
        try:
            more = client.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        data, ended = data + more, more == b""
    return tuple(int(status) for status in _STATUS.findall(data)), ended


def message(generator: random.Random) -> bytes:
    """A mutated request, or two in a row."""
    data = mutate(generator.choice(REQUESTS + MORE_REQUESTS), generator)
    return data + generator.choice(MORE_REQUESTS) if generator.random() < 0.2 else data


class Difference(NamedTuple):
    """What one message made of two engines. kind: "none", or a few words that are the same for differences of the same sort."""

    kind: str
    data: bytes
    envoy: Outcome
    ours: Outcome

    @property
    def ours_is_stricter(self) -> bool:
        """We refuse what Envoy passes, and end the connection."""
        mine, theirs = self.ours.statuses, self.envoy.statuses
        refused = mine[-1:] == (400,) and self.ours.ended and mine[:-1] == theirs[:len(mine) - 1]
        return refused and self.ours.arrived == self.envoy.arrived[:len(self.ours.arrived)]


def compare(sides: Sequence[Side], seed: int) -> Difference:
    """Envoy and us, with the message of this seed."""
    data = message(random.Random(seed))
    clients = [side.begin(data) for side in sides]
    envoy, ours = [side.finish(client) for side, client in zip(sides, clients)]
    return Difference(kind(envoy, ours), data, envoy, ours)


def kind(one: Outcome, other: Outcome) -> str:
    """A few words that are the same for differences of the same sort."""
    if one.statuses != other.statuses:
        return f"statuses {list(one.statuses)} / {list(other.statuses)}"
    if one.ended != other.ended:
        return f"{list(one.statuses)}: connection {'ended' if one.ended else 'open'} / {'ended' if other.ended else 'open'}"
    if [line for line, _ in one.arrived] != [line for line, _ in other.arrived]:
        return f"{list(one.statuses)}: requests upstream, {len(one.arrived)} / {len(other.arrived)}"
    for (_, mine), (_, theirs) in zip(one.arrived, other.arrived):
        differing = {name for name, _ in set(mine) ^ set(theirs)}
        if mine != theirs:
            return f"headers upstream: {', '.join(sorted(differing)) or 'order'}"
    return "none"
