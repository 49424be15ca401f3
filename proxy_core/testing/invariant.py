"""What a filter does must not depend on how its input was cut, paused or ended.

TCP keeps bytes and their order, and nothing else: where one read ends and the next begins is chance. A filter that takes a read
for a message works in every test on one machine and fails in the field. `assert_split_invariant` runs the filter once over the
whole input, then over every way to receive the same bytes that is worth trying, and compares what an outsider can see.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence

from .outcome import (
    BEHIND, BEHIND_LEAVING, IN_FRONT, READ, READING, WRITE, After, Make, Outcome, outcome_of,
)
from .splits import bytewise, random_pieces

__all__ = ["Outcome", "assert_split_invariant", "outcome_of"]

PAUSES = (IN_FRONT, BEHIND, BEHIND_LEAVING, READING)
RANDOM_WAYS = 8
MOST_SHRINKING_RUNS = 500


class Way(NamedTuple):
    """One way to receive an input."""

    pieces: List[bytes]
    pause: str = ""
    at: int = 0


def _everything(outcome: Outcome) -> Any:
    """The default of `key`: all but how the run was observed."""
    return outcome._replace(still="", injects=False)


def assert_split_invariant(
    make: Make,
    data: bytes,
    *,
    side: str = READ,
    pauses: Sequence[str] = PAUSES,
    prefixes: bool = True,
    after: Optional[After] = None,
    key: Callable[[Outcome], Any] = _everything,
    passes_end: bool = True,
    seed: int = 0,
    most_cuts: int = 300,
    patience: float = 60.0,
    **options: Any,
) -> Outcome:
    """Raise AssertionError unless the filter's result is the same for every way to receive `data`. Returns that result.

    Tried are: the whole, every cut in two, byte by byte, seeded random cuts; at every cut a filter in front that parks and
    continues, one behind that takes and injects later, one behind that parks and leaves the bytes (only if the filter
    does not inject: those bytes would be its own to keep), and a pause of reading; and for every prefix of `data` its end,
    alone and together with the last bytes. Compared are: bytes onward, bytes sent back, end_stream, and the close with its
    reason. Besides, in every run: no exception, no misuse of the callbacks, no stall, and the end of the stream must come
    onward, be answered with a FIN, or close.

    make: a new filter (or a list of them) for each run. side: "write" for bytes on their way out. pauses, prefixes: fewer
    kinds of runs. after: called with each run's `ChainHarness` when everything was sent, to answer what the filter has asked.
    key: what of an `Outcome` is compared, for filters whose result may vary in the rest: one that closes at bad bytes may have
    let more or fewer good ones through. passes_end: False for a filter that keeps the end of the stream to itself. most_cuts:
    beyond so many bytes, cuts are drawn at random (seed). patience, options: as in `outcome_of`.
    """
    run = _Runner(make, dict(options, side=side, after=after, patience=patience), key, passes_end)
    points = _points(len(data), most_cuts, seed)
    whole = run.first(data)
    behind_too = side == READ and not _is_terminal(make, options)
    kinds = [
        kind for kind in pauses
        if side == READ and (behind_too or kind in (IN_FRONT, READING)) and not (kind == BEHIND_LEAVING and whole.injects)
    ]
    for way in _ways(data, points, kinds, seed):
        run.compare(data, whole, way)
    for point in points if prefixes else ():
        prefix = data[:point]
        short = run.first(prefix)
        for way in _ends(prefix, IN_FRONT in kinds):
            run.compare(prefix, short, way)
    return whole


def _points(length: int, most: int, seed: int) -> List[int]:
    """Where to cut: everywhere between two bytes, or at `most` places drawn from there."""
    every = range(1, length)
    return list(every) if len(every) <= most else sorted(random.Random(seed).sample(every, most))


def _ways(data: bytes, points: Sequence[int], pauses: Sequence[str], seed: int) -> Iterator[Way]:
    """Every way to receive `data`, those with the shortest description first."""
    for point in points:
        yield Way([data[:point], data[point:]])
    for pause in pauses:
        yield Way([data], pause, 0)
        for point in points:
            yield Way([data[:point], data[point:]], pause, 1)
        yield Way([data], pause, 1)
    yield Way(bytewise(data))
    generator = random.Random(seed)
    for _ in range(RANDOM_WAYS):
        yield Way(random_pieces(data, generator))


def _ends(prefix: bytes, together: bool) -> Iterator[Way]:
    """Ways for the end to come: after a last byte of its own, and in one pass with everything."""
    yield Way([prefix[:-1], prefix[-1:]])
    if together:
        yield Way([prefix], IN_FRONT, 0)


def _is_terminal(make: Make, options: Any) -> bool:
    given = options.get("terminal")
    if given is not None:
        return bool(given)
    made = make()
    last = made[-1] if isinstance(made, (list, tuple)) and made else made
    return bool(getattr(last, "terminal", False))


class _Runner:
    """Runs ways and compares them."""

    def __init__(self, make: Make, options: Any, key: Callable[[Outcome], Any], passes_end: bool) -> None:
        self._make = make
        self._options = options
        self._key = key
        self._passes_end = passes_end

    def first(self, data: bytes) -> Outcome:
        """The run that others are compared with."""
        way = Way([data])
        outcome = self._run(way)
        self._demand_sane(data, way, outcome)
        return outcome

    def compare(self, data: bytes, whole: Outcome, way: Way) -> None:
        """Run `way` and raise unless its outcome is sane and the same."""
        outcome = self._run(way)
        if not self._problems(outcome) and self._key(outcome) == self._key(whole):
            return
        way, outcome = self._shrunk(whole, way, outcome)
        self._demand_sane(data, way, outcome)
        lines = [f"the filter's result depends on how its input arrives ({_described(way)}):", f"  input: {data!r}"]
        for name in Outcome._fields:
            expected, found = getattr(whole, name), getattr(outcome, name)
            if expected != found and name not in ("injects", "still"):
                lines.append(f"  {name}: {expected!r} when it comes whole, {found!r} so")
        if self._key is not _everything:
            lines.append(f"  compared: {self._key(whole)!r} with {self._key(outcome)!r}")
        raise AssertionError("\n".join([*lines, self._recipe(way)]))

    def _run(self, way: Way) -> Outcome:
        return outcome_of(self._make, way.pieces, pause=way.pause, at=way.at, **self._options)

    def _problems(self, outcome: Outcome) -> List[str]:
        problems = list(outcome.misuses)
        if self._passes_end and not outcome.closed and not outcome.onward_ends and not outcome.sent_end:
            problems.append(
                "end_stream was lost: the peer has finished, and it came neither onward nor back, nor was the connection closed "
                f"({outcome.still})"
            )
        return problems

    def _demand_sane(self, data: bytes, way: Way, outcome: Outcome) -> None:
        problems = self._problems(outcome)
        if problems:
            lines = [f"{problem} ({_described(way)})" for problem in problems]
            raise AssertionError("\n".join([*lines, f"  input: {data!r}", self._recipe(way)]))

    def _shrunk(self, whole: Outcome, way: Way, outcome: Outcome) -> Any:
        """The same failure with fewer pieces, where joining two neighbours keeps it."""
        index = runs = 0
        while not way.pause and index + 1 < len(way.pieces) and runs < MOST_SHRINKING_RUNS:
            joined = way.pieces[index] + way.pieces[index + 1]
            shorter = way._replace(pieces=[*way.pieces[:index], joined, *way.pieces[index + 2:]])
            found = self._run(shorter)
            runs += 1
            if self._problems(found) or self._key(found) != self._key(whole):
                way, outcome = shorter, found
            else:
                index += 1
        return way, outcome

    def _recipe(self, way: Way) -> str:
        """The call that repeats a run, to be pasted."""
        name = getattr(self._make, "__name__", "make")
        arguments = ["make" if name == "<lambda>" else name, repr(way.pieces)]
        if way.pause:
            arguments.append(f"pause={way.pause!r}, at={way.at}")
        if self._options["side"] == WRITE:
            arguments.append("side='write'")
        return f"to see it again:\n  from proxy_core.testing import outcome_of\n  print(outcome_of({', '.join(arguments)}))"


def _described(way: Way) -> str:
    """In words."""
    if way.pause:
        where = "from the start" if not way.at else "before the end" if way.at >= len(way.pieces) else \
            f"after {sum(map(len, way.pieces[:way.at]))} bytes"
        what = {
            IN_FRONT: "a filter in front of it parked {} and continued",
            BEHIND: "a filter behind it took what came {} and injected it later",
            BEHIND_LEAVING: "a filter behind it parked {}, left the bytes in the buffer, and continued",
            READING: "reading was paused {} and resumed",
        }[way.pause]
        return what.format(where)
    return f"in {len(way.pieces)} pieces" if len(way.pieces) > 1 else "in one piece"
