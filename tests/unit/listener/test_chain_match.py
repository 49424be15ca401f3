"""Which filter chain a connection gets: single rules of Envoy's, and the prepared lookup against nine plain
steps.
"""

from __future__ import annotations

import random
from typing import List, Optional, Sequence

import pytest

from proxy_core.config.chain_criteria import keys_of
from proxy_core.config.check_chains import overlapping
from proxy_core.listener.chain_match import ChainMatcher
from tests.support.chain_reference import (
    Facts, Match, Named, cidr, decoded, random_facts, random_match, reference,
)


def matcher(matches: Sequence[Optional[Match]], default: Optional[str] = None) -> ChainMatcher[Named]:
    chains = [(decoded(match), Named(str(position))) for position, match in enumerate(matches)]
    return ChainMatcher(chains, Named(default) if default else None)


def found(matches: Sequence[Optional[Match]], facts: Facts) -> Optional[str]:
    chain = matcher(matches, "default").find(facts)
    return chain.name if chain else None


def ranges(*texts: str) -> List[Match]:
    return [cidr(text) for text in texts]


# -- without conditions ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("match", [None, {}, {"source_type": "ANY"}, {"server_names": [""]}])
def test_one_chain_for_everything_needs_no_facts(match: Optional[Match]) -> None:
    made = matcher([match], "default")
    assert made.unconditional is made.chains[0]


def test_only_a_default_chain_needs_no_facts() -> None:
    made = matcher([], "default")
    assert made.unconditional is made.default is not None
    assert made.find(Facts()) is made.default


@pytest.mark.parametrize("match", [
    {"destination_port": 1}, {"prefix_ranges": ranges("0.0.0.0/0")}, {"source_type": "EXTERNAL"}, {"source_ports": [1]},
])
def test_a_condition_needs_facts(match: Match) -> None:
    assert matcher([match]).unconditional is None
    assert matcher([match, {}]).unconditional is None


def test_no_chain_and_no_default_is_nothing() -> None:
    made = matcher([])
    assert made.unconditional is None
    assert made.find(Facts()) is None


# -- each criterion --------------------------------------------------------------------------------------------------

def test_a_named_port_takes_its_connections_from_chains_without_a_port() -> None:
    matches = [{}, {"destination_port": 443, "source_type": "SAME_IP_OR_LOOPBACK"}]
    assert found(matches, Facts("127.0.0.1:80")) == "0"
    assert found(matches, Facts("127.0.0.1:443", "127.0.0.1:9")) == "1"
    assert found(matches, Facts("127.0.0.1:443", "192.0.2.1:9")) == "default"


@pytest.mark.parametrize("ip, expected", [
    ("10.1.2.3", "3"), ("10.1.9.9", "2"), ("10.9.9.9", "1"), ("11.0.0.1", "0"),
    ("[2001:db8::1]", "4"), ("[::ffff:10.1.2.3]", "0"),
])
def test_the_longest_prefix_wins_and_versions_stay_apart(ip: str, expected: str) -> None:
    matches = [{}, *({"prefix_ranges": ranges(text)} for text in ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32"))]
    assert found(matches, Facts(f"{ip}:80")) == expected


def test_a_range_of_all_addresses_comes_before_no_range() -> None:
    """Envoy chooses either, by the order of a hash map."""
    everything: Match = {"prefix_ranges": ranges("0.0.0.0/0")}
    assert found([{}, everything], Facts()) == "1"
    assert found([everything, {}], Facts()) == "0"
    assert found([{"prefix_ranges": ranges("::/0")}, {}], Facts()) == "1"


@pytest.mark.parametrize("name, expected", [
    ("www.a.test", "0"), ("img.a.test", "1"), ("x.y.a.test", "1"), ("a.test", "2"), ("test", "3"), ("", "3"),
    ("b.other", "3"), (".a.test", "1"), ("a.test.", "4"), ("b.a.test.", "3"), ("www.a.test..", "3"),
    ("b.", "3"),
])
def test_a_server_name_matches_as_a_whole_then_by_its_longest_ending(name: str, expected: str) -> None:
    matches = [
        {"server_names": ["WWW.a.test"]}, {"server_names": ["*.A.test"]}, {"server_names": ["*.test"]}, {},
        {"server_names": ["a.test.", "*."]},
    ]
    assert found(matches, Facts(sni=name, transport="tls")) == expected


def test_a_server_name_of_many_dots_is_not_searched_ending_by_ending() -> None:
    hostile = "a." * 30_000 + "a.test"
    assert found([{"server_names": ["*.a.test"]}], Facts(sni=hostile)) == "0"
    assert found([{"server_names": ["*.b.test"]}], Facts(sni=hostile)) == "default"


def test_a_connection_that_nobody_looked_at_is_raw() -> None:
    matches = [{"transport_protocol": "raw_buffer"}, {"transport_protocol": "tls"}, {}]
    assert [found(matches, Facts(transport=one)) for one in ("", "raw_buffer", "tls", "quic")] == ["0", "0", "1", "2"]


def test_the_clients_first_configured_protocol_counts() -> None:
    matches = [{"application_protocols": ["h2"]}, {"application_protocols": ["http/1.1", "x"]}, {}]
    assert found(matches, Facts(alpn=["y", "x", "h2"])) == "1"
    assert found(matches, Facts(alpn=["h2", "x"])) == "0"
    assert found(matches, Facts(alpn=["y"])) == found(matches, Facts()) == "2"


@pytest.mark.parametrize("remote, local, expected", [
    ("127.0.0.1:1", "10.0.0.1:2", "local"), ("[::1]:1", "[::2]:2", "local"), ("10.0.0.1:1", "10.0.0.1:2", "local"),
    ("127.0.0.2:1", "127.0.0.3:2", "external"), ("[::ffff:127.0.0.1]:1", "[::2]:2", "external"),
    ("[::a]:1", "[0:0::a]:2", "local"), ("/run/a.sock", "10.0.0.1:1", "local"), ("10.0.0.1:1", "/run/a.sock", "external"),
    ("255.255.255.255:1", "/run/a.sock", "external"),
])
def test_local_is_the_loopback_address_or_the_same_one(remote: str, local: str, expected: str) -> None:
    matches = [{"source_type": "SAME_IP_OR_LOOPBACK"}, {"source_type": "EXTERNAL"}]
    assert found(matches, Facts(local, remote)) == {"local": "0", "external": "1"}[expected]


def test_any_source_is_for_those_that_have_no_entry_of_their_own() -> None:
    assert found([{"source_type": "EXTERNAL"}, {}], Facts(remote="127.0.0.1:1")) == "1"
    assert found([{"source_type": "SAME_IP_OR_LOOPBACK"}, {}], Facts(remote="127.0.0.1:1")) == "0"


def test_the_direct_source_is_the_peer_whatever_a_header_says() -> None:
    matches = [{"direct_source_prefix_ranges": ranges("10.0.0.0/8")}, {"source_prefix_ranges": ranges("10.0.0.0/8")}]
    assert found(matches, Facts(remote="192.0.2.1:1", direct="10.0.0.1:1")) == "0"
    assert found(matches, Facts(remote="10.0.0.1:1", direct="192.0.2.1:1")) == "1"


def test_source_ports_come_last() -> None:
    matches: List[Match] = [
        {"source_prefix_ranges": ranges("10.0.0.0/8")},
        {"source_prefix_ranges": ranges("10.0.0.0/8"), "source_ports": [7, 8]},
        {"source_prefix_ranges": ranges("10.1.0.0/16"), "source_ports": [9]},
    ]
    assert found(matches, Facts(remote="10.0.0.1:8")) == "1"
    assert found(matches, Facts(remote="10.0.0.1:9")) == "0"
    assert found(matches, Facts(remote="10.1.0.1:8")) == "default"


def test_a_unix_socket_counts_as_255_255_255_255_without_a_port() -> None:
    unix = Facts("/run/a.sock", "/run/b.sock")
    assert found([{"prefix_ranges": ranges("255.0.0.0/8")}, {}], unix) == "0"
    assert found([{"prefix_ranges": ranges("::/0")}, {"prefix_ranges": ranges("0.0.0.0/0")}], unix) == "1"
    assert found([{"source_prefix_ranges": ranges("255.255.255.255/32")}, {}], unix) == "0"
    assert found([{"destination_port": 1}, {"source_ports": [1]}, {}], unix) == "2"
    assert found([{"destination_port": 1}], unix) == "default"


def test_an_ipv6_scope_is_not_part_of_the_address() -> None:
    facts = Facts("[fe80::1]:1", "[fe80::2]:1")
    facts.remote_address.ip = "fe80::2%eth0"
    assert found([{"source_prefix_ranges": ranges("fe80::2/128")}], facts) == "0"


# -- no way back -----------------------------------------------------------------------------------------------------

def test_an_earlier_criterion_that_fits_closely_is_final() -> None:
    """Measured with Envoy: the peer 127.0.0.1 with a PROXY header from 1.2.3.4 is refused though chain 0 is
    for it.
    """
    matches = [
        {"source_prefix_ranges": ranges("1.2.3.4/32")},
        {"direct_source_prefix_ranges": ranges("127.0.0.1/32"), "source_prefix_ranges": ranges("5.0.0.0/8")},
    ]
    assert matcher(matches).find(Facts(remote="1.2.3.4:1", direct="127.0.0.1:1")) is None
    assert found(matches, Facts(remote="1.2.3.4:1", direct="127.0.0.2:1")) == "0"


# -- the lookup against the plain steps -------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(40))
def test_the_prepared_lookup_and_the_explanation_agree_with_the_nine_steps(seed: int) -> None:
    rng = random.Random(seed)
    matches = without_overlaps([random_match(rng) for _ in range(rng.choice([2, 5, 20, 60]))])
    made = matcher(matches)
    for _ in range(100):
        facts = random_facts(rng)
        expected = reference(matches, facts)
        chain = made.find(facts)
        assert (None if chain is None else int(chain.name)) == expected
        explanation = made.explain(facts)
        assert explanation.chosen is chain
        others = [one.position for one in explanation.ruled_out]
        assert others == [one for one in range(len(matches)) if one != expected]


def without_overlaps(matches: List[Match]) -> List[Match]:
    """As many of the matches as one listener may have."""
    while True:
        bad = overlapping([keys_of(decoded(match)) for match in matches])
        if not bad:
            return matches
        matches = [match for position, match in enumerate(matches) if position not in bad]


def test_many_values_in_many_fields_do_not_multiply() -> None:
    """Envoy would make 200 * 200 * 200 leaves."""
    names, ports = [f"n{n}.test" for n in range(200)], list(range(1, 201))
    nets = [f"10.0.{n}.0/24" for n in range(200)]
    made = matcher([
        {"server_names": names, "source_prefix_ranges": ranges(*nets), "source_ports": ports},
        {"server_names": ["n7.test"], "source_prefix_ranges": ranges("10.0.7.0/25")},
        {},
    ])
    facts = Facts(remote="10.0.7.200:200", sni="n7.test")
    assert getattr(made.find(facts), "name", "") == "0"
    facts = Facts(remote="10.0.7.100:200", sni="n7.test")
    assert getattr(made.find(facts), "name", "") == "1"
