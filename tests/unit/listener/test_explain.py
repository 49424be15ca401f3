"""`explain`: the listener that is meant, the facts as the listener filters would find them, the chain, and
why not the others.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

import pytest

from proxy_core.config.model.address import Address as AddressConfig
from proxy_core.config.model.address import Pipe, SocketAddress
from proxy_core.config.model.listener import (
    AdditionalAddress, Filter, FilterChain, Listener, ListenerFilter, ListenerFilterChainMatchPredicate,
)
from proxy_core.config.nested import AnyValue
from proxy_core.listener.chain_match import ChainMatcher
from proxy_core.listener.explain import Answer, Target, answer_question, read_question
from proxy_core.network.address import address_of
from tests.support.chain_reference import Facts, Match, Named, cidr, decoded

TLS = "tls_inspector.v3.TlsInspector"
HTTP = "http_inspector.v3.HttpInspector"
PROXY = "proxy_protocol.v3.ProxyProtocol"
OWN = "python:mine.Filter"
ECHO = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"


def address(text: str) -> AddressConfig:
    if text.startswith("/"):
        return AddressConfig(pipe=Pipe(path=text))
    ip, _, port = text.rpartition(":")
    socket = SocketAddress(address=ip.strip("+[]"), port_value=int(port), ipv4_compat=ip.startswith("+"))
    return AddressConfig(socket_address=socket)


def target(
    name: str, at: Sequence[str], matches: Sequence[Match] = ({},), filters: Sequence[str] = (), default: str = "",
) -> Target:
    chains = [
        FilterChain(name=f"f{position}", filter_chain_match=decoded(match),
                    filters=[Filter("envoy.filters.network.echo", AnyValue(ECHO, address("/x")))])
        for position, match in enumerate(matches)
    ]
    package = "type.googleapis.com/envoy.extensions.filters.listener."
    config = Listener(
        name=name, address=address(at[0]), filter_chains=chains,
        additional_addresses=[AdditionalAddress(address=address(one)) for one in at[1:]],
        default_filter_chain=FilterChain(name=default) if default else None,
        listener_filters=[
            ListenerFilter(one, AnyValue(one if one == OWN else package + one, address("/x"))) for one in filters
        ],
    )
    return Target(name, config, [address_of(address(one)) for one in at])


def ask(targets: Any, **parameters: str) -> Answer:
    return answer_question(targets if isinstance(targets, list) else [targets], read_question(parameters))


# -- the listener ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dst, name", [
    ("10.0.0.1:80", "one"), ("10.0.0.2:80", "all"), ("10.0.0.1:81", "one"), ("[::1]:80", "six"), ("10.0.0.2:82", "six+"),
    ("[::1]:82", "six+"), ("unix:/run/a.sock", "pipe"), ("/run/a.sock", "pipe"),
])
def test_the_listener_is_the_one_on_that_address_then_the_one_on_all(dst: str, name: str) -> None:
    targets = [
        target("all", ["0.0.0.0:80"]), target("one", ["10.0.0.1:80", "10.0.0.1:81"]), target("six", ["[::]:80"]),
        target("six+", ["+[::]:82"]), target("pipe", ["/run/a.sock"]),
    ]
    assert ask(targets, dst=dst).target.name == name
    assert ask(targets, dst=dst, listener="one").target.name == "one"


@pytest.mark.parametrize("parameters, sentence", [
    ({"dst": "10.0.0.1:99"}, "no listener is on 10.0.0.1:99; if it is a restored destination, give listener too; the listeners: "
                             "'a' on 0.0.0.0:80; 'b' on 10.0.0.1:81"),
    ({"dst": "[::1]:80"}, "no listener is on [::1]:80"),
    ({}, "which listener? Give dst or listener; the listeners: 'a' on 0.0.0.0:80"),
    ({"listener": "c\n"}, r"there is no listener 'c\n'; the listeners: 'a'"),
    ({"dst": "10.0.0.1"}, "dst: expected IP:PORT, found '10.0.0.1' without a port"),
    ({"dst": "10.0.0.1:"}, "dst: expected IP:PORT, [IPV6]:PORT or unix:/path, found '10.0.0.1:'"),
    ({"src": "10.0.0.1:65536"}, "src: expected"), ({"src": "host:1"}, "src: expected"), ({"src": "[::1]x"}, "src: expected"),
    ({"src": "[::1"}, "src: expected"), ({"src": "fe80::1%lo"}, "src: expected"),
    ({"direct_src": "1.2.3:4"}, "direct_src: expected"),
    ({"src": "10.0.0.1:٣"}, "src: expected"),
    ({"transport": "ssl"}, "transport: expected tls or raw_buffer, found 'ssl'"),
    ({"transport": "raw_buffer", "sni": "a"}, "sni: a server name comes only with transport tls"),
    ({"dst": "10.0.0.1:81", "src": "[::1]:1"}, "src and dst: ::1 and 10.0.0.1 are of different IP versions"),
])
def test_a_question_that_can_not_be_answered_is_a_sentence(parameters: Dict[str, str], sentence: str) -> None:
    targets = [target("a", ["0.0.0.0:80"]), target("b", ["10.0.0.1:81"])]
    with pytest.raises(ValueError) as caught:
        ask(targets, **parameters)
    assert str(caught.value).startswith(sentence)
    with pytest.raises(ValueError):
        ask([], **parameters)


# -- the facts -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("at, parameters, connection", [
    ("10.0.0.1:80", {}, "127.0.0.1:0 -> 10.0.0.1:80, raw_buffer"),
    ("0.0.0.0:80", {}, "127.0.0.1:0 -> 127.0.0.1:80, raw_buffer"),
    ("[::]:80", {}, "[::1]:0 -> [::1]:80, raw_buffer"),
    ("/run/a.sock", {}, "(unnamed) -> /run/a.sock, raw_buffer"),
    ("0.0.0.0:80", {"dst": "10.0.0.7:80", "src": "10.0.0.9"}, "10.0.0.9:0 -> 10.0.0.7:80, raw_buffer"),
    ("[::]:80", {"dst": "[2001:db8::7]:80", "src": "2001:db8::9"}, "[2001:db8::9]:0 -> [2001:db8::7]:80, raw_buffer"),
    ("[::]:80", {"dst": "[2001:db8::7]:80", "src": "[2001:DB8::9]"}, "[2001:db8::9]:0 -> [2001:db8::7]:80, raw_buffer"),
    ("0.0.0.0:80", {"src": "10.0.0.9:5"}, "10.0.0.9:5 -> 127.0.0.1:80, raw_buffer"),
])
def test_ends_that_were_not_given_are_on_this_machine(at: str, parameters: Dict[str, str], connection: str) -> None:
    answer = ask(target("l", [at]), **parameters)
    assert answer.explanation.connection == connection
    assert any("no src was given" in note for note in answer.notes) == ("src" not in parameters)


@pytest.mark.parametrize("filters, parameters, rest, note", [
    ([TLS], {"sni": "A.test", "alpn": "h2,x"}, "tls, server name 'a.test', offers h2, x", ""),
    ([TLS], {"alpn": "h2"}, "tls, offers h2", ""),
    ([TLS], {"transport": "tls"}, "tls", ""),
    ([], {"sni": "a.test"}, "raw_buffer", "there is no tls_inspector"),
    ([HTTP], {"alpn": "h2"}, "raw_buffer", "there is no tls_inspector"),
    ([HTTP], {"alpn": "http/1.1"}, "raw_buffer, offers http/1.1", ""),
    ([HTTP, TLS], {"alpn": "http/1.1"}, "tls, offers http/1.1", ""),
    ([HTTP, TLS], {"alpn": "http/1.1", "transport": "raw_buffer"}, "raw_buffer, offers http/1.1", ""),
    ([HTTP], {"alpn": "h2", "transport": "raw_buffer"}, "raw_buffer", "in clear text only http_inspector finds protocols"),
    ([TLS], {"alpn": "http/1.1", "transport": "raw_buffer"}, "raw_buffer", "in clear text only http_inspector finds protocols"),
    ([OWN], {"sni": "a.test", "alpn": "h2"}, "tls, server name 'a.test', offers h2", ""),
    ([OWN], {"alpn": "h2", "transport": "raw_buffer"}, "raw_buffer, offers h2", ""),
])
def test_only_what_listener_filters_find_is_known(
    filters: List[str], parameters: Dict[str, str], rest: str, note: str
) -> None:
    answer = ask(target("l", ["10.0.0.1:80"], filters=filters), src="10.0.0.9:5", **parameters)
    assert answer.explanation.connection == f"10.0.0.9:5 -> 10.0.0.1:80, {rest}"
    assert [one[:len(note)] for one in answer.notes] == ([note] if note else [])


def test_a_peer_alone_is_the_source_too() -> None:
    answer = ask(target("l", ["10.0.0.1:80"], filters=[PROXY]), direct_src="10.0.0.9:6")
    assert answer.explanation.connection == "10.0.0.9:6 -> 10.0.0.1:80, raw_buffer"
    assert answer.notes == []


def test_a_transparent_listener_takes_any_destination() -> None:
    made = target("l", ["10.0.0.1:80"])
    made.config.transparent = True
    assert ask(made, src="10.0.0.9:5", dst="192.0.2.1:443").notes == []


def test_a_filter_that_may_be_switched_off_is_noted() -> None:
    made = target("l", ["10.0.0.1:80"], filters=[TLS])
    made.config.listener_filters[0].filter_disabled = ListenerFilterChainMatchPredicate(any_match=True)
    assert ask(made, src="10.0.0.9:5").notes == [
        "filter_disabled is not looked at: each listener filter counts as switched on"
    ]


def test_a_header_is_believed_only_with_proxy_protocol() -> None:
    given = {"src": "192.0.2.1:5", "direct_src": "10.0.0.9:6", "dst": "10.0.0.1:443"}
    answer = ask(target("l", ["10.0.0.1:80"], filters=[PROXY]), **given)
    assert answer.explanation.connection == "192.0.2.1:5 -> 10.0.0.1:443, through 10.0.0.9:6, raw_buffer"
    assert answer.notes == []
    answer = ask(target("l", ["10.0.0.1:80"]), **given)
    assert answer.explanation.connection == "10.0.0.9:6 -> 10.0.0.1:443, raw_buffer"
    assert answer.notes == [
        "the listener is not on 10.0.0.1:443, and none of its listener filters restores a destination",
        "src is direct_src: there is no proxy_protocol among the listener filters",
    ]


# -- the answer ------------------------------------------------------------------------------------------------------

MATCHES: List[Match] = [
    {"server_names": ["www.site.test"]},
    {"server_names": ["*.site.test"], "source_prefix_ranges": [cidr("10.0.0.0/8")]},
    {"transport_protocol": "tls"},
    {"destination_port": 99},
]


def test_the_text_names_the_chain_and_what_ruled_out_each_other_one() -> None:
    made = target("l", ["10.0.0.1:80"], MATCHES, [TLS])
    answer = ask(made, src="10.0.0.9:5", sni="img.site.test")
    assert answer.found
    assert answer.text().splitlines() == [
        "listener 'l' on 10.0.0.1:80",
        "connection 10.0.0.9:5 -> 10.0.0.1:80, tls, server name 'img.site.test'",
        "filter chain: filter_chains[1] 'f1': envoy.filters.network.echo",
        "  not filter_chains[0] 'f0': server_names: wants www.site.test, found img.site.test",
        "  not filter_chains[2] 'f2': server_names: not set, but *.site.test of filter_chains[1] 'f1' is preferred",
        "  not filter_chains[3] 'f3': destination_port: wants 99, found 80",
    ]


def test_the_text_says_when_a_closer_fit_led_nowhere() -> None:
    made = target("l", ["10.0.0.1:80"], MATCHES, [TLS])
    answer = ask(made, src="11.0.0.9:5", sni="img.site.test")
    assert not answer.found
    assert answer.text().splitlines()[2:] == [
        "filter chain: none: the connection is closed (NR, filter_chain_not_found, stat no_filter_chain_match)",
        "  not filter_chains[0] 'f0': server_names: wants www.site.test, found img.site.test",
        "  not filter_chains[1] 'f1': source_prefix_ranges: wants 10.0.0.0/8, found 11.0.0.9",
        "  not filter_chains[2] 'f2': server_names: not set, but *.site.test of filter_chains[1] 'f1' is preferred",
        "  not filter_chains[3] 'f3': destination_port: wants 99, found 80",
        "  the most specific value is followed, and there is no way back from it",
    ]


def test_the_default_chain_is_called_by_its_name() -> None:
    answer = ask(target("l", ["10.0.0.1:80"], MATCHES, default="rest"), src="10.0.0.9:5")
    assert "filter chain: default_filter_chain 'rest': no filters" in answer.text()
    assert answer.to_json()["filter_chain"] == {"name": "rest", "default": True, "index": None, "filters": []}


def test_the_same_as_json() -> None:
    made = target("l", ["10.0.0.1:80"], MATCHES, [TLS])
    tree = json.loads(json.dumps(ask(made, src="10.0.0.9:5", sni="img.site.test", alpn="h2").to_json()))
    assert tree["listener"] == {"name": "l", "addresses": ["10.0.0.1:80"]}
    assert tree["connection"] == {
        "source": "10.0.0.9:5", "direct_source": "10.0.0.9:5", "destination": "10.0.0.1:80", "transport": "tls",
        "server_name": "img.site.test", "application_protocols": ["h2"],
    }
    assert tree["filter_chain"] == {"name": "f1", "default": False, "index": 1, "filters": ["envoy.filters.network.echo"]}
    assert [one["criterion"] for one in tree["ruled_out"]] == ["server_names", "server_names", "destination_port"]
    assert tree["ruled_out"][1]["shadowed_by"] == ["filter_chains[1] 'f1'"]
    assert ask(made, src="10.0.0.9:5").to_json()["filter_chain"] is None


# -- for the log -----------------------------------------------------------------------------------------------------

def test_the_text_for_the_log_is_bounded_and_on_one_line_if_wanted() -> None:
    chains = [(decoded({"server_names": [f"n{n}.test"]}), Named(f"c{n}")) for n in range(50)]
    explanation = ChainMatcher(chains, None).explain(Facts(sni="other.test", transport="tls"))
    lines = explanation.text(3).splitlines()
    assert lines[0] == "no filter chain for 192.0.2.9:5000 -> 127.0.0.1:443, tls, server name 'other.test'"
    assert lines[3:] == ["  not filter_chains[2] 'c2': server_names: wants n2.test, found other.test", "  and 47 more"]
    assert explanation.line(1) == (
        f"{lines[0]}; not filter_chains[0] 'c0': server_names: wants n0.test, found other.test; and 49 more"
    )


def test_what_a_client_or_a_file_says_can_not_forge_a_line_or_fill_the_log() -> None:
    chains = [(decoded({"server_names": ["\x1b[2J"], "application_protocols": ["x\ny"]}), Named("a\nb"))]
    facts = Facts(sni="evil\r\nname" + "x" * 5000, transport="tls", alpn=["\n"] * 3000)
    explanation = ChainMatcher(chains, None).explain(facts)
    assert len(explanation.text().splitlines()) == 2
    assert explanation.text().replace("\n", "").isprintable()
    assert len(explanation.text()) < 1000


def test_many_values_are_cut_short() -> None:
    chains = [(decoded({"source_ports": list(range(1, 100))}), Named("")), (decoded({"source_ports": [100]}), Named(""))]
    text = ChainMatcher(chains, None).explain(Facts()).text()
    assert "not filter_chains[0]: source_ports: wants 1, 2, 3, 4 and 95 more, found 5000" in text


@pytest.mark.parametrize("match, found", [
    ({"destination_port": 1}, "wants 1, found a Unix socket, which has none"),
    ({"prefix_ranges": [cidr("10.0.0.0/8")]}, "wants 10.0.0.0/8, found a Unix socket, which counts as 255.255.255.255"),
    ({"source_type": "EXTERNAL"}, "wants EXTERNAL, found SAME_IP_OR_LOOPBACK"),
    ({"source_ports": [7]}, "wants 7, found a Unix socket, which has none"),
    ({"direct_source_prefix_ranges": [cidr("::/0")]}, "wants ::/0, found a Unix socket, which"),
])
def test_a_unix_socket_is_explained(match: Match, found: str) -> None:
    assert found in ask(target("l", ["/run/a.sock"], [match])).text()
