"""The command: chooses engines and works, takes turns, prints the table and writes the result."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from . import engines, load, load_http, report, works
from .route import Route

RESULTS = Path(__file__).resolve().parents[1] / "results"


def parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m perf.compare", description="CPU and memory of this proxy beside others, in one run."
    )
    everything = ",".join(engines.MAKERS)
    parser.add_argument(
        "--engines", default="all", help=f"some of {everything},proxy_core@DIR (default: all here)"
    )
    parser.add_argument(
        "--work",
        default=",".join(works.DEFAULT_WORKS),
        help=f"some of {','.join(works.WORKS)} (default: %(default)s)",
    )
    parser.add_argument("--base", help="the engine that ratios refer to (default: envoy, else the last one)")
    parser.add_argument("--rounds", type=int, help="turns of each engine at each work (default: 5; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="little work: a first look, not a measurement")
    parser.add_argument(
        "--out", type=Path, help="the JSON result (default: perf/results/DATE.json; - for none)"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.work = options.work.split(",")
    unknown = [name for name in options.work if name not in works.WORKS]
    if unknown:
        parser.error(f"no work {unknown[0]!r}; there are {', '.join(works.WORKS)}")
    options.engines = list(engines.MAKERS) if options.engines == "all" else options.engines.split(",")
    return options


class Backends:
    """The servers behind the engines, for as long as the run takes: the port of each by its kind."""

    def __init__(self) -> None:
        first = load.Worker(load.echo_backend, 0)
        echo = first.answer()
        others = [load.Worker(load.echo_backend, echo) for _ in works.shares(0)[1:]]
        first_http = load.Worker(load_http.small_backend, 0)
        http = first_http.answer()
        others += [load.Worker(load_http.small_backend, http) for _ in works.shares(0)[1:]]
        bulk = {"source": load.Worker(load.source_backend), "sink": load.Worker(load.sink_backend),
                "http_bulk": load.Worker(load_http.bulk_backend)}
        self.ports = {"echo": echo, "http": http, **{name: worker.answer() for name, worker in bulk.items()}}
        self._workers = [first, first_http, *others, *bulk.values()]

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()


def take_turns(
    found: Sequence[engines.Engine],
    names: Sequence[str],
    rounds: int,
    settings: works.Settings,
    directory: Path,
) -> List[report.Turn]:
    """Every engine at every work, round by round; an engine that fails at a work is left out of it."""
    turns: List[report.Turn] = []
    backends = Backends()
    failed: Dict[Tuple[str, str], str] = {}
    try:
        for number in range(rounds):
            for work in (works.WORKS[name] for name in names):
                for engine in found:
                    key = engine.name, work.name
                    if key in failed or work.mode not in engine.modes:
                        continue
                    _progress(f"round {number + 1} of {rounds}: {engine.name} at {work.name}")
                    try:
                        sample = one_turn(engine, work, backends.ports[work.backend], settings, directory)
                    except (engines.Unavailable, RuntimeError, OSError) as failure:
                        failed[key] = str(failure)
                    else:
                        turns.append(report.Turn(number, work.name, engine.name, sample))
    finally:
        backends.stop()
        _progress("")
    for (name, _), reason in {(name, text): text for (name, _), text in failed.items()}.items():
        where = [work for (engine, work), text in failed.items() if (engine, text) == (name, reason)]
        print(f"left out: {name} at {', '.join(where)}: {reason}", file=sys.stderr)
    return turns


def one_turn(
    engine: engines.Engine, work: works.Work, upstream_port: int, settings: works.Settings, directory: Path
) -> works.Sample:
    route = Route(directory, engines.free_port(), upstream_port, work.mode)
    running = engines.Running(engine, route)
    try:
        return work.measure(running, settings)
    finally:
        running.stop()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def revision() -> str:
    """The commit measured, with a mark where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=engines.ROOT, capture_output=True, encoding="utf-8"
    )
    return done.stdout.strip() or "unknown"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for the children: thousands of connections
    try:
        found, absent = engines.find(options.engines)
    except ValueError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    for name, reason in absent.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    if not found:
        print("no engine to measure", file=sys.stderr)
        return 1
    names = [engine.name for engine in found]
    base = options.base or ("envoy" if "envoy" in names else names[-1])
    settings = works.QUICK if options.quick else works.Settings()
    settings = settings._replace(many_connections=min(settings.many_connections, engines.connection_limit()))
    header = {
        "context": report.context(),
        "revision": revision(),
        "settings": settings._asdict(),
        "rounds": options.rounds,
        "base": base,
    }
    with tempfile.TemporaryDirectory(prefix="compare-") as directory:
        turns = take_turns(found, options.work, options.rounds, settings, Path(directory))
    if not turns:
        return 1
    rows = report.summarise(turns, base)
    print(", ".join(f"{key} {value}" for key, value in report.context().items()))
    print(f"revision {header['revision']}, {options.rounds} rounds" + (", quick" if options.quick else ""))
    print(report.table(rows, base) + report.growth(rows))
    if options.out is None or str(options.out) != "-":
        path = options.out or RESULTS / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
        report.write(path, header, turns, rows)
        print(f"\nwritten to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
