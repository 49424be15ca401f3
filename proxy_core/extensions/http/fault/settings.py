"""One configuration of fault, prepared: which faults it asks for, of which requests. Mirrors `FaultSettings`.

Percentages, the delay, the status and the number of faults at a time can be changed at run time. For requests that say which
service they come from (`x-envoy-downstream-service-cluster`), keys with the name of that service count instead.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Final, FrozenSet, Optional

from ....config.model.core import FractionalPercent, RuntimeFractionalPercent
from ....http.events import RequestHead
from ....http.filter_api import HttpFactoryContext
from ....http.route_api import Route
from ....http.routing.conditions import request_matcher
from ....http.routing.fraction import fraction
from .config import FaultAbort, FaultDelay, FaultRateLimit, HttpFault

DELAY_HEADER: Final = "x-envoy-fault-delay-request"
ABORT_HEADER: Final = "x-envoy-fault-abort-request"
THROUGHPUT_HEADER: Final = "x-envoy-fault-throughput-response"
SERVICE_CLUSTER: Final = "x-envoy-downstream-service-cluster"
SERVICE_NODE: Final = "x-envoy-downstream-service-node"
DEFAULT_BODY: Final = b"fault filter abort"

_DELAY_PERCENT: Final = "delay.fixed_delay_percent"
_DELAY_DURATION: Final = "delay.fixed_duration_ms"
_ABORT_PERCENT: Final = "abort.abort_percent"
_ABORT_STATUS: Final = "abort.http_status"
_RATE_PERCENT: Final = "rate_limit.response_percent"
_MOST_ACTIVE: Final = "max_active_faults"


class Share:
    """How many of the requests get one kind of fault. header: where a request may say a smaller numerator, "" if it may not."""

    __slots__ = ("_numerator", "_denominator", "_header", "_runtime", "_random")

    def __init__(self, config: Optional[FractionalPercent], header: str, context: HttpFactoryContext) -> None:
        self._numerator = 0 if config is None else config.numerator
        self._denominator = "HUNDRED" if config is None else config.denominator
        self._header = f"{header}-percentage" if header else ""
        self._runtime = context.runtime
        self._random: random.Random = context.random

    def takes(self, head: RequestHead, key: str) -> bool:
        """Whether this request is one of them, now. key: of the runtime."""
        numerator = self._numerator
        said = whole_number(head.headers.get(self._header)) if self._header else None
        if said is not None:
            numerator = min(said, numerator)
        share = RuntimeFractionalPercent(FractionalPercent(numerator, self._denominator), key)
        is_on = fraction(share, self._runtime)
        return is_on is None or is_on(self._random.getrandbits(64))


class Settings:
    """See the module docstring."""

    def __init__(self, config: HttpFault, context: HttpFactoryContext) -> None:
        self._runtime = context.runtime
        self._cluster = config.upstream_cluster
        self._nodes: FrozenSet[str] = frozenset(config.downstream_nodes)
        self._matches: Optional[Callable[[RequestHead], bool]] = request_matcher(config.headers) if config.headers else None
        self._delay: Optional[FaultDelay] = config.delay
        self._abort: Optional[FaultAbort] = config.abort
        self._rate: Optional[FaultRateLimit] = config.response_rate_limit
        self._delay_share = _share(config.delay, DELAY_HEADER, "header_delay", context)
        self._abort_share = _share(config.abort, ABORT_HEADER, "header_abort", context)
        self._rate_share = _share(config.response_rate_limit, THROUGHPUT_HEADER, "header_limit", context)
        self._delay_percent_key = config.delay_percent_runtime or _key(_DELAY_PERCENT)
        self._delay_duration_key = config.delay_duration_runtime or _key(_DELAY_DURATION)
        self._abort_percent_key = config.abort_percent_runtime or _key(_ABORT_PERCENT)
        self._abort_status_key = config.abort_http_status_runtime or _key(_ABORT_STATUS)
        self._rate_percent_key = config.response_rate_limit_percent_runtime or _key(_RATE_PERCENT)
        self._most_active_key = config.max_active_faults_runtime or _key(_MOST_ACTIVE)
        self._most_active = config.max_active_faults
        self.body = config.abort.response_body.encode() if config.abort is not None else b""
        self.body = self.body or DEFAULT_BODY
        self.counts_by_cluster = not config.disable_downstream_cluster_stats
        self.metadata = config.filter_metadata

    def concerns(self, head: RequestHead, route: Optional[Route]) -> bool:
        """Whether there may be faults for this request."""
        if self._cluster:
            action = route.action if route is not None else None
            if action is None or action.cluster_name(head) != self._cluster:
                return False
        if self._nodes and head.headers.get(SERVICE_NODE) not in self._nodes:
            return False
        return self._matches is None or self._matches(head)

    def most_active(self) -> Optional[int]:
        """How many requests may have faults at a time, now; None for any number."""
        found: Optional[int] = self._runtime.integer(self._most_active_key)
        return self._most_active if found is None else found

    def delay(self, head: RequestHead) -> float:
        """For how many seconds this request is to wait; 0.0 = it is not delayed."""
        key = self._of_service(head, self._delay_percent_key, _DELAY_PERCENT)
        if self._delay is None or not self._delay_share.takes(head, key):
            return 0.0
        if self._delay.fixed_delay is not None:
            milliseconds: Optional[int] = int(self._delay.fixed_delay * 1000 + 1e-6)
        else:
            milliseconds = whole_number(head.headers.get(DELAY_HEADER))
        if milliseconds is None:
            return 0.0
        milliseconds = self._integer(self._delay_duration_key, milliseconds)
        service = head.headers.get(SERVICE_CLUSTER)
        if service:
            milliseconds = self._integer(_key(_DELAY_DURATION, service), milliseconds)
        return max(milliseconds, 0) / 1000

    def abort(self, head: RequestHead) -> int:
        """With what status this request is to be answered; 0 = it is not."""
        key = self._of_service(head, self._abort_percent_key, _ABORT_PERCENT)
        if self._abort is None or not self._abort_share.takes(head, key):
            return 0
        status = self._abort.http_status
        if status is None:
            status = whole_number(head.headers.get(ABORT_HEADER))
            if status is None or not 200 <= status <= 599:
                return 0
        changed = self._integer(self._of_service(head, self._abort_status_key, _ABORT_STATUS), status)
        return changed if 200 <= changed <= 599 else status

    def rate(self, head: RequestHead) -> int:
        """How many KiB a second of the response go out; 0 = it is not slowed down."""
        if self._rate is None or not self._rate_share.takes(head, self._rate_percent_key):
            return 0
        if self._rate.fixed_limit is not None:
            return self._rate.fixed_limit.limit_kbps
        return whole_number(head.headers.get(THROUGHPUT_HEADER)) or 0

    def _of_service(self, head: RequestHead, key: str, name: str) -> str:
        """The key that counts for a request: the one of its service, if it says one."""
        service = head.headers.get(SERVICE_CLUSTER)
        return _key(name, service) if service else key

    def _integer(self, key: str, default: int) -> int:
        found: Optional[int] = self._runtime.integer(key)
        return default if found is None else found


def _share(config: Any, header: str, of_header: str, context: HttpFactoryContext) -> Share:
    """config: a message with `percentage`, or None. of_header: its field that says that requests decide."""
    if config is None:
        return Share(None, "", context)
    return Share(config.percentage, header if getattr(config, of_header) is not None else "", context)


def _key(name: str, service: str = "") -> str:
    return f"fault.http.{service}.{name}" if service else f"fault.http.{name}"


def whole_number(text: Optional[str]) -> Optional[int]:
    """What a header says, None if it is not there or no whole number."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 18 else None
