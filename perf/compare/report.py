"""Medians over the rounds, ratios to the base engine, the table for people and the JSON result for later."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

from . import load
from .works import WORKS, Sample


class Turn(NamedTuple):
    """One engine doing one work in one round."""

    round: int
    work: str
    engine: str
    sample: Sample


class Row(NamedTuple):
    """The medians of one engine at one work; `ratio` is the median of the ratios within each round."""

    work: str
    engine: str
    rounds: int
    ratio: Optional[float]
    lowest: float
    highest: float
    median: Sample


def summarise(turns: Sequence[Turn], base: str) -> List[Row]:
    """One row for each work and engine, in the order in which they were run first."""
    rows = []
    for work, engine in dict.fromkeys((turn.work, turn.engine) for turn in turns):
        own = [turn for turn in turns if (turn.work, turn.engine) == (work, engine)]
        at_base = {
            turn.round: turn.sample.value for turn in turns if (turn.work, turn.engine) == (work, base)
        }
        ratios = [turn.sample.value / at_base[turn.round] for turn in own if at_base.get(turn.round)]
        values = [turn.sample.value for turn in own]
        rows.append(
            Row(
                work=work,
                engine=engine,
                rounds=len(own),
                ratio=statistics.median(ratios) if ratios else None,
                lowest=min(values),
                highest=max(values),
                median=Sample(*(_median(field) for field in zip(*(turn.sample for turn in own)))),
            )
        )
    return rows


def _median(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


COLUMNS = (
    ("median", 9), ("ratio", 6), ("low", 8), ("high", 8), ("user", 7), ("system", 7),
    ("p50 us", 8), ("p99 us", 8), ("per s", 8), ("RSS MiB", 8), ("wakes", 6),
)  # fmt: skip


def table(rows: Sequence[Row], base: str) -> str:
    """The rows as aligned text, one block for each work."""
    lines = []
    for work in dict.fromkeys(row.work for row in rows):
        lines.append(f"\n{work} ({WORKS[work].unit}), ratio to {base}")
        lines.append(" " * 16 + "".join(f"{title:>{width + 1}}" for title, width in COLUMNS))
        for row in (row for row in rows if row.work == work):
            lines.append(f"{row.engine[-16:]:16}" + _cells(row))
    return "\n".join(lines)


def _cells(row: Row) -> str:
    median = row.median
    values = (
        median.value, row.ratio, row.lowest, row.highest, median.user, median.system,
        median.p50_us, median.p99_us, median.per_second, median.resident_mib, median.wake_ups,
    )  # fmt: skip
    return "".join(f"{_number(value):>{width + 1}}" for value, (_, width) in zip(values, COLUMNS))


def _number(value: Optional[float]) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def growth(rows: Sequence[Row]) -> str:
    """How much dearer a round trip gets with many connections: `scale` over `rr`, where both were done."""
    medians = {(row.work, row.engine): row.median.value for row in rows}
    found = [
        f"{engine} {medians['scale', engine] / value:.2f}"
        for (work, engine), value in medians.items()
        if work == "rr" and ("scale", engine) in medians
    ]
    return f"\ngrowth from rr to scale: {', '.join(found)}" if found else ""


def context() -> Dict[str, Any]:
    """What the figures depend on besides the engines."""
    core, others = load.cores()
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        "proxy core": core,
        "load cores": others,
        "load average at the start": os.getloadavg()[0],
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write(path: Path, header: Dict[str, Any], turns: Sequence[Turn], rows: Sequence[Row]) -> None:
    """The whole result as JSON: context, settings, medians, and each single turn."""
    result = {
        **header,
        "summary": [{**row._asdict(), "median": row.median._asdict()} for row in rows],
        "turns": [{**turn._asdict(), "sample": turn.sample._asdict()} for turn in turns],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
