"""Seeded mutations of valid messages: every split says the same, nothing but ProtocolError gets out, and what is let through
means the same to the next hop."""

from __future__ import annotations

import random

import pytest

from tests.support.http_fuzz import REQUESTS, RESPONSES, SMALL, check_next_hop, complete_requests, fuzz_request, fuzz_response
from proxy_core.testing.splits import splits
from tests.unit.http.codec_kit import client_says, get, server_says


@pytest.mark.parametrize("seed", range(40))
def test_mutated_requests_say_the_same_at_every_split_and_at_the_next_hop(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(25):
        fuzz_request(generator)


@pytest.mark.parametrize("seed", range(30))
def test_mutated_responses_say_the_same_at_every_split(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(25):
        fuzz_response(generator)


def test_what_passes_unmutated_is_read_again_as_the_same_requests() -> None:
    assert sum(len(complete_requests(data, SMALL)) for data in REQUESTS) == 6
    for data in REQUESTS:
        check_next_hop(data)


def test_unmutated_messages_say_the_same_at_every_split_and_are_accepted() -> None:
    for data in REQUESTS:
        whole = server_says([data], SMALL)
        assert whole[-1][0] != "error"
        for pieces in splits(data):
            assert server_says(pieces, SMALL) == whole
    for data in RESPONSES:
        whole = client_says([data], SMALL)
        assert whole[-1][0] != "error" or data.startswith(b"HTTP/1.1 101")
        for pieces in splits(data):
            assert client_says(pieces, SMALL) == whole


def test_the_splits_are_complete_and_repeatable() -> None:
    data = bytes(range(50))
    ways = list(splits(data, seed=3))
    assert ways == list(splits(data, seed=3))
    assert ways[0] == [data]
    assert all(b"".join(pieces) == data and all(pieces) for pieces in ways)
    assert [len(data[:cut]) for cut in range(1, 50)] == [len(pieces[0]) for pieces in ways[2:51]]
    long = bytes(1000)
    assert len(list(splits(long, two_way_limit=30, random_ways=2))) == 2 + 30 + 2
