"""Every way to cut an input that a parser must not care about.

A peer's bytes arrive in reads whose borders mean nothing. A parser is fed each list of pieces that `splits`
yields, and what it says must be equal for all of them.
"""

from __future__ import annotations

import random
from typing import Iterator, List


def bytewise(data: bytes) -> List[bytes]:
    """One piece per byte."""
    return [data[index : index + 1] for index in range(len(data))]


def two_way(data: bytes) -> Iterator[List[bytes]]:
    """Each way to cut `data` into two pieces, neither of them empty."""
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]


def random_pieces(data: bytes, generator: random.Random) -> List[bytes]:
    """Pieces of random sizes. The longest one is drawn first, so some cuts are fine and others coarse."""
    longest = generator.choice((2, 5, 20, 100, 1000, max(2, len(data))))
    pieces = []
    start = 0
    while start < len(data):
        end = start + generator.randint(1, longest)
        pieces.append(data[start:end])
        start = end
    return pieces


def splits(
    data: bytes, seed: int = 0, two_way_limit: int = 300, random_ways: int = 8
) -> Iterator[List[bytes]]:
    """Lists of pieces, whose concatenation is `data`: whole, byte by byte, cut once, cut at random.

    two_way_limit: up to this length every single cut is tried, beyond it `two_way_limit` ones drawn from all.
    random_ways: how many random cuts into many pieces. Equal arguments yield equal lists.
    """
    yield [data]
    yield bytewise(data)
    generator = random.Random(seed)
    if len(data) <= two_way_limit:
        yield from two_way(data)
    else:
        for index in generator.sample(range(1, len(data)), two_way_limit):
            yield [data[:index], data[index:]]
    for _ in range(random_ways):
        yield random_pieces(data, generator)
