"""Warnings about chains that no connection can get: each is true, and none is said that is not."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from proxy_core.config.chain_criteria import keys_of
from proxy_core.config.check_chains import overlapping
from proxy_core.config.check_unreachable import unreachable_chains
from proxy_core.config.model.address import Address, Pipe, SocketAddress, SocketOption
from proxy_core.config.model.listener import AdditionalAddress, FilterChain, Listener, ListenerFilter
from proxy_core.config.nested import AnyValue
from tests.support.chain_reference import Facts, Match, cidr, decoded, random_match, reference

TLS = "tls_inspector.v3.TlsInspector"
HTTP = "http_inspector.v3.HttpInspector"
PROXY = "proxy_protocol.v3.ProxyProtocol"
ORIGINAL = "original_dst.v3.OriginalDst"
LIMIT = "local_ratelimit.v3.LocalRateLimit"
OWN = "python:mine.Filter"


def listener(
    matches: Sequence[Optional[Match]], filters: Sequence[str] = (), at: str = "10.0.0.1:443", default: bool = False,
    more: Sequence[str] = (),
) -> Listener:
    return Listener(
        name="l", address=address(at), default_filter_chain=FilterChain() if default else None,
        additional_addresses=[AdditionalAddress(address=address(one)) for one in more],
        filter_chains=[
            FilterChain(name=f"f{position}", filter_chain_match=decoded(match)) for position, match in enumerate(matches)
        ],
        listener_filters=[ListenerFilter(name=one, typed_config=AnyValue(type_url(one), Address())) for one in filters],
    )


def type_url(name: str) -> str:
    return name if name.startswith("python:") else f"type.googleapis.com/envoy.extensions.filters.listener.{name}"


def address(text: str) -> Address:
    if text.startswith("/"):
        return Address(pipe=Pipe(path=text))
    ip, _, port = text.rpartition(":")
    compat = ip.startswith("+")
    return Address(socket_address=SocketAddress(address=ip.strip("+[]"), port_value=int(port), ipv4_compat=compat))


def warnings(*arguments: Any, **named: Any) -> List[Tuple[str, str]]:
    return [(one.path, one.message) for one in unreachable_chains(listener(*arguments, **named), "l")]


def unreachable(*arguments: Any, **named: Any) -> List[int]:
    """The positions of the chains that are warned of; -1 for the default chain."""
    return [
        -1 if "default" in path else int(path.partition("[")[2].partition("]")[0])
        for path, _ in warnings(*arguments, **named)
    ]


def ranges(*texts: str) -> List[Match]:
    return [cidr(text) for text in texts]


# -- what is never found ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("match, filters, sentence", [
    ({"server_names": ["a.test"]}, [], "for the server name a.test, only tls_inspector finds it out"),
    ({"server_names": ["a.test"]}, [HTTP, PROXY, LIMIT], "for the server name a.test, only tls_inspector finds it out"),
    ({"transport_protocol": "tls"}, [HTTP], "for the transport tls, only tls_inspector finds it out"),
    ({"transport_protocol": "quic"}, [TLS], "for the transport 'quic', and only tls and raw_buffer are ever found"),
    ({"server_names": ["a.test"], "transport_protocol": "raw_buffer"}, [TLS], "its server_names are found only in TLS"),
    ({"application_protocols": ["h2"]}, [], "for the protocol h2, only tls_inspector finds it out"),
    ({"application_protocols": ["h2"]}, [HTTP], "http_inspector finds only http/1.0, http/1.1 and h2c"),
    ({"application_protocols": ["h2"], "transport_protocol": "raw_buffer"}, [TLS], "a client offers it only with TLS"),
    ({"destination_port": 80}, [TLS], "for port 80, connections come to port 443, and no listener filter"),
    ({"prefix_ranges": ranges("10.0.0.2/32", "::/0")}, [], "for 10.0.0.2/32, ::/0, connections come to 10.0.0.1, and no"),
    ({"source_prefix_ranges": ranges("2001:db8::/32")}, [ORIGINAL], "clients of this listener are IPv4 addresses"),
    ({"direct_source_prefix_ranges": ranges("::/0")}, [PROXY], "clients of this listener are IPv4 addresses"),
])
def test_a_chain_that_asks_for_what_is_never_found_is_warned_of(match: Match, filters: List[str], sentence: str) -> None:
    for more in ([], [{"source_ports": [1]}]):
        found = warnings([match, *more], filters)
        assert len(found) == 1
        path, text = found[0]
        assert path.startswith("l.filter_chains[0].filter_chain_match.")
        assert text.startswith("no connection can get this filter chain: ") and sentence in text


@pytest.mark.parametrize("match, filters", [
    ({"server_names": ["a.test"]}, [TLS]), ({"server_names": ["a.test", ""]}, []), ({"server_names": ["a.test"]}, [OWN]),
    ({"transport_protocol": "tls"}, [TLS]), ({"transport_protocol": "raw_buffer"}, []), ({"transport_protocol": "quic"}, [OWN]),
    ({"application_protocols": ["h2"]}, [TLS]), ({"application_protocols": ["h2", "http/1.1"]}, [HTTP]),
    ({"application_protocols": ["http/1.1"], "transport_protocol": "raw_buffer"}, [HTTP, TLS]),
    ({"destination_port": 443}, []), ({"destination_port": 80}, [PROXY]), ({"destination_port": 80}, [ORIGINAL]),
    ({"destination_port": 80}, [OWN]), ({"prefix_ranges": ranges("10.0.0.0/8")}, []),
    ({"prefix_ranges": ranges("2001:db8::/32")}, [PROXY]), ({"source_prefix_ranges": ranges("2001:db8::/32")}, [PROXY]),
    ({"source_prefix_ranges": ranges("1.2.3.4/32")}, []), ({"source_type": "SAME_IP_OR_LOOPBACK"}, []),
    ({"source_ports": [5]}, []),
])
def test_a_chain_that_can_be_reached_is_not(match: Match, filters: List[str]) -> None:
    assert 0 not in unreachable([match], filters, default=True)
    assert 0 not in unreachable([match, {"source_ports": [5, 6]}], filters)


def test_where_the_listener_is_bound_decides_what_can_be_connected_to() -> None:
    v4, v6 = {"prefix_ranges": ranges("10.0.0.0/8")}, {"prefix_ranges": ranges("2001:db8::/32")}
    assert unreachable([v4, v6], at="0.0.0.0:443") == [1]
    assert unreachable([v4, v6], at="[::]:443") == [0]
    assert unreachable([v4, v6], at="+[::]:443") == []
    assert unreachable([v4, v6], at="+[::ffff:10.0.0.1]:443") == []
    assert unreachable([v4, v6], at="10.0.0.1:1", more=["2001:db8::1:1"]) == []
    assert unreachable([{"destination_port": 80}, {"destination_port": 81}], at="10.0.0.1:80", more=["10.0.0.1:82"]) == [1]
    assert unreachable([{"destination_port": 80}, {"destination_port": 81}], at="10.0.0.1:0") == []


def test_a_unix_socket_has_no_port_and_counts_as_255_255_255_255() -> None:
    matches: List[Match] = [
        {"source_type": "EXTERNAL"}, {"prefix_ranges": ranges("10.0.0.0/8")}, {"source_ports": [5]}, {"destination_port": 5},
        {"prefix_ranges": ranges("255.255.0.0/16")}, {"source_type": "SAME_IP_OR_LOOPBACK"},
        {"source_prefix_ranges": ranges("::/0")},
    ]
    for position, match in enumerate(matches):
        assert unreachable([match], at="/run/a.sock") == ([] if position in (4, 5) else [0])
        assert unreachable([match], [PROXY], at="/run/a.sock") == []


def test_a_transparent_listener_gets_connections_to_any_address() -> None:
    made = listener([{"prefix_ranges": ranges("192.0.2.0/24"), "destination_port": 80}])
    assert len(list(unreachable_chains(made, "l"))) == 1
    made.transparent = True
    assert list(unreachable_chains(made, "l")) == []
    made.transparent = False
    assert len(list(unreachable_chains(made, "l"))) == 1
    made.socket_options.append(SocketOption(level=0, name=19, int_value=1))
    assert list(unreachable_chains(made, "l")) == []


def test_an_address_that_is_none_is_left_to_the_decoder() -> None:
    made = listener([{"destination_port": 5}], default=True)
    made.address = None
    assert list(unreachable_chains(made, "l")) == []
    assert warnings([{"destination_port": 5}], at="nowhere:1") == []


# -- what others take first ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("matches, position, sentence", [
    (
        [{"transport_protocol": "tls"}, {"transport_protocol": "raw_buffer"}, {}], 2,
        "its transport_protocol is not set, and raw_buffer of filter_chains[1] 'f1' always comes first",
    ),
    (
        [{"source_type": "EXTERNAL"}, {"source_type": "SAME_IP_OR_LOOPBACK"}, {"source_ports": [7]}], 2,
        "its source_type is not set, and SAME_IP_OR_LOOPBACK, EXTERNAL of filter_chains[1] 'f1', filter_chains[0] 'f0' always",
    ),
    (
        [{"source_prefix_ranges": ranges("10.0.0.0/9")}, {"source_prefix_ranges": ranges("10.128.0.0/10", "10.192.0.0/10")},
         {"source_prefix_ranges": ranges("10.0.0.0/8")}, {}], 2,
        "its source_prefix_ranges has 10.0.0.0/8, and 10.0.0.0/9, 10.128.0.0/10, 10.192.0.0/10 of filter_chains[0] 'f0', ",
    ),
    (
        [{"source_prefix_ranges": ranges("10.0.0.0/9", "10.128.0.0/9")}, {"source_prefix_ranges": ranges("10.0.0.0/8")},
         {"source_prefix_ranges": ranges("11.0.0.0/8", "9.0.0.0/8", "0.0.0.0/1")}], 1,
        "its source_prefix_ranges has 10.0.0.0/8, and 10.0.0.0/9, 10.128.0.0/9 of filter_chains[0] 'f0' always comes first",
    ),
    (
        [{"prefix_ranges": ranges("10.0.0.1/32")}, {"prefix_ranges": ranges("10.0.0.0/8")}], 1,
        "its prefix_ranges has 10.0.0.0/8, and 10.0.0.1/32 of filter_chains[0] 'f0' always comes first",
    ),
    (
        [{}, {"destination_port": 443}], 0,
        "its destination_port is not set, and 443 of filter_chains[1] 'f1' always comes first",
    ),
    (
        [{}, {"source_prefix_ranges": ranges("0.0.0.0/0")}], 0,
        "its source_prefix_ranges is not set, and 0.0.0.0/0 of filter_chains[1] 'f1' always comes first",
    ),
    (
        [{"server_names": ["a.test"], "transport_protocol": "tls"}, {"server_names": ["a.test"]}], 1,
        "its transport_protocol is not set, and tls of filter_chains[0] 'f0' always comes first",
    ),
])
def test_a_chain_that_others_always_come_before_is_warned_of(matches: List[Match], position: int, sentence: str) -> None:
    found = warnings(matches, [TLS])
    assert [path for path, _ in found] == [f"l.filter_chains[{position}].filter_chain_match"]
    assert sentence in found[0][1]


def test_a_default_chain_is_warned_of_only_when_every_connection_finds_another() -> None:
    assert unreachable([{}], default=True) == [-1]
    assert unreachable([{"prefix_ranges": ranges("10.0.0.0/8")}], default=True) == [-1]
    assert unreachable([{}, {"source_prefix_ranges": ranges("10.0.0.0/8"), "source_ports": [1]}], default=True) == []
    assert unreachable([{}, {"server_names": ["a"], "application_protocols": ["h2"]}], [TLS], default=True) == []
    assert unreachable([], default=True) == []


# -- against the plain steps -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(30))
def test_no_connection_gets_a_chain_that_was_warned_of(seed: int) -> None:
    """Any connection that the listener can have, in small: addresses, names and ports around all the values
    in use.
    """
    rng = random.Random(seed)
    matches = [random_match(rng, [443, 444]) for _ in range(rng.randint(2, 8))]
    keys = [keys_of(decoded(match)) for match in matches]
    bad = overlapping(keys)
    matches = [match for position, match in enumerate(matches) if position not in bad]
    filters = [one for one in (TLS, PROXY) if rng.random() < 0.6]
    useless = unreachable(matches, filters, at="127.0.0.1:443", default=True)
    reached = set()
    for _ in range(400):
        position = reference(matches, random_connection(rng, filters))
        reached.add(-1 if position is None else position)
    assert not reached.intersection(useless)


def random_connection(rng: random.Random, filters: Sequence[str]) -> Facts:
    ips = ("127.0.0.1", "127.0.0.2", "10.1.2.3", "10.1.9.9", "192.168.1.1", "8.8.8.8")
    ends = [f"{ip}:{port}" for ip in ips for port in (443, 444, 9)]
    tls = TLS in filters and rng.random() < 0.7
    names = ["", "a.test", "www.a.test", "b.a.test", "x.b.a.test", "q.b.a.test", "other.example", "q.example",
             "test", "z.test", "no"]
    alpn = rng.sample(["h2", "http/1.1", "my-proto", "q"], rng.randint(0, 2)) if tls else []
    direct = rng.choice(ends)
    restored: Dict[str, str] = {"local": "127.0.0.1:443", "remote": direct}
    if PROXY in filters and rng.random() < 0.8:
        restored = {"local": rng.choice(ends), "remote": rng.choice(ends)}
        if rng.random() < 0.2:
            restored = {"local": rng.choice(["[::1]:443", "[2001:db8::5]:444"]), "remote": "[2001:db8:1::5]:443"}
    sni = rng.choice(names) if tls else ""
    return Facts(direct=direct, sni=sni, transport="tls" if tls else "", alpn=alpn, **restored)
