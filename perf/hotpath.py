"""Where a round trip, or a connection, goes: a workload on an engine under cProfile, function by function.

    python3 -m perf.hotpath [rr|churn|scale|http_rr] [--seconds 4] [--lines 30] [--checkout DIR]

Two runs. The first, without a profiler, gives the true CPU time per operation. The second gives the shares:
the profiler makes each Python call about a microsecond dearer, and calls of C functions nearly as much, so
read its times as an order, not as a bill. Calls of recv, send and poll are mostly the kernel.
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .compare import engines, load, load_http, works
from .compare.route import Route


class Line(NamedTuple):
    """One function's part of an operation: calls in one, and the time in it alone and with its callees."""

    calls: float
    own_us: float
    total_us: float
    name: str


# What is called how often in each operation, to know from a profile how many there were.
MARKS = {"rr": ("'send' of", 2), "scale": ("'send' of", 2), "churn": ("'connect", 1), "http_rr": ("'send' of", 2)}


def profiled(plain: engines.Engine, directory: Path) -> Tuple[engines.Engine, Path]:
    """The engine under cProfile, and the file that it leaves when it is stopped."""
    result = directory / "profile"

    def command(route: Route) -> List[str]:
        python, *arguments = plain.command(route)
        return [python, "-m", "cProfile", "-o", str(result), *arguments]

    return engines.Engine("profiled", command, plain.cwd, plain.modes), result


def drive(
    engine: engines.Engine, work: works.Work, directory: Path, settings: works.Settings
) -> works.Sample:
    """One measurement on a fresh engine."""
    backend = load.Worker(load_http.small_backend if work.backend == "http" else load.echo_backend, 0)
    try:
        route = Route(directory, engines.free_port(), backend.answer(), work.mode)
        running = engines.Running(engine, route)
        try:
            return work.measure(running, settings)
        finally:
            running.stop()
    finally:
        backend.stop()


def lines(result: Path, mark: str, times: int) -> Iterator[Line]:
    """The functions called at least once in five operations, so none of the start-up.

    An operation is `times` calls of the socket method whose name in the profile contains `mark`.
    """
    recorded = pstats.Stats(str(result)).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    marked = [calls for (_, _, name), (_, calls, *_) in recorded.items() if mark in name]
    count = max(marked, default=0) / times or 1
    for (file, number, name), (_, calls, own, total, _) in recorded.items():
        if calls < count / 5:
            continue
        place = name if file == "~" else f"{Path(file).parent.name}/{Path(file).name}:{number} {name}"
        yield Line(calls / count, own / count * 1e6, total / count * 1e6, place)


def parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m perf.hotpath", description="Where a round trip goes.")
    parser.add_argument("work", nargs="?", default="rr", choices=MARKS, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of each run (default: %(default)s)"
    )
    parser.add_argument("--lines", type=int, default=30, help="functions to show (default: %(default)s)")
    parser.add_argument("--checkout", help="profile the engine of another checkout")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse(arguments)
    work, settings = works.WORKS[options.work], works.Settings(seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="hotpath-") as name:
        directory = Path(name)
        try:
            engine = engines.proxy_core(options.checkout)
            plain = drive(engine, work, directory, settings)
            engine, result = profiled(engine, directory)
            slowed = drive(engine, work, directory, settings)
        except (engines.Unavailable, RuntimeError, OSError) as failure:
            print(failure, file=sys.stderr)
            return 1
        if not result.exists():
            print("the engine left no profile when it was stopped", file=sys.stderr)
            return 1
        found = sorted(lines(result, *MARKS[work.name]), key=lambda line: -line.own_us)
    print(
        f"without a profiler {plain.value:.1f} {work.unit}: {plain.user:.1f} user, {plain.system:.1f} system"
    )
    print(f"under cProfile     {slowed.value:.1f} {work.unit}\n")
    print("  calls   own us  with callees  function")
    for line in found[: options.lines]:
        print(f"{line.calls:7.2f} {line.own_us:8.2f} {line.total_us:13.2f}  {line.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
