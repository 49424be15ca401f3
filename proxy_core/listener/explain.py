"""`explain`: which filter chain a connection would get, asked in words and answered in text or JSON.

    question = read_question({"dst": "10.0.0.1:443", "src": "192.0.2.9:5000", "sni": "a.test"})
    answer = answer_question(targets, question)
    answer.text(), answer.to_json(), answer.found

The command line and the admin both ask here. What no listener filter of the listener would find out counts as
not known, with a note: the answer is about what would happen, not about what was hoped for.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..config.chain_criteria import RAW_BUFFER, TLS, ascii_lower
from ..config.check_chains import factory_name
from ..config.connection_kinds import HTTP_PROTOCOLS, Filters, filters_of, redirected
from ..config.model.listener import Filter, FilterChain
from ..config.model.listener import Listener as ListenerConfig
from ..network.address import Address
from ..observe.escape import one_line
from .chain_explain import Explanation
from .chain_match import ChainMatcher

PARAMETERS: Final = ("dst", "src", "direct_src", "sni", "alpn", "transport", "listener")
TRANSPORTS: Final = (TLS, RAW_BUFFER)

_UNIX: Final = "unix:"
_NO_CHAIN: Final = "none: the connection is closed (NR, filter_chain_not_found, stat no_filter_chain_match)"


class Question(NamedTuple):
    """What is asked. An address is None, a text "" if it was not given."""

    dst: Optional[Address]
    src: Optional[Address]
    direct_src: Optional[Address]
    sni: str
    alpn: Tuple[str, ...]
    transport: str
    listener: str


class Target(NamedTuple):
    """A listener that may be meant. addresses: where it listens."""

    name: str
    config: ListenerConfig
    addresses: Sequence[Address]

    @property
    def label(self) -> str:
        """"'name' on 0.0.0.0:443, [::]:443"."""
        places = ", ".join(one_line(address.text) for address in self.addresses)
        return f"'{one_line(self.name)}' on {places}" if self.name else f"on {places}"

    def is_on(self, dst: Address) -> bool:
        """Whether it listens on exactly this address."""
        return dst in self.addresses

    def is_on_all_of(self, dst: Address) -> bool:
        """Whether it listens on all addresses of this sort, at this port."""
        wildcards = {"::"} if ":" in dst.ip else {"0.0.0.0", "::"} if self._takes_ipv4 else {"0.0.0.0"}
        return bool(dst.ip) and any(one.ip in wildcards and one.port == dst.port for one in self.addresses)

    @property
    def _takes_ipv4(self) -> bool:
        configured = [self.config.address, *(extra.address for extra in self.config.additional_addresses)]
        sockets = [one.socket_address for one in configured if one is not None]
        return any(one is not None and one.ipv4_compat for one in sockets)


class Facts:
    """A connection as it would be when the chain is chosen."""

    def __init__(self, remote: Address, direct_remote: Address, local: Address) -> None:
        self.remote_address = remote
        self.direct_remote_address = direct_remote
        self.local_address = local
        self.transport_protocol = ""
        self.application_protocols: Tuple[str, ...] = ()
        self.requested_server_name = ""

    def to_json(self) -> Dict[str, Any]:
        """As far as it is known."""
        return {
            "source": self.remote_address.text,
            "direct_source": self.direct_remote_address.text,
            "destination": self.local_address.text,
            "transport": self.transport_protocol,
            "server_name": self.requested_server_name,
            "application_protocols": list(self.application_protocols),
        }


class Answer:
    """The listener, the connection with what was assumed of it, and the explanation."""

    def __init__(
        self, target: Target, facts: Facts, notes: List[str], explanation: Explanation[FilterChain]
    ) -> None:
        self.target = target
        self.facts = facts
        self.notes = notes
        self.explanation = explanation

    @property
    def found(self) -> bool:
        """Whether the connection gets a chain."""
        return self.explanation.chosen is not None

    def text(self) -> str:
        """Several lines, with the last line end."""
        explanation = self.explanation
        lines = [f"listener {self.target.label}", f"connection {explanation.connection}"]
        lines += [f"note: {note}" for note in self.notes]
        if explanation.chosen is None:
            lines.append(f"filter chain: {_NO_CHAIN}")
        else:
            filters = ", ".join(_filter_text(one) for one in explanation.chosen.filters) or "no filters"
            lines.append(f"filter chain: {explanation.verdict}: {filters}")
        return "\n".join([*lines, *explanation.reasons()]) + "\n"

    def to_json(self) -> Dict[str, Any]:
        """The same for programs; "filter_chain" is null if there is none."""
        explanation = self.explanation
        chain: Optional[Dict[str, Any]] = None
        if explanation.chosen is not None:
            chain = {
                "name": explanation.chosen.name,
                "default": explanation.index < 0,
                "index": explanation.index if explanation.index >= 0 else None,
                "filters": [one.name for one in explanation.chosen.filters],
            }
        return {
            "listener": {"name": self.target.name, "addresses": [one.text for one in self.target.addresses]},
            "connection": self.facts.to_json(),
            "notes": self.notes,
            "filter_chain": chain,
            "ruled_out": [one.to_json() for one in explanation.ruled_out],
        }


def _filter_text(one: Filter) -> str:
    kind = factory_name(one.typed_config.type_name) if one.typed_config is not None else ""
    return one_line(one.name if one.name == kind or not kind else f"{one.name} ({kind})")


def read_question(parameters: Mapping[str, str]) -> Question:
    """Check the parameters (PARAMETERS; one that is missing or "" was not given). Raises ValueError with a
    sentence.
    """
    transport = parameters.get("transport", "")
    if transport and transport not in TRANSPORTS:
        raise ValueError(f"transport: expected tls or raw_buffer, found '{one_line(transport)}'")
    sni = ascii_lower(parameters.get("sni", ""))
    if sni and transport == RAW_BUFFER:
        raise ValueError("sni: a server name comes only with transport tls")
    alpn = tuple(one for one in parameters.get("alpn", "").split(",") if one)
    dst, src, direct_src = (_address_of(parameters, name) for name in ("dst", "src", "direct_src"))
    if dst is not None and dst.ip and not dst.port:
        raise ValueError(f"dst: expected IP:PORT, found '{dst.ip}' without a port")
    return Question(dst, src, direct_src, sni, alpn, transport, parameters.get("listener", ""))


def _address_of(parameters: Mapping[str, str], name: str) -> Optional[Address]:
    text = parameters.get(name, "")
    if not text:
        return None
    if text.startswith((_UNIX, "/", "@")):
        return Address.from_path(text[len(_UNIX):] if text.startswith(_UNIX) else text)
    ip, port = _split(text)
    try:
        if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535 or "%" in ip:
            raise ValueError
        return Address.from_ip(str(ipaddress.ip_address(ip)), int(port))
    except ValueError:
        expected = "expected IP:PORT, [IPV6]:PORT or unix:/path"
        raise ValueError(f"{name}: {expected}, found '{one_line(text)}'") from None


def _split(text: str) -> Tuple[str, str]:
    """IP and port; without a port "0", which no chain names."""
    if text.startswith("["):
        ip, closed, port = text[1:].partition("]")
        return ip, "0" if closed and not port else port[1:] if port.startswith(":") else ""
    if text.count(":") == 1:
        ip, _, port = text.partition(":")
        return ip, port
    return text, "0"


def answer_question(targets: Sequence[Target], question: Question) -> Answer:
    """Find the listener and explain. Raises ValueError, with the listeners that there are, if none or several
    may be meant.
    """
    notes: List[str] = []
    target = _target_of(targets, question)
    filters = filters_of(target.config)
    facts = _ends(target, question, filters, notes)
    _set_contents(facts, question, filters, notes)
    config = target.config
    if any(one.filter_disabled is not None for one in config.listener_filters):
        notes.append("filter_disabled is not looked at: each listener filter counts as switched on")
    matcher = ChainMatcher(
        [(chain.filter_chain_match, chain) for chain in config.filter_chains], config.default_filter_chain
    )
    return Answer(target, facts, notes, matcher.explain(facts))


def _target_of(targets: Sequence[Target], question: Question) -> Target:
    listed = "; ".join(target.label for target in targets) or "none"
    if question.listener:
        for target in targets:
            if target.name == question.listener:
                return target
        raise ValueError(f"there is no listener '{one_line(question.listener)}'; the listeners: {listed}")
    if question.dst is not None:
        closest = [one for one in targets if one.is_on(question.dst)] or [
            one for one in targets if one.is_on_all_of(question.dst)
        ]
        if closest:
            return closest[0]
    if len(targets) == 1:
        return targets[0]
    if question.dst is None:
        raise ValueError(f"which listener? Give dst or listener; the listeners: {listed}")
    advice = "if it is a restored destination, give listener too"
    raise ValueError(f"no listener is on {one_line(question.dst.text)}; {advice}; the listeners: {listed}")


def _ends(target: Target, question: Question, filters: Filters, notes: List[str]) -> Facts:
    bound = target.addresses[0]
    dst = question.dst or _default_dst(bound)
    restored = filters.proxy_protocol or filters.other or redirected(target.config, filters)
    if not restored and not (target.is_on(dst) or target.is_on_all_of(dst)):
        why = "none of its listener filters restores a destination"
        notes.append(f"the listener is not on {one_line(dst.text)}, and {why}")
    src = question.src or question.direct_src
    if src is None:
        src = _default_src(dst)
        notes.append(f"no src was given: {src.ip or 'a Unix socket'}, from a port that no chain names")
    direct = question.direct_src or src
    if direct != src and not filters.proxy_protocol and not filters.other:
        notes.append("src is direct_src: there is no proxy_protocol among the listener filters")
        src = direct
    if src.ip and dst.ip and src.family != dst.family:
        raise ValueError(f"src and dst: {src.ip} and {dst.ip} are of different IP versions")
    return Facts(src, direct, dst)


def _default_dst(bound: Address) -> Address:
    return _loopback(bound, bound.port) if bound.ip in ("0.0.0.0", "::") else bound


def _default_src(dst: Address) -> Address:
    return _loopback(dst, 0) if dst.ip else Address.from_path("")


def _loopback(like: Address, port: int) -> Address:
    return Address.from_ip("::1" if ":" in like.ip else "127.0.0.1", port)


def _set_contents(facts: Facts, question: Question, filters: Filters, notes: List[str]) -> None:
    """What the listener filters would find in the first bytes."""
    in_clear = question.transport == RAW_BUFFER or not question.transport and _is_http(question, filters)
    if not in_clear and (question.sni or question.alpn or question.transport):
        if filters.tls_inspector or filters.other:
            facts.transport_protocol = TLS
            facts.requested_server_name = question.sni
            facts.application_protocols = question.alpn
            return
        notes.append("there is no tls_inspector among the listener filters: nothing is known of its TLS")
    facts.transport_protocol = RAW_BUFFER
    if not in_clear:
        return
    known = HTTP_PROTOCOLS if filters.http_inspector else frozenset()
    found = question.alpn if filters.other else tuple(one for one in question.alpn if one in known)
    if found != question.alpn:
        notes.append("in clear text only http_inspector finds protocols: http/1.0, http/1.1 and h2c")
    facts.application_protocols = found


def _is_http(question: Question, filters: Filters) -> bool:
    """Whether a protocol without a transport was meant as clear text, since nothing else can be seen."""
    only_http = filters.http_inspector and not filters.tls_inspector and not question.sni
    return only_http and bool(question.alpn) and HTTP_PROTOCOLS.issuperset(question.alpn)
