"""Single conditions, compiled: each function here takes a configured matcher and gives a function of the facts.

Mirrors the classes of Envoy's `source/extensions/filters/common/rbac/matchers.cc`.
"""

from __future__ import annotations

from typing import Iterable, List

from ...config.model.address import CidrRange
from ...config.model.core import Int32Range
from ...config.model.matcher import FilterStateMatcher, HeaderMatcher, MetadataMatcher, PathMatcher, StringMatcher
from ...config.model.rbac import Authenticated, SourcedMetadata
from ...http.routing.conditions import (
    filter_state_matcher, filter_state_text, mapping_matcher, metadata_matcher, request_matcher,
)
from ...http.routing.text import path_of, wire
from ...network.cidr import CidrSet, endpoint_number
from ...observe.access_log.matchers import string_matcher
from .facts import AddressOf, Condition, Facts
from .matchers import UpstreamIpPortMatcher

# Where Envoy's filters leave the address of the upstream that they have chosen.
UPSTREAM_ADDRESS = "envoy.stream.upstream_address"


def always(facts: Facts) -> bool:
    """`any`."""
    return True


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
    matches = metadata_matcher(matcher)
    return lambda facts: matches(facts.info)


def sourced_metadata(message: SourcedMetadata) -> Condition:
    """The same of a given origin. Without a route even an inverted condition on its metadata is false."""
    assert message.metadata_matcher is not None
    if message.metadata_source != "ROUTE":
        return metadata(message.metadata_matcher)
    matches = mapping_matcher(message.metadata_matcher)
    return lambda facts: facts.has_route and matches(facts.route_metadata)


def filter_state(matcher: FilterStateMatcher) -> Condition:
    """An object that a filter in front has left, by its text or as an IP address."""
    matches = filter_state_matcher(matcher)
    return lambda facts: matches(facts.info)


def header(matcher: HeaderMatcher) -> Condition:
    """A header of the request, or a pseudo header such as `:method`. False for a connection, inverted or not."""
    matches = request_matcher([matcher])

    def test(facts: Facts) -> bool:
        head = facts.request
        return head is not None and matches(head)

    return test


def url_path(matcher: PathMatcher) -> Condition:
    """The path of the request without query and fragment. False for a connection."""
    assert matcher.path is not None
    matches = string_matcher(matcher.path, wire)

    def test(facts: Facts) -> bool:
        head = facts.request
        return head is not None and bool(head.path) and matches(path_of(head.path))

    return test


def upstream_ip_port(message: UpstreamIpPortMatcher) -> Condition:
    """The address of the upstream, as an earlier filter has left it in the filter state. False if none has."""
    ranges = None if message.upstream_ip is None else CidrSet([message.upstream_ip.network()])
    ports = message.upstream_port_range

    def test(facts: Facts) -> bool:
        text = filter_state_text(facts.info.filter_state.get(UPSTREAM_ADDRESS, ""))
        number, port = endpoint_number(text), text.rpartition(":")[2]
        if number < 0 or not port.isdigit():
            return False
        in_range = ranges is None or ranges.contains(number)
        return in_range and (ports is None or ports.start <= int(port) <= ports.end)

    return test
