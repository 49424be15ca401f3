"""How responses are counted: by code, and by what kind of request and host it was. Mirrors `Filter::chargeUpstreamCode`."""

from __future__ import annotations

from typing import Dict, Final, Optional, Sequence, Tuple

from ....http.events import RequestHead, ResponseHead
from ....upstream.host import Host
from ....upstream.http_pool.stats import ResponseStats
from .config import GroupStats
from .retry import is_canary

_ALL: Final = ("",)
# (internal request, canary) -> groups of counters
_KINDS: Final[Dict[Tuple[bool, bool], Tuple[str, ...]]] = {
    (False, False): ("", "external"), (False, True): ("", "canary", "external"),
    (True, False): ("", "internal"), (True, True): ("", "canary", "internal"),
}


class Charges:
    """The counters that one request goes to. zone: of this proxy, "" if nobody has said so."""

    __slots__ = ("_responses", "_groups", "_internal", "_zone")

    def __init__(self, responses: ResponseStats, groups: Sequence[GroupStats], head: RequestHead, zone: str) -> None:
        self._responses = responses
        self._groups = groups
        self._internal = head.headers.get("x-envoy-internal") == "true"
        self._zone = zone

    def charge(self, status: int, host: Optional[Host], head: Optional[ResponseHead] = None) -> None:
        """One response, or one that was made here because of `host`."""
        kinds = self._kinds(host, head)
        self._responses.charge(status, kinds)
        for group in self._groups:
            group.responses.charge(status, _ALL)
        if host is not None and 500 <= status < 600:
            host.counters.rq_error += 1

    def charge_attempt(self) -> None:
        """A host was sent the request."""
        for group in self._groups:
            group.upstream_rq_total.value += 1

    def charge_retried(self, status: int) -> None:
        """A response that nobody will see."""
        self._responses.charge(status, ("retry",))

    def charge_time(self, milliseconds: int, host: Optional[Host], head: Optional[ResponseHead]) -> None:
        """How long the response took, from the end of the request to its own."""
        self._responses.record_time(milliseconds, self._kinds(host, head))
        for group in self._groups:
            group.responses.record_time(milliseconds, _ALL)

    def _kinds(self, host: Optional[Host], head: Optional[ResponseHead]) -> Tuple[str, ...]:
        canary = head is not None and head.headers.get("x-envoy-upstream-canary") == "true"
        if host is None:
            return _KINDS[self._internal, canary]
        kinds = _KINDS[self._internal, canary or bool(host.metadata) and is_canary(host)]
        return (*kinds, f"zone.{self._zone}.{host.zone}") if self._zone and host.zone else kinds


def charge_timeout(host: Optional[Host]) -> None:
    """A host has not answered in time."""
    if host is not None:
        host.counters.rq_timeout += 1
        if host.outlier is not None:
            host.outlier.put_connect_failed(timed_out=True)
