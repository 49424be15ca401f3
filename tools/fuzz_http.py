#!/usr/bin/env python3
"""Throw mutated HTTP/1 messages at the codec until the time is up. Stops at the first finding and prints how to repeat it.

    python3 tools/fuzz_http.py --minutes 10
    python3 tools/fuzz_http.py --seed 4711 --count 1       one round again

A round is 25 requests and 25 responses. Each is read whole, byte by byte and cut at random, with and without an end of input:
all must say the same, and raise nothing but ProtocolError. Requests that pass are sent on and read again: the next hop must
find the same requests, or something was smuggled. The rounds are those of `tests/support/http_fuzz.py`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.http_fuzz import fuzz_request, fuzz_response  # noqa: E402  (the path comes first)

MESSAGES_A_ROUND = 25


def one_round(seed: int) -> None:
    """Raises what was found."""
    generator = random.Random(seed)
    for _ in range(MESSAGES_A_ROUND):
        fuzz_request(generator)
        fuzz_response(generator)


def main() -> int:
    """0 if nothing was found."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (default %(default)s)")
    parser.add_argument("--count", type=int, help="this many rounds instead of a time")
    options = parser.parse_args()
    end, rounds = time.monotonic() + options.minutes * 60, 0
    while time.monotonic() < end if options.count is None else rounds < options.count:
        try:
            one_round(options.seed + rounds)
        except Exception:  # whatever it is, it is what we are looking for
            traceback.print_exc()
            print(f"found in round {options.seed + rounds}; again with: --seed {options.seed + rounds} --count 1")
            return 1
        rounds += 1
    print(f"{rounds} rounds, {rounds * MESSAGES_A_ROUND * 2} messages: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
