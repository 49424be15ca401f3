"""What a route asks of a request besides its path: compiled to functions. Mirrors `RouteEntryImplBase::matchRoute`.

A condition is called as `condition(head, info, random_value)`.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional, Sequence

from ...config.model.matcher import FilterStateMatcher, HeaderMatcher, MetadataMatcher
from ...config.model.route_match import CookieMatcher, QueryParameterMatcher, RouteMatch, TlsContextMatchOptions
from ...network.cidr import CidrSet, endpoint_number, ip_number
from ...observe.access_log.matchers import header_lines_matcher, string_matcher, value_matcher
from ...observe.stream_info import StreamInfo
from ..events import RequestHead, ResponseHead
from .fraction import fraction
from .text import wire
from .values import cookie_value, query_value, request_values, response_values

Condition = Callable[[RequestHead, StreamInfo, int], bool]
RequestTest = Callable[[RequestHead], bool]


def conditions_of(match: RouteMatch, runtime: Any) -> List[Condition]:
    """All conditions but the path, in Envoy's order, the cheap ones first. runtime: see `fraction`."""
    found: List[Condition] = []
    is_on = fraction(match.runtime_fraction, runtime)
    if is_on is not None:
        takes = is_on
        found.append(lambda head, info, random_value: takes(random_value))
    found += [_of_request(request_matcher([one])) for one in match.headers]
    found += [_of_request(query_matcher([one])) for one in match.query_parameters]
    found += [_of_request(_cookie(one)) for one in match.cookies]
    if match.tls_context is not None:
        found.append(_tls(match.tls_context))
    found += [_of_info(metadata_matcher(one)) for one in match.dynamic_metadata]
    found += [_of_info(filter_state_matcher(one)) for one in match.filter_state]
    return found


def all_of(conditions: Sequence[Condition]) -> Optional[Condition]:
    """One condition instead of several; None if there is none."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None

    def test(head: RequestHead, info: StreamInfo, random_value: int) -> bool:
        for condition in conditions:
            if not condition(head, info, random_value):
                return False
        return True
    return test


def request_matcher(matchers: Sequence[HeaderMatcher]) -> RequestTest:
    """Whether all of these HeaderMatchers match a request; pseudo headers (":path", ":method") are known."""
    tests = [(request_values(one.name), header_lines_matcher(one, wire)) for one in matchers]
    if len(tests) == 1:
        (values, matches), = tests
        return lambda head: matches(values(head))
    return lambda head: all(matches(values(head)) for values, matches in tests)


def response_matcher(matcher: HeaderMatcher) -> Callable[[ResponseHead], bool]:
    """Whether a HeaderMatcher matches a response."""
    values, matches = response_values(matcher.name), header_lines_matcher(matcher, wire)
    return lambda head: matches(values(head))


def query_matcher(matchers: Sequence[QueryParameterMatcher]) -> RequestTest:
    """Whether all of these match the query of a request: the first of each name counts, as it is written."""
    tests = [_parameter(one) for one in matchers]
    return tests[0] if len(tests) == 1 else lambda head: all(test(head) for test in tests)


def _parameter(matcher: QueryParameterMatcher) -> RequestTest:
    name = wire(matcher.name)
    if matcher.string_match is None:
        wanted = matcher.present_match is not False
        return lambda head: (query_value(head.path, name) is not None) is wanted
    matches = string_matcher(matcher.string_match, wire)

    def test(head: RequestHead) -> bool:
        value = query_value(head.path, name)
        return value is not None and matches(value)
    return test


def _cookie(matcher: CookieMatcher) -> RequestTest:
    """A missing cookie matches nothing, but the inverted condition."""
    name, invert, matches = wire(matcher.name), matcher.invert_match, string_matcher(matcher.string_match, wire)

    def test(head: RequestHead) -> bool:
        value = cookie_value(head.headers, name)
        return (value is not None and matches(value)) is not invert
    return test


def _tls(options: TlsContextMatchOptions) -> Condition:
    presented, validated = options.presented, options.validated

    def test(head: RequestHead, info: StreamInfo, random_value: int) -> bool:
        # Clients are asked for a certificate only where it is checked, and a bad one ends the handshake.
        is_good = bool((info.tls or {}).get("peer_cert"))
        return (presented is None or presented is is_good) and (validated is None or validated is is_good)
    return test


def metadata_matcher(matcher: MetadataMatcher) -> Callable[[StreamInfo], bool]:
    """A value in the dynamic metadata."""
    matches = mapping_matcher(matcher)
    return lambda info: matches(info.dynamic_metadata)


def mapping_matcher(matcher: MetadataMatcher) -> Callable[[Mapping[str, Any]], bool]:
    """A value in metadata by namespace. One that is not there matches nothing, not even `null_match`, but the inversion."""
    namespace, keys = matcher.filter, [segment.key for segment in matcher.path]
    matches, invert = value_matcher(matcher.value), matcher.invert

    def test(metadata: Mapping[str, Any]) -> bool:
        found: Any = metadata.get(namespace)
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return invert
            found = found[key]
        return bool(matches(found)) is not invert
    return test


def filter_state_matcher(matcher: FilterStateMatcher) -> Callable[[StreamInfo], bool]:
    """An object that a filter has left, by its text or as an IP address."""
    key = matcher.key
    if matcher.string_match is not None:
        matches = string_matcher(matcher.string_match)
        return lambda info: key in info.filter_state and matches(filter_state_text(info.filter_state[key]))
    assert matcher.address_match is not None
    contains = CidrSet([one.network() for one in matcher.address_match.ranges]).contains
    invert = matcher.address_match.invert_match

    def test(info: StreamInfo) -> bool:
        text = filter_state_text(info.filter_state.get(key, ""))
        number = ip_number(text)
        if number < 0:
            number = endpoint_number(text)
        return number >= 0 and contains(number) is not invert
    return test


def filter_state_text(value: Any) -> str:
    """An object of the filter state as Envoy serializes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _of_request(test: RequestTest) -> Condition:
    return lambda head, info, random_value: test(head)


def _of_info(test: Callable[[StreamInfo], bool]) -> Condition:
    return lambda head, info, random_value: test(info)
