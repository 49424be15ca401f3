"""The routes of one virtual host, ready to be asked. Mirrors `VirtualHostImpl::getRouteFromEntries`."""

from __future__ import annotations

import re
from typing import Callable, Final, List, NamedTuple, Optional, Sequence

from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .conditions import Condition
from .index import Entry, RouteIndex
from .paths import PathRule
from .route import PreparedRoute
from .weighted import WeightedChoice


_PARAMETERS: Final = re.compile(r";[^/]*")


class Candidate(NamedTuple):
    """A route and what it asks. choice: in the place of `route`, where several share the requests."""

    path_test: Optional[Callable[[str], bool]]
    condition: Optional[Condition]
    route: Optional[PreparedRoute]
    choice: Optional[WeightedChoice[PreparedRoute]]


class Rule(NamedTuple):
    """A route of the configuration. path: None for CONNECT."""

    path: Optional[PathRule]
    condition: Optional[Condition]
    route: Optional[PreparedRoute]
    choice: Optional[WeightedChoice[PreparedRoute]]


class HostRoutes:
    """The routes of a virtual host in their order."""

    __slots__ = ("_index", "_connect", "_tls_redirect", "_internal_too", "_parameters")

    def __init__(
        self, rules: Sequence[Rule], tls_redirect: Optional[PreparedRoute], internal_too: bool, ignore_parameters: bool
    ) -> None:
        """tls_redirect: the answer without TLS, if that is asked for; internal_too: also of internal requests.
        ignore_parameters: what follows a ";" in a segment of the path does not count."""
        entries: List[Entry[Candidate]] = []
        self._connect: List[Candidate] = []
        for rule in rules:
            if rule.path is None:
                self._connect.append(Candidate(None, rule.condition, rule.route, rule.choice))
                continue
            candidate = Candidate(rule.path.test, rule.condition, rule.route, rule.choice)
            entries.append(Entry(rule.path.keys, candidate, rule.path.test is None and rule.condition is None))
        self._index = RouteIndex(entries)
        self._tls_redirect = tls_redirect
        self._internal_too = internal_too
        self._parameters = ignore_parameters

    def route(self, head: RequestHead, info: StreamInfo, random_value: int) -> Optional[PreparedRoute]:
        """The first route that takes the request."""
        if self._tls_redirect is not None and self._wants_tls(head):
            return self._tls_redirect
        path = head.path
        if not path:
            return self._connected(head, info, random_value) if head.method == "CONNECT" else None
        if "?" in path or "#" in path:
            path = path.partition("?")[0].partition("#")[0]
        if self._parameters and ";" in path:
            path = _PARAMETERS.sub("", path)
        for _, (test, condition, route, choice) in self._index.find(path):
            if test is not None and not test(path):
                continue
            if condition is None or condition(head, info, random_value):
                return route if choice is None else choice.pick(head, info, random_value)
        return None

    def _connected(self, head: RequestHead, info: StreamInfo, random_value: int) -> Optional[PreparedRoute]:
        for _, condition, route, choice in self._connect:
            if condition is None or condition(head, info, random_value):
                return route if choice is None else choice.pick(head, info, random_value)
        return None

    def _wants_tls(self, head: RequestHead) -> bool:
        if head.headers.get("x-forwarded-proto") == "https":
            return False
        return self._internal_too or head.headers.get("x-envoy-internal") != "true"
