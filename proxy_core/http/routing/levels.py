"""A route table, its virtual hosts, their routes and weighted clusters have some fields in common: changes of headers, settings
of filters, metadata. Here they are prepared once per level, and joined to what holds for one route.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Protocol, Sequence

from ...config.model.header_value import HeaderValueOption
from ...config.nested import AnyValue
from ...errors import Problem
from .context import TableContext
from .filter_settings import Settings, joined, prepare_settings
from .header_mutation import Change, in_order, prepare_headers


class Configured(Protocol):
    """What the messages of all levels have."""

    request_headers_to_add: List[HeaderValueOption]
    request_headers_to_remove: List[str]
    response_headers_to_add: List[HeaderValueOption]
    response_headers_to_remove: List[str]
    typed_per_filter_config: Dict[str, AnyValue]


class Level(NamedTuple):
    """One level, prepared. None: it changes nothing."""

    request: Optional[Change]
    response: Optional[Change]
    filters: Settings


class Joined(NamedTuple):
    """All levels of a route."""

    request: Optional[Change]
    response: Optional[Change]
    filters: Settings


def prepare_level(config: Configured, context: TableContext, path: str, problems: List[Problem]) -> Level:
    """The level at `path`; what is wrong with it is added to `problems`."""
    formats = context.formats
    return Level(
        prepare_headers(config.request_headers_to_add, config.request_headers_to_remove, formats, path, "request", problems),
        prepare_headers(config.response_headers_to_add, config.response_headers_to_remove, formats, path, "response", problems),
        prepare_settings(config.typed_per_filter_config, context, path, problems),
    )


def join(levels: Sequence[Level], most_specific_wins: bool) -> Joined:
    """levels: from the route table to the most specific one. The last to change a header wins: the route table, unless
    most_specific_wins."""
    filters: Settings = {}
    for level in levels:
        filters = joined(filters, level.filters)
    order = list(levels) if most_specific_wins else list(reversed(levels))
    return Joined(in_order([one.request for one in order]), in_order([one.response for one in order]), filters)


