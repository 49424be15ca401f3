"""Access-log filters: which lines are written at all. Compiled from the `filter` of a configured access log.

The configuration comes as message objects with Envoy's field names (`config.accesslog.v3.AccessLogFilter`):
unset fields are None, enums are their names. A compiled filter is a function of the connection and the
moment. Mirrors `source/common/access_log/access_log_impl.cc`.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, NamedTuple, Optional

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


class Sources(NamedTuple):
    """What a filter reads besides the connection.

    draw: gives a number in [0, 1) for `runtime_filter`. runtime: the value of a runtime key, None when it has none.
    """

    draw: Callable[[], float] = random.random
    runtime: Callable[[str], Any] = lambda key: None


def compile_filter(message: Any, sources: Sources = Sources()) -> Filter:
    """The function of an AccessLogFilter message.

    Raises ValueError for a filter kind that is not supported and for values that no connection could have.
    """
    for name, build in _KINDS.items():
        part = getattr(message, name, None)
        if part is not None:
            return build(part, sources)
    raise ValueError("access log filter: no supported filter is set, expected one of " + ", ".join(_KINDS))


def _status_code(message: Any, sources: Sources) -> Filter:
    compare = _comparison(message.comparison, sources)
    return lambda info, context: compare(_response_code(info))


def _duration(message: Any, sources: Sources) -> Filter:
    compare = _comparison(message.comparison, sources)

    def passes(info: StreamInfo, context: LogContext) -> bool:
        end = context.mono if info.end_mono is None else info.end_mono
        return compare(int((end - info.start_mono) * 1000 + 1e-6))

    return passes


def _not_health_check(message: Any, sources: Sources) -> Filter:
    return lambda info, context: info.http is None or not info.http.fact("HEALTH_CHECK")


def _runtime(message: Any, sources: Sources) -> Filter:
    """A share of all lines: what the runtime key says, in percent or as a FractionalPercent, else the configured share."""
    key, draw = message.runtime_key, sources.draw
    share = 0.0 if message.percent_sampled is None else _share(
        message.percent_sampled.numerator, message.percent_sampled.denominator
    )

    def passes(info: StreamInfo, context: LogContext) -> bool:
        value = sources.runtime(key)
        if isinstance(value, dict):
            return draw() < _share(value.get("numerator", 0), value.get("denominator"))
        number = _number(value)
        return draw() < (share if number is None else number / 100)

    return passes


def _share(numerator: int, denominator: Optional[str]) -> float:
    return numerator / _DENOMINATORS[denominator or "HUNDRED"]


def _number(value: Any) -> Optional[int]:
    """A runtime value as a whole number; None when there is none or it is something else."""
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None


def _and(message: Any, sources: Sources) -> Filter:
    filters = _several(message.filters, sources)
    return lambda info, context: all(passes(info, context) for passes in filters)


def _or(message: Any, sources: Sources) -> Filter:
    filters = _several(message.filters, sources)
    return lambda info, context: any(passes(info, context) for passes in filters)


def _response_flag(message: Any, sources: Sources) -> Filter:
    """Lines with one of these flags; an empty list asks for any flag."""
    wanted = frozenset(message.flags)
    for flag in sorted(wanted - RESPONSE_FLAGS.keys()):
        raise ValueError(f"response_flag_filter: there is no response flag '{flag}'")
    if not wanted:
        return lambda info, context: bool(info.response_flags)
    return lambda info, context: not wanted.isdisjoint(info.response_flags)


def _log_type(message: Any, sources: Sources) -> Filter:
    types, exclude = frozenset(message.types), bool(message.exclude)
    return lambda info, context: (context.log_type in types) != exclude


def _metadata(message: Any, sources: Sources) -> Filter:
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


def _header(message: Any, sources: Sources) -> Filter:
    """Lines whose request has a header; a TCP connection has no headers at all."""
    name, matches = message.header.name.lower(), header_matcher(message.header)
    return lambda info, context: matches(None if info.http is None else info.http.request_header(name))


_KINDS: Dict[str, Callable[[Any, Sources], Filter]] = {
    "status_code_filter": _status_code,
    "duration_filter": _duration,
    "not_health_check_filter": _not_health_check,
    "traceable_filter": lambda message, sources: lambda info, context: False,  # nothing is traced here
    "runtime_filter": _runtime,
    "and_filter": _and,
    "or_filter": _or,
    "header_filter": _header,
    "response_flag_filter": _response_flag,
    "log_type_filter": _log_type,
    "metadata_filter": _metadata,
}


def _several(messages: Any, sources: Sources) -> List[Filter]:
    return [compile_filter(message, sources) for message in messages]


def _comparison(message: Any, sources: Sources) -> Callable[[int], bool]:
    """Compares with the value of the runtime key, or with the default."""
    compare, key, default = _COMPARISONS[message.op or "EQ"], message.value.runtime_key, int(message.value.default_value)

    def passes(left: int) -> bool:
        right = _number(sources.runtime(key))
        return compare(left, default if right is None else right)

    return passes


def _response_code(info: StreamInfo) -> int:
    return int(info.http.fact("RESPONSE_CODE") or 0) if info.http is not None else 0
