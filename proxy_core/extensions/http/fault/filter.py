"""One request with its faults. Mirrors `FaultFilter`.

Place in the data's way: the head decides. A request that is to wait stops here with all that comes of it, and its body is kept
within the limit of the stream; after the wait, or at once, it may be answered; else it goes on. A response that is slowed down
goes through the `Throttle`.
"""

from __future__ import annotations

from typing import Dict, Final, NamedTuple, Optional

from ....buffer import Buffer
from ....http.events import RequestHead
from ....http.filter_api import (
    CONTINUE, STOP_ALL_AND_WATERMARK, STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFactoryContext, HttpFilter,
    HttpFilterFactory,
)
from ....http.headers import Headers
from ....observe.stats import Counter, Scope
from .config import HttpFault
from .settings import SERVICE_CLUSTER, Settings
from .throttle import Throttle

ABORT_DETAILS: Final = "fault_filter_abort"
DELAY_FLAG: Final = "DI"
ABORT_FLAG: Final = "FI"
# Requests say these names: a client that makes them up must not fill the memory.
MOST_SERVICES: Final = 1000


class _OfService(NamedTuple):
    """`http.<stat_prefix>.fault.<service>.`; one that nothing was counted in does not exist."""

    scope: Scope

    @property
    def aborts_injected(self) -> Counter:
        """Requests that were answered."""
        return self.scope.counter("aborts_injected")

    @property
    def delays_injected(self) -> Counter:
        """Requests that were delayed."""
        return self.scope.counter("delays_injected")


class FaultStats:
    """`http.<stat_prefix>.fault.`"""

    __slots__ = (
        "aborts_injected", "delays_injected", "response_rl_injected", "faults_overflow", "active_faults", "_scope", "_services",
    )

    def __init__(self, scope: Scope) -> None:
        self.aborts_injected = scope.counter("aborts_injected")
        self.delays_injected = scope.counter("delays_injected")
        self.response_rl_injected = scope.counter("response_rl_injected")
        self.faults_overflow = scope.counter("faults_overflow")
        self.active_faults = scope.gauge("active_faults")
        self._scope = scope
        self._services: Dict[str, _OfService] = {}

    def of_service(self, name: Optional[str]) -> Optional[_OfService]:
        """What is counted for the service that a request says it comes from; None if it says none, or there are too many."""
        if not name:
            return None
        found = self._services.get(name)
        if found is None and len(self._services) < MOST_SERVICES:
            found = self._services[name] = _OfService(self._scope.scope(name))
        return found


class FaultFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("decoder", "encoder", "_settings", "_stats", "_is_active", "_throttle")

    def __init__(self, settings: Settings, stats: FaultStats) -> None:
        self._settings = settings
        self._stats = stats
        self._is_active = False  # counted as one of the active faults
        self._throttle: Optional[Throttle] = None

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Which faults are to be had?"""
        decoder = self.decoder
        self._settings = settings = decoder.route_config() or self._settings
        if not settings.concerns(head, decoder.route):
            return CONTINUE
        rate = settings.rate(head)
        if rate and self._activate():
            self._stats.response_rl_injected.inc()
            self._throttle = Throttle(self.encoder, rate)
        delay = settings.delay(head)
        if delay and self._activate():
            self._count_delay(head)
            decoder.schedule(delay, self._delay_over, f"delay {delay:g}s")
            return STOP_ALL_AND_WATERMARK
        return STOP_ITERATION if self._abort(head) else CONTINUE

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Slowly, if that is one of them."""
        if self._throttle is None:
            return CONTINUE
        self._throttle.write(data, end_stream)
        return STOP_NO_BUFFER

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        """Behind the body."""
        return STOP_ITERATION if self._throttle is not None and self._throttle.write_trailers() else CONTINUE

    def on_destroy(self) -> None:
        """This fault is over."""
        if self._throttle is not None:
            self._throttle.close()
        if self._is_active:
            self._stats.active_faults.dec()

    def _delay_over(self) -> None:
        if not self._abort(self.decoder.request):
            self.decoder.continue_decoding()

    def _abort(self, head: RequestHead) -> bool:
        status = self._settings.abort(head)
        if not status or not self._activate():
            return False
        self._stats.aborts_injected.inc()
        service = self._service(head)
        if service is not None:
            service.aborts_injected.inc()
        self._leave_metadata()
        self.decoder.info.add_flag(ABORT_FLAG)
        self.decoder.send_local_reply(status, self._settings.body, ABORT_DETAILS)
        return True

    def _count_delay(self, head: RequestHead) -> None:
        self._stats.delays_injected.inc()
        service = self._service(head)
        if service is not None:
            service.delays_injected.inc()
        self._leave_metadata()
        self.decoder.info.add_flag(DELAY_FLAG)

    def _service(self, head: RequestHead) -> Optional[_OfService]:
        return self._stats.of_service(head.headers.get(SERVICE_CLUSTER)) if self._settings.counts_by_cluster else None

    def _leave_metadata(self) -> None:
        if self._settings.metadata is not None:
            self.decoder.info.set_dynamic_metadata(self.decoder.name, self._settings.metadata)

    def _activate(self) -> bool:
        """Count this request among those with faults; False if there are too many. It counts once, with whatever faults."""
        if self._is_active:
            return True
        most, stats = self._settings.most_active(), self._stats
        if most is not None and stats.active_faults.value >= most:
            stats.faults_overflow.inc()
            return False
        stats.active_faults.inc()
        self._is_active = True
        return True


def build(config: HttpFault, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory."""
    settings, stats = Settings(config, context), FaultStats(context.scope.scope("fault"))
    return lambda: FaultFilter(settings, stats)


def build_route(config: HttpFault, context: HttpFactoryContext) -> Settings:
    """The settings of a route."""
    return Settings(config, context)
