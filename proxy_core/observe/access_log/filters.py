"""Access-log filters: which lines are written at all. Compiled from the `filter` of a configured access log.

The configuration comes as message objects with Envoy's field names (`config.accesslog.v3.AccessLogFilter`):
unset fields are None, enums are their names. A compiled filter is a function of the connection and the
moment. Mirrors `source/common/access_log/access_log_impl.cc`.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List

from ..stream_info import StreamInfo
from .flags import RESPONSE_FLAGS
from .logger import Filter
from .matchers import header_matcher, value_matcher
from .values import LogContext

_COMPARISONS: Dict[str, Callable[[int, int], bool]] = {
    "EQ": lambda left, right: left == right,
    "GE": lambda left, right: left >= right,
    "LE": lambda left, right: left <= right,
    "NE": lambda left, right: left != right,
}
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def compile_filter(message: Any, draw: Callable[[], float] = random.random) -> Filter:
    """The function of an AccessLogFilter message.

    draw: gives a number in [0, 1) for `runtime_filter`.
    Raises ValueError for a filter kind that is not supported and for values that no connection could have.
    """
    for name, build in _KINDS.items():
        part = getattr(message, name, None)
        if part is not None:
            return build(part, draw)
    raise ValueError("access log filter: no supported filter is set, expected one of " + ", ".join(_KINDS))


def _status_code(message: Any, draw: Callable[[], float]) -> Filter:
    compare = _comparison(message.comparison)
    return lambda info, context: compare(_response_code(info))


def _duration(message: Any, draw: Callable[[], float]) -> Filter:
    compare = _comparison(message.comparison)

    def passes(info: StreamInfo, context: LogContext) -> bool:
        end = context.mono if info.end_mono is None else info.end_mono
        return compare(int((end - info.start_mono) * 1000 + 1e-6))

    return passes


def _not_health_check(message: Any, draw: Callable[[], float]) -> Filter:
    return lambda info, context: info.http is None or not info.http.fact("HEALTH_CHECK")


def _runtime(message: Any, draw: Callable[[], float]) -> Filter:
    """A share of all lines. Without a runtime layer the key has no value, so the configured share counts."""
    percent = message.percent_sampled
    if percent is None:
        return lambda info, context: False
    share = percent.numerator / _DENOMINATORS[percent.denominator or "HUNDRED"]
    return lambda info, context: draw() < share


def _and(message: Any, draw: Callable[[], float]) -> Filter:
    filters = _several(message.filters, draw)
    return lambda info, context: all(passes(info, context) for passes in filters)


def _or(message: Any, draw: Callable[[], float]) -> Filter:
    filters = _several(message.filters, draw)
    return lambda info, context: any(passes(info, context) for passes in filters)


def _response_flag(message: Any, draw: Callable[[], float]) -> Filter:
    """Lines with one of these flags; an empty list asks for any flag."""
    wanted = frozenset(message.flags)
    for flag in sorted(wanted - RESPONSE_FLAGS.keys()):
        raise ValueError(f"response_flag_filter: there is no response flag '{flag}'")
    if not wanted:
        return lambda info, context: bool(info.response_flags)
    return lambda info, context: not wanted.isdisjoint(info.response_flags)


def _log_type(message: Any, draw: Callable[[], float]) -> Filter:
    types, exclude = frozenset(message.types), bool(message.exclude)
    return lambda info, context: (context.log_type in types) != exclude


def _metadata(message: Any, draw: Callable[[], float]) -> Filter:
    """Lines whose dynamic metadata matches at `matcher.path`; `match_if_key_not_found` without the path."""
    matcher = message.matcher
    without = True if message.match_if_key_not_found is None else bool(message.match_if_key_not_found)
    if matcher is None:
        return lambda info, context: without
    keys = [segment.key for segment in matcher.path]
    matches, invert = value_matcher(matcher.value), bool(matcher.invert)

    def passes(info: StreamInfo, context: LogContext) -> bool:
        found: Any = info.dynamic_metadata.get(matcher.filter)
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return without
            found = found[key]
        return matches(found) != invert

    return passes


def _header(message: Any, draw: Callable[[], float]) -> Filter:
    """Lines whose request has a header; a TCP connection has no headers at all."""
    name, matches = message.header.name.lower(), header_matcher(message.header)
    return lambda info, context: matches(None if info.http is None else info.http.request_header(name))


_KINDS: Dict[str, Callable[[Any, Callable[[], float]], Filter]] = {
    "status_code_filter": _status_code,
    "duration_filter": _duration,
    "not_health_check_filter": _not_health_check,
    "runtime_filter": _runtime,
    "and_filter": _and,
    "or_filter": _or,
    "header_filter": _header,
    "response_flag_filter": _response_flag,
    "log_type_filter": _log_type,
    "metadata_filter": _metadata,
}


def _several(messages: Any, draw: Callable[[], float]) -> List[Filter]:
    return [compile_filter(message, draw) for message in messages]


def _comparison(message: Any) -> Callable[[int], bool]:
    compare, right = _COMPARISONS[message.op or "EQ"], int(message.value.default_value)
    return lambda left: compare(left, right)


def _response_code(info: StreamInfo) -> int:
    return int(info.http.fact("RESPONSE_CODE") or 0) if info.http is not None else 0
