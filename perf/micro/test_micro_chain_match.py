"""Choosing a filter chain: among 1,000 by server name it costs what it costs with one (target: 1.2 times at most)."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.config.model.address import CidrRange
from proxy_core.config.model.listener import FilterChainMatch
from proxy_core.listener.chain_match import ChainMatcher
from proxy_core.listener.explain import Facts
from proxy_core.network.address import Address


class Chain:
    """A chain that is only a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def connection(sni: str) -> Facts:
    peer = Address.from_ip("192.0.2.9", 50000)
    facts = Facts(peer, peer, Address.from_ip("10.0.0.1", 443))
    facts.transport_protocol = "tls"
    facts.requested_server_name = sni
    return facts


@pytest.mark.parametrize("chains", [1, 1_000])
@pytest.mark.parametrize("asked", ["exact", "wildcard"])
def test_one_chain_is_found_among_many_by_server_name(benchmark: BenchmarkFixture, chains: int, asked: str) -> None:
    pairs: List[Tuple[FilterChainMatch, Chain]] = []
    for n in range(chains):
        names = [f"host{n:04}.example.com", f"*.host{n:04}.example.com"]
        pairs.append((FilterChainMatch(server_names=names), Chain(f"chain{n}")))
    matcher = ChainMatcher(pairs, None)
    last = chains - 1
    facts = connection(f"host{last:04}.example.com" if asked == "exact" else f"www.host{last:04}.example.com")
    assert benchmark(matcher.find, facts) is pairs[last][1]


@pytest.mark.parametrize("chains", [1, 1_000])
def test_one_chain_is_found_among_many_by_source_range(benchmark: BenchmarkFixture, chains: int) -> None:
    pairs: List[Tuple[FilterChainMatch, Chain]] = []
    for n in range(chains):
        ranges = [CidrRange(address_prefix=f"192.{n // 250}.{(2 + n) % 250}.0", prefix_len=24)]
        pairs.append((FilterChainMatch(source_prefix_ranges=ranges), Chain(f"chain{n}")))
    matcher = ChainMatcher(pairs, None)
    assert benchmark(matcher.find, connection("")) is pairs[0][1]


def test_a_thousand_chains_are_prepared(benchmark: BenchmarkFixture) -> None:
    pairs = [(FilterChainMatch(server_names=[f"host{n:04}.example.com"]), Chain("c")) for n in range(1_000)]
    benchmark(ChainMatcher, pairs, None)
