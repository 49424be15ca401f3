"""New paths and hosts of forwarded requests. Mirrors `finalizePathHeader` and `finalizeHostHeader`.

The old ones are kept in `x-envoy-original-path` and `x-envoy-original-host`.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...config.model.matcher import RegexMatchAndSubstitute
from ...config.model.route_action import RouteAction
from ...config.model.route_match import RouteMatch
from ...observe.stream_info import StreamInfo
from ...re2 import compile_regex
from ..events import RequestHead
from .formatting import Formats
from .text import path_of, wire

ORIGINAL_PATH = "x-envoy-original-path"
ORIGINAL_HOST = "x-envoy-original-host"
FORWARDED_HOST = "x-forwarded-host"
UNKNOWN = "-"  # what operators in a new host print for what is not known; in a new path that is nothing

NewPath = Callable[[RequestHead, StreamInfo], Optional[str]]
NewHost = Callable[[RequestHead, StreamInfo], Optional[str]]
Rewrite = Callable[[RequestHead, StreamInfo], None]


def prepare_rewrite(config: RouteAction, match: RouteMatch, formats: Formats) -> Optional[Rewrite]:
    """What a route does with host and path; None if nothing. Raises ValueError."""
    path, host, append = new_path(config, match, formats), new_host(config, formats), config.append_x_forwarded_host
    if path is None and host is None:
        return None

    def rewrite(head: RequestHead, info: StreamInfo) -> None:
        if host is not None:
            name = host(head, info)
            if name:
                rewrite_host(head, name, append)
        if path is not None:
            rewrite_path(head, path(head, info))
    return rewrite


def rewrite_path(head: RequestHead, path: Optional[str]) -> None:
    """Give the request another path with query, and remember the old one. None: leave it."""
    if path is None:
        return
    head.headers.set(ORIGINAL_PATH, head.path)
    head.path = path


def rewrite_host(head: RequestHead, host: str, append_forwarded: bool) -> None:
    """Give the request another host, and remember the old one. append_forwarded: in `x-forwarded-host` as well, unless it is
    the last there already."""
    old = head.authority or ""
    head.headers.set(ORIGINAL_HOST, old)
    if append_forwarded and old:
        last = (head.headers.get(FORWARDED_HOST) or "").rpartition(",")[2]
        if last != old:
            head.headers.append(FORWARDED_HOST, old)
    head.authority = host


def new_path(config: Any, match: RouteMatch, formats: Formats) -> Optional[NewPath]:
    """What the rewrites of a RouteAction or RedirectAction make of a path with its query; None without one."""
    if config.prefix_rewrite:
        return _prefix(wire(config.prefix_rewrite), match)
    if config.regex_rewrite is not None:
        replaced = substitution(config.regex_rewrite)

        def by_regex(head: RequestHead, info: StreamInfo) -> str:
            path = path_of(head.path)
            return replaced(path) + head.path[len(path):]
        return by_regex
    if config.path_rewrite:
        render = formats.compile(config.path_rewrite)

        def by_format(head: RequestHead, info: StreamInfo) -> Optional[str]:
            path = render(info)
            return path + head.path[len(path_of(head.path)):] if path else None
        return by_format
    return None


def new_host(config: RouteAction, formats: Formats) -> Optional[NewHost]:
    """The new host of a request, None or "" to leave it."""
    if config.host_rewrite_literal:
        literal = wire(config.host_rewrite_literal)
        return lambda head, info: literal
    if config.host_rewrite_header:
        name = wire(config.host_rewrite_header.lower())
        return lambda head, info: head.headers.get(name)
    if config.host_rewrite_path_regex is not None:
        replaced = substitution(config.host_rewrite_path_regex)
        return lambda head, info: replaced(path_of(head.path))
    if config.host_rewrite:
        render = formats.compile(config.host_rewrite, UNKNOWN)
        return lambda head, info: render(info)
    return None


def substitution(config: RegexMatchAndSubstitute) -> Callable[[str], str]:
    """What replaces each match in a text. Raises ValueError."""
    assert config.pattern is not None
    return compile_regex(wire(config.pattern.regex)).replacer(wire(config.substitution))


def _prefix(new: str, match: RouteMatch) -> NewPath:
    """For routes with a prefix what that matched is replaced, for others the whole path."""
    matched = match.prefix if match.prefix is not None else match.path_separated_prefix
    if matched is None:
        return lambda head, info: new + head.path[len(path_of(head.path)):]
    length = len(wire(matched))
    return lambda head, info: new + head.path[length:]
