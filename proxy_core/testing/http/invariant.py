"""What an HTTP filter does must not depend on how a body was cut.

A body comes in pieces of any size: a chunk, a segment, what the upstream had just then. `assert_body_split_invariant` runs the
filter once with the body in one piece, then with every other cut that is worth trying, and compares what an outsider can see.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, List, NamedTuple, Sequence, Tuple

from ..splits import bytewise, random_pieces
from .harness import HttpHarness
from .manager import FilterSpec
from .upstream import Answer

REQUEST = "request"
RESPONSE = "response"
RANDOM_WAYS = 8


class BodyOutcome(NamedTuple):
    """upstream: method, path, headers, body and trailers of the request behind the filters, None if it did not come that far.
    client: status, headers, body, trailers and whether that is all of it; None without a response. details: of the log."""

    upstream: Any
    client: Any
    details: str


def assert_body_split_invariant(
    make: Callable[[], Sequence[FilterSpec]], body: bytes, *, side: str = REQUEST,
    headers: Sequence[Tuple[str, str]] = (), trailers: Sequence[Tuple[str, str]] = (), seed: int = 0, most_cuts: int = 300,
    patience: float = 60.0, **options: Any,
) -> BodyOutcome:
    """Raise AssertionError unless the result is the same for every way to receive `body`. Returns that result.

    make: the filters, new ones for each run. side: "request" for the body of a POST, with these headers and trailers, in chunks;
    "response" for that of the upstream's answer to a GET. most_cuts: beyond so many bytes, cuts are drawn at random (seed).
    patience: simulated seconds that timers get. options: of `HttpHarness`.
    """
    def run(pieces: Sequence[bytes]) -> BodyOutcome:
        return _run(make(), [piece for piece in pieces if piece], side, headers, trailers, patience, options)

    whole = run([body])
    for pieces in _ways(body, most_cuts, seed):
        found = run(pieces)
        if found != whole:
            lines = [f"the result depends on how the body is cut: {pieces!r}"]
            for name in BodyOutcome._fields:
                if getattr(found, name) != getattr(whole, name):
                    lines.append(f"  {name}: {getattr(whole, name)!r} in one piece, {getattr(found, name)!r} so")
            raise AssertionError("\n".join(lines))
    return whole


def _ways(body: bytes, most: int, seed: int) -> Iterator[List[bytes]]:
    generator = random.Random(seed)
    points: Sequence[int] = range(1, len(body))
    for point in points if len(points) <= most else sorted(generator.sample(points, most)):
        yield [body[:point], body[point:]]
    yield list(bytewise(body))
    for _ in range(RANDOM_WAYS):
        yield list(random_pieces(body, generator))


def _run(
    filters: Sequence[FilterSpec], pieces: Sequence[bytes], side: str, headers: Sequence[Tuple[str, str]],
    trailers: Sequence[Tuple[str, str]], patience: float, options: Any,
) -> BodyOutcome:
    if side == RESPONSE:
        answer = Answer(200, tuple(headers), tuple(pieces), tuple(trailers))
        with HttpHarness(filters, answer=answer, **options) as harness:
            harness.open()
            return _outcome(harness, patience)
    with HttpHarness(filters, **options) as harness:
        harness.open("POST", "/", headers, length=None)
        for piece in pieces:
            harness.data(piece)
        harness.end(trailers)
        return _outcome(harness, patience)


def _outcome(harness: HttpHarness, patience: float) -> BodyOutcome:
    harness.advance(patience)
    upstream, client, response = None, None, harness.response
    if harness.reached_upstream:
        one = harness.upstream
        assert one.head is not None
        came = None if one.trailers is None else list(one.trailers.items())
        upstream = (one.head.method, one.head.path, list(one.head.headers.items()), one.body, came, one.ends)
    if response is not None:
        sent = None if response.trailers is None else list(response.trailers.items())
        client = (response.status, list(response.headers.items()), response.body, sent, response.complete)
    return BodyOutcome(upstream, client, harness.details)
