"""Filter chain matching as the documentation tells it: nine steps, each a scan over the chains that are left.
Slow and plain, to hold the prepared lookup against; and seeded chain sets and connections that hit each other
often.
"""

from __future__ import annotations

import ipaddress
import random
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.model.listener import FilterChainMatch
from proxy_core.network.address import Address

Match = Dict[str, Any]
Ip = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class Facts:
    """A connection that nobody made."""

    def __init__(
        self, local: str = "127.0.0.1:443", remote: str = "192.0.2.9:5000", direct: str = "", sni: str = "",
        transport: str = "", alpn: Sequence[str] = (),
    ) -> None:
        self.local_address = address(local)
        self.remote_address = address(remote)
        self.direct_remote_address = address(direct or remote)
        self.requested_server_name = sni
        self.transport_protocol = transport
        self.application_protocols = tuple(alpn)


class Named:
    """A chain that is only a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def address(text: str) -> Address:
    """"1.2.3.4:5", "[::1]:5", "/run/a.sock"."""
    if text.startswith("/"):
        return Address.from_path(text)
    ip, _, port = text.rpartition(":")
    return Address.from_ip(ip.strip("[]"), int(port))


def decoded(match: Optional[Match]) -> Optional[FilterChainMatch]:
    """A match from JSON. It must be good."""
    if match is None:
        return None
    context = Context(NoTypes())
    result = decode_message(FilterChainMatch, match, "", context)
    assert context.problems == []
    return result


class NoTypes:
    """No message of a match has an `@type`."""

    def decode_any(self, type_url: str, body: Any, path: str, context: Context) -> Any:
        """Not asked."""
        raise AssertionError(type_url)


def reference(matches: Sequence[Match], facts: Facts) -> Optional[int]:
    """The position of the chain for a connection, None for none."""
    left = list(range(len(matches)))
    for step in STEPS:
        best = max((step(matches[one], facts) for one in left), default=-1)
        if best < 0:
            return None
        left = [one for one in left if step(matches[one], facts) == best]
    assert len(left) == 1
    return left[0]


# Each step: how well a match fits, -1 = not at all. Only the best go on.

def _destination_port(match: Match, facts: Facts) -> int:
    port = match.get("destination_port")
    return 0 if port is None else 1 if port == facts.local_address.port else -1


def _range_step(field: str, which: str) -> Callable[[Match, Facts], int]:
    def step(match: Match, facts: Facts) -> int:
        ranges = match.get(field)
        if not ranges:
            return 0
        ip = _ip(getattr(facts, which))
        fitting = [
            one.prefixlen for one in (network(each) for each in ranges) if one.version == ip.version and ip in one
        ]
        return 1 + max(fitting) if fitting else -1
    return step


def _server_names(match: Match, facts: Facts) -> int:
    name = facts.requested_server_name
    fits = []
    for wanted in match.get("server_names", []):
        wanted = wanted.lower()
        if wanted == name:
            fits.append(1000)
        elif wanted.startswith("*.") and name.endswith(wanted[1:]) and len(name) >= len(wanted):
            fits.append(len(wanted))
    if not match.get("server_names"):
        return 0
    return max(fits, default=-1)


def _transport(match: Match, facts: Facts) -> int:
    wanted = match.get("transport_protocol")
    return 0 if not wanted else 1 if wanted == (facts.transport_protocol or "raw_buffer") else -1


def _application(match: Match, facts: Facts) -> int:
    wanted = match.get("application_protocols")
    if not wanted:
        return 0
    places = [place for place, offer in enumerate(facts.application_protocols) if offer in wanted]
    return 1000 - places[0] if places else -1


def _source_type(match: Match, facts: Facts) -> int:
    wanted = match.get("source_type", "ANY")
    remote = facts.remote_address
    local = not remote.ip or remote.ip in ("127.0.0.1", "::1") or remote.ip == facts.local_address.ip
    if wanted == "ANY":
        return 0
    return 1 if (wanted == "SAME_IP_OR_LOOPBACK") == local else -1


def _source_ports(match: Match, facts: Facts) -> int:
    wanted = match.get("source_ports")
    return 0 if not wanted else 1 if facts.remote_address.port in wanted else -1


STEPS = (
    _destination_port, _range_step("prefix_ranges", "local_address"), _server_names, _transport, _application,
    _range_step("direct_source_prefix_ranges", "direct_remote_address"), _source_type,
    _range_step("source_prefix_ranges", "remote_address"), _source_ports,
)


def network(value: Dict[str, Any]) -> Union[ipaddress.IPv4Network, ipaddress.IPv6Network]:
    """A CidrRange as an object of `ipaddress`."""
    return ipaddress.ip_network((value["address_prefix"], value["prefix_len"]), strict=False)


def _ip(one: Address) -> Ip:
    return ipaddress.ip_address(one.ip or "255.255.255.255")


# -- seeded cases ----------------------------------------------------------------------------------------------------

NAMES = ["a.test", "www.a.test", "b.a.test", "x.b.a.test", "other.example", "test"]
WILD = ["*.a.test", "*.test", "*.b.a.test", "*.Example"]
OFFERS = ["h2", "http/1.1", "my-proto"]
RANGES = [
    "127.0.0.0/8", "127.0.0.1/32", "127.0.0.2/31", "127.0.0.0/30", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24",
    "192.168.0.0/16", "::1/128", "2001:db8::/32", "2001:db8:1::/48", "0.0.0.0/1",
]
IPS = [
    "127.0.0.1", "127.0.0.2", "127.0.0.3", "10.1.2.3", "10.1.9.9", "10.9.9.9", "192.168.1.1", "::1",
    "2001:db8:1::5", "2001:db8::5",
]
PORTS = [20011, 20012, 20013]


def cidr(text: str) -> Dict[str, Any]:
    """A CidrRange from "10.0.0.0/8"."""
    prefix, _, length = text.partition("/")
    return {"address_prefix": prefix, "prefix_len": int(length)}


def random_match(rng: random.Random, ports: Sequence[int] = PORTS) -> Match:
    """Conditions on two or three criteria."""
    some: List[Tuple[str, Callable[[], Any]]] = [
        ("destination_port", lambda: rng.choice(ports)),
        ("prefix_ranges", lambda: _some_ranges(rng)),
        ("server_names", lambda: rng.sample(NAMES + WILD, rng.randint(1, 3))),
        ("transport_protocol", lambda: rng.choice(["tls", "raw_buffer"])),
        ("application_protocols", lambda: rng.sample(OFFERS, rng.randint(1, 2))),
        ("direct_source_prefix_ranges", lambda: _some_ranges(rng)),
        ("source_type", lambda: rng.choice(["SAME_IP_OR_LOOPBACK", "EXTERNAL", "ANY"])),
        ("source_prefix_ranges", lambda: _some_ranges(rng)),
        ("source_ports", lambda: rng.sample(ports, rng.randint(1, 2))),
    ]
    return {field: make() for field, make in rng.sample(some, rng.choice([0, 1, 1, 2, 2, 3, 4]))}


def _some_ranges(rng: random.Random) -> List[Dict[str, Any]]:
    return [cidr(text) for text in rng.sample(RANGES, rng.randint(1, 3))]


def random_facts(rng: random.Random) -> Facts:
    """A connection as listener filters would leave it."""
    def end() -> str:
        ip = rng.choice(IPS)
        return f"[{ip}]:{rng.choice(PORTS)}" if ":" in ip else f"{ip}:{rng.choice(PORTS)}"

    def either() -> str:
        return "/run/p.sock" if rng.random() < 0.05 else end()
    tls = rng.random() < 0.6
    sni = rng.choice([*NAMES, "deep.x.b.a.test", "no.where", ""]) if tls else ""
    alpn = rng.sample([*OFFERS, "else"], rng.randint(0, 3)) if tls else []
    transport = "tls" if tls else rng.choice(["", "raw_buffer"])
    remote = either()
    return Facts(either(), remote, remote if rng.random() < 0.5 else either(), sni, transport, alpn)
