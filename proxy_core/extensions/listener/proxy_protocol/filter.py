"""The filter of one accepted socket: waits for a header, decides, and takes it out of the stream.

    detect  ->  version 1  ->  CONTINUE, or rejected
            ->  version 2  ->  CONTINUE, or rejected
            ->  no header: CONTINUE where that is allowed, else rejected

Differs from Envoy on purpose: bytes that can't become a header are decided at once (Envoy waits for 16 of them, that is for the
timeout); a client that sends all and finishes is served; a client that finishes after less than a signature is served where
requests without a header are allowed. With `continue_on_listener_filters_timeout` a header that is not complete in time goes on
as payload, as in Envoy: no filter is asked then.
"""

from __future__ import annotations

from typing import Callable, Final, Optional, Sequence

from ....errors import PeerError
from ....filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from ....filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from ....filters.registry import ListenerFilterContext, ListenerFilterExtension
from ....network.proxy_header import STATE_KEY, V2_FIXED_BYTES, ProxyData, Tlv
from . import v1, v2
from .addresses import Pair, is_unicast
from .config import ProxyProtocolListenerConfig, Settings
from .signature import Match, match
from .stats import VersionStats
from .tlvs import keep

WINDOW: Final = 232  # what Envoy looks at until it knows the length: the largest version 2 header without TLVs
LINE_END: Final = b"\r\n"


class ProxyProtocol(ListenerFilter):
    """One socket's header."""

    def __init__(self, settings: Settings) -> None:
        self.most_bytes = WINDOW
        self._settings = settings
        self._stats = settings.stats
        self._wanted = 1  # with fewer bytes nothing can be decided
        self._read: Callable[[bytearray, bool], FilterStatus] = self._detect

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """Wait for the first bytes."""
        self._callbacks = callbacks
        return STOP_ITERATION

    def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
        """Look at what is there, unless it is known that it is not enough."""
        return STOP_ITERATION if len(data) < self._wanted else self._read(data, ended)

    def _detect(self, data: bytearray, ended: bool) -> FilterStatus:
        settings = self._settings
        every = not settings.allow_without  # where a header is expected, a disallowed one is told from none
        found = match(data, every or settings.allows_v1, every or settings.allows_v2)
        if found is Match.PARTIAL and not (ended and settings.allow_without):
            return STOP_ITERATION
        if found is Match.V1:
            self._read = self._read_v1
        elif found is Match.V2:
            self._read = self._read_v2
        else:
            return self._without_header(data)
        return self._read(data, ended)

    def _without_header(self, data: bytearray) -> FilterStatus:
        if self._settings.allow_without:
            self._stats.not_found_allowed.value += 1
            return CONTINUE
        is_line = len(data) < V2_FIXED_BYTES and LINE_END in data and not data.startswith(LINE_END)
        if not is_line:
            return self._reject_unknown("no PROXY protocol header")
        # Envoy takes a short line for one of version 1 and counts it there.
        return self._reject(self._stats.v1, self._settings.allows_v1, "no PROXY protocol header")

    def _read_v1(self, data: bytearray, ended: bool) -> FilterStatus:
        length = data.find(LINE_END, 0, WINDOW) + len(LINE_END)
        if length < len(LINE_END):
            if len(data) <= v1.LONGEST_LINE:
                return STOP_ITERATION
            return self._reject_unknown(f"PROXY protocol line of more than {v1.LONGEST_LINE} bytes")
        stats = self._stats.v1
        if length > v1.LONGEST_LINE:
            return self._reject(stats, True, f"PROXY protocol line of more than {v1.LONGEST_LINE} bytes")
        if not self._settings.allows_v1:
            return self._reject(stats, False, "PROXY protocol version 1 is disallowed")
        try:
            return self._accept(stats, length, v1.parse(bytes(data[:length])), ())
        except PeerError as error:
            return self._reject(stats, True, str(error))

    def _read_v2(self, data: bytearray, ended: bool) -> FilterStatus:
        stats = self._stats.v2
        if not self._settings.allows_v2:
            return self._reject(stats, False, "PROXY protocol version 2 is disallowed")
        try:
            length = v2.whole_length(data)
            if not length:
                return STOP_ITERATION
            if len(data) < length:
                self._wanted = length
                self.most_bytes = max(self.most_bytes, length)
                return STOP_ITERATION
            tlvs = keep(v2.tlvs(data, length), self._settings, self._callbacks.socket.info)
            return self._accept(stats, length, v2.addresses(data), tlvs)
        except PeerError as error:
            return self._reject(stats, True, str(error))

    def _accept(self, stats: VersionStats, length: int, pair: Optional[Pair], tlvs: Sequence[Tlv]) -> FilterStatus:
        """A header that says who is there; None: the connection's own addresses are right."""
        socket = self._callbacks.socket
        if pair is not None and not (is_unicast(pair[0]) and is_unicast(pair[1])):
            raise PeerError("PROXY protocol header with an address that is not unicast")
        source, destination = pair or (socket.remote_address, socket.local_address)
        if STATE_KEY not in socket.info.filter_state:  # of two headers the outer one is for the upstream
            socket.info.set_filter_state(STATE_KEY, ProxyData(source, destination, tlvs))
        socket.remote_address = source
        if destination != socket.local_address:
            socket.local_address = destination
            socket.local_restored = True
        self._callbacks.consume(length)
        stats.found.value += 1
        return CONTINUE

    def _reject_unknown(self, reason: str) -> FilterStatus:
        self._stats.not_found_disallowed.value += 1
        self._stats.downstream_cx_proxy_proto_error.value += 1
        self._callbacks.reject(reason)
        return STOP_ITERATION

    def _reject(self, stats: VersionStats, is_allowed: bool, reason: str) -> FilterStatus:
        """is_allowed: whether the version is; if not, that is what is counted, whatever else is wrong."""
        if is_allowed:
            stats.error.value += 1
            self._stats.downstream_cx_proxy_proto_error.value += 1
        else:
            stats.found.value += 1
            stats.disallowed.value += 1
        self._callbacks.reject(reason)
        return STOP_ITERATION


def build(config: ProxyProtocolListenerConfig, context: ListenerFilterContext) -> Callable[[], ProxyProtocol]:
    """The factory, with the rules prepared."""
    settings = Settings(config, context.stats.scope())
    return lambda: ProxyProtocol(settings)


EXTENSION = ListenerFilterExtension(ProxyProtocolListenerConfig, build)
