#!/usr/bin/env python3
"""Send the same mutated HTTP/1 requests to Envoy and to proxy_core, and print how often they differ in what way.

    python3 tools/http_differential.py --envoy /usr/bin/envoy --minutes 5
    python3 tools/http_differential.py --envoy /usr/bin/envoy --seed 4711 --count 1     one message again, with all details

Both run with the same configuration, each before a recording upstream of its own. A difference is shown with the seed of its
first messages, Envoy's side first. A request at either upstream that is not well-formed is shown as a violation: those of
proxy_core make the exit status 1. See `tests/support/http_differential.py`.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.http_differential import ENVOY_OPTIONS, FIELDS, Side, compare  # noqa: E402  (the path comes first)

SHOWN = 3  # seeds of each kind


def run(sides: List[Side], first: int, count: int, minutes: float) -> int:
    """0 if nothing that reached proxy_core's upstream was a violation."""
    end, seed = time.monotonic() + minutes * 60, first
    found: Dict[str, List[int]] = collections.defaultdict(list)
    violations: List[List[str]] = [[], []]
    while (seed - first < count) if count else (time.monotonic() < end):
        difference = compare(sides, seed)
        if count == 1:
            print(*difference, sep="\n  ")
        stricter = " (we are stricter)" if difference.kind != "none" and difference.ours_is_stricter else ""
        found[difference.kind + stricter].append(seed)
        for side, bad in zip(sides, violations):
            bad += [f"seed {seed}: {one}" for one in side.violations()]
        seed += 1
    for what, seeds in sorted(found.items(), key=lambda item: -len(item[1])):
        print(f"{len(seeds):6} {what}" + ("" if what == "none" else f"   seeds {seeds[:SHOWN]}"))
    for name, bad in zip(("Envoy", "proxy_core"), violations):
        print(f"violations at the upstream of {name}: {len(bad)}", *bad[:SHOWN], sep="\n  ")
    return 1 if violations[1] else 0


def main() -> int:
    """See `run`."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envoy", required=True, help="Envoy's program")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first message (default %(default)s)")
    parser.add_argument("--count", type=int, default=0, help="this many messages instead of a time")
    options = parser.parse_args()
    commands = [[options.envoy, *ENVOY_OPTIONS], [sys.executable, "-m", "proxy_core"]]
    with tempfile.TemporaryDirectory() as directory:
        with Side(commands[0], Path(directory, "envoy"), FIELDS) as envoy:
            with Side(commands[1], Path(directory, "ours"), FIELDS) as ours:
                return run([envoy, ours], options.seed, options.count, options.minutes)


if __name__ == "__main__":
    sys.exit(main())
