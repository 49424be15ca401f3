"""A recorded connection, run again: piece by piece, at the recorded times, under the simulated clock.

    def test_the_connection_that_went_wrong():
        with replay("bad.jsonl", [Redact({"word": "secret"})], connection=17) as harness:
            assert b"secret" not in harness.onward

The file is what a tap filter wrote, or what `curl .../tap` printed (see `observe.tap`). An hour of it takes no time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterable, List, Optional, Sequence, Union

from ..observe.tap import IN, Recording, read_recordings
from .harness import ChainHarness

Source = Union[str, "os.PathLike[str]", Iterable[str]]


def recordings(source: Source) -> List[Recording]:
    """The connections in a file, or in lines. Raises ValueError for a line that is no record, OSError."""
    if isinstance(source, (str, os.PathLike)):
        return read_recordings(Path(source).read_text(encoding="utf-8").splitlines())
    return read_recordings(source)


def recording(source: Source, connection: Optional[int] = None) -> Recording:
    """The one with this number, by default the first. Raises LookupError if there is none."""
    found = recordings(source)
    chosen = [one for one in found if connection in (None, one.connection_id)]
    if not chosen:
        numbers = ", ".join(str(one.connection_id) for one in found) or "none"
        raise LookupError(f"connection {connection} is not in the recording; there are: {numbers}")
    return chosen[0]


def replay(
    source: Source, filters: Sequence[Any], connection: Optional[int] = None, *, answers: bool = True, **options: Any
) -> ChainHarness:
    """Run a connection through `filters` and answer with the harness as it is afterwards, its `now` at the recorded end.

    connection: its number, by default the first one of the file. answers: whether what was sent to the peer is written again,
    through the write filters; False for filters that make the answers themselves. options: as `ChainHarness` takes them. A
    harness that the filters closed gets no more. Raises ValueError, LookupError, OSError, and what a filter raises.
    """
    recorded = recording(source, connection)
    for name in ("remote", "local"):
        if recorded.about.get(name):
            options.setdefault(name, recorded.about[name])
    harness = ChainHarness(filters, **options)
    for chunk in recorded.chunks:
        harness.wait_until(chunk.t)
        if harness.closed:
            return harness
        if chunk.direction == IN:
            harness.feed(chunk.data, chunk.end)
        elif answers:
            harness.write(chunk.data, chunk.end)
    if recorded.closed_at is not None:
        harness.wait_until(recorded.closed_at)
    return harness
