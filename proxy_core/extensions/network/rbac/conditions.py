"""Single conditions, compiled: each function here takes a configured matcher and gives a function of the facts.

Mirrors the classes of Envoy's `source/extensions/filters/common/rbac/matchers.cc`.
"""

from __future__ import annotations

from typing import Any, Iterable, List

from ....config.model.address import CidrRange
from ....config.model.core import Int32Range
from ....config.model.matcher import FilterStateMatcher, MetadataMatcher, StringMatcher
from ....config.model.rbac import Authenticated, SourcedMetadata
from ....network.cidr import CidrSet, endpoint_number, ip_number
from ....observe.access_log.matchers import string_matcher, value_matcher
from .config import UpstreamIpPortMatcher
from .facts import AddressOf, Condition, Facts

# Where Envoy's filters leave the address of the upstream that they have chosen.
UPSTREAM_ADDRESS = "envoy.stream.upstream_address"


def always(facts: Facts) -> bool:
    """`any`."""
    return True


def never(facts: Facts) -> bool:
    """What needs something that a TCP connection has not."""
    return False


def in_ranges(address: AddressOf, ranges: Iterable[CidrRange]) -> Condition:
    """An address in one of many networks. An IPv4 or IPv6 address only: a Unix socket is in none."""
    contains = CidrSet([one.network() for one in ranges]).contains
    return lambda facts: contains(address(facts))


def port_is(port: int) -> Condition:
    """`destination_port`."""
    return lambda facts: facts.local_port == port


def port_in(ports: Int32Range) -> Condition:
    """`destination_port_range`: the end is exclusive."""
    first, end = ports.start, ports.end
    return lambda facts: first <= facts.local_port < end


def server_name(matcher: StringMatcher) -> Condition:
    """`requested_server_name`; without SNI it is the empty string."""
    matches = string_matcher(matcher)
    return lambda facts: matches(facts.info.requested_server_name)


def authenticated(message: Authenticated) -> Condition:
    """A TLS client; one of the names in its certificate matches. The names are tried in Envoy's order: URI SANs, DNS SANs,
    then the subject, which is empty without a certificate."""
    if message.principal_name is None:
        return lambda facts: facts.info.tls is not None
    matches = string_matcher(message.principal_name)

    def test(facts: Facts) -> bool:
        tls = facts.info.tls
        if tls is None:
            return False
        names: List[str] = [*tls.get("peer_uri_san", ()), *tls.get("peer_dns_san", ()), tls.get("peer_subject") or ""]
        return any(matches(name) for name in names)

    return test


def metadata(matcher: MetadataMatcher) -> Condition:
    """A value in the dynamic metadata. One that is not there matches nothing, not even `null_match`, but its inversion."""
    namespace, keys = matcher.filter, [segment.key for segment in matcher.path]
    matches, invert = value_matcher(matcher.value), matcher.invert

    def test(facts: Facts) -> bool:
        found: Any = facts.info.dynamic_metadata.get(namespace)
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return invert
            found = found[key]
        return bool(matches(found)) is not invert

    return test


def sourced_metadata(message: SourcedMetadata) -> Condition:
    """The same of a given origin. Without a route even an inverted condition on its metadata is false."""
    assert message.metadata_matcher is not None
    return never if message.metadata_source == "ROUTE" else metadata(message.metadata_matcher)


def filter_state(matcher: FilterStateMatcher) -> Condition:
    """An object that a filter in front has left, by its text or as an IP address."""
    key = matcher.key
    if matcher.string_match is not None:
        matches = string_matcher(matcher.string_match)
        return lambda facts: key in facts.info.filter_state and matches(_text(facts.info.filter_state[key]))
    assert matcher.address_match is not None
    contains = CidrSet([one.network() for one in matcher.address_match.ranges]).contains
    invert = matcher.address_match.invert_match

    def test(facts: Facts) -> bool:
        number = _number(facts.info.filter_state.get(key))
        return number >= 0 and contains(number) is not invert

    return test


def upstream_ip_port(message: UpstreamIpPortMatcher) -> Condition:
    """The address of the upstream, as an earlier filter has left it in the filter state. False if none has."""
    ranges = None if message.upstream_ip is None else CidrSet([message.upstream_ip.network()])
    ports = message.upstream_port_range

    def test(facts: Facts) -> bool:
        text = _text(facts.info.filter_state.get(UPSTREAM_ADDRESS, ""))
        number, port = endpoint_number(text), text.rpartition(":")[2]
        if number < 0 or not port.isdigit():
            return False
        in_range = ranges is None or ranges.contains(number)
        return in_range and (ports is None or ports.start <= int(port) <= ports.end)

    return test


def _text(value: Any) -> str:
    """An object of the filter state as Envoy serializes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(value: Any) -> int:
    """An object of the filter state as an IP address, with or without a port."""
    text = _text(value)
    number = ip_number(text)
    return number if number >= 0 else endpoint_number(text)
