"""What is unusual about HTTP requests: those that can't go on, or have waited for long. For `why`."""

from __future__ import annotations

from typing import Dict, Final, Iterator, List, Tuple

from ..http.connection_manager.explained import waits_for
from ..http.connection_manager.stall import Parked, parked, request_line
from ..http.connection_manager.stream import ActiveStream
from ..observe.escape import one_line
from ..observe.reasons import Finding, ago_text, size_text
from ..upstream.http_pool import ClusterPools
from ..upstream.http_pool.host_pool import HostPool
from .connection_streams import is_stalled, manager_of
from .host import AdminHost

# Seconds from which each is worth a line.
PARKED_FOR: Final = 30.0
SLOW_FOR: Final = 5.0
QUEUED_FOR: Final = 1.0


def stalled_requests(host: AdminHost) -> Iterator[Finding]:
    """Requests whose filter has stopped them, with nothing left to wake it."""
    for stream, found, waited in _parked(host):
        if is_stalled(stream):
            text = (f"HTTP filter '{found.name}' of {_who(stream)} stopped the {found.direction} {ago_text(waited)} ago, keeps "
                    f"{size_text(found.kept)} back, and nothing is left that could wake it: no timer, no hold")
            yield _about("stall", stream, text, waited, found.name)


def parked_requests(host: AdminHost) -> Iterator[Finding]:
    """Requests that a filter has long stopped for a reason."""
    for stream, found, waited in _parked(host):
        if waited >= PARKED_FOR and not is_stalled(stream):
            waits = ", ".join(hold.reason for hold in stream.holds) or f"more of the {found.direction}"
            text = f"HTTP filter '{found.name}' of {_who(stream)} has stopped the {found.direction} for {ago_text(waited)}: " \
                   f"waits for {waits}"
            yield _about("parked", stream, text, waited, found.name)


def slow_requests(host: AdminHost) -> Iterator[Finding]:
    """Of each cluster, the request that has waited the longest for the beginning of its response."""
    waiting: Dict[str, List[Tuple[float, ActiveStream]]] = {}
    now = host.reactor.now
    for stream in _streams(host):
        asked, upstream = stream.facts.us_tx_begin, stream.info.upstream
        if asked is not None and stream.facts.us_rx_begin is None and upstream is not None and now - asked >= SLOW_FOR:
            waiting.setdefault(upstream.cluster_raw, []).append((now - asked, stream))
    for cluster, found in waiting.items():
        waited, stream = max(found, key=lambda one: one[0])
        more = f"; {len(found) - 1} more have waited for {ago_text(SLOW_FOR)} at least" if len(found) > 1 else ""
        text = f"cluster {cluster}: {_who(stream)}: {waits_for(stream)}, for {ago_text(waited)}{more}"
        yield _about("slow_request", stream, text, waited, "")


def queued_requests(host: AdminHost) -> Iterator[Finding]:
    """Pools in which requests wait for a connection."""
    now = host.reactor.now
    for cluster in host.clusters.clusters():
        if isinstance(cluster.http, ClusterPools):
            for pool in cluster.http.queued():
                waited = now - pool.pending[0].since
                if waited >= QUEUED_FOR:
                    yield Finding("queued_requests", _queue(pool, waited), cluster=cluster.name, host=pool.host.address.text,
                                  seconds=round(waited, 3))


def _queue(pool: HostPool, waited: float) -> str:
    count, breaker = len(pool.pending), pool.breakers.connections
    limit = "" if breaker.can_create else f"; max_connections {breaker.limit} of the cluster is reached"
    return (f"cluster {pool.cluster.name}: {count} request{'s' if count > 1 else ''} wait{'s' if count == 1 else ''} for a "
            f"connection to {pool.host.address}, the first for {ago_text(waited)}; {len(pool.clients)} there, "
            f"{pool.connecting} of them connecting{limit}")


def _streams(host: AdminHost) -> Iterator[ActiveStream]:
    for connection in host.table.live():
        manager = manager_of(connection)
        if manager is not None:
            yield from manager.streams()


def _parked(host: AdminHost) -> List[Tuple[ActiveStream, Parked, float]]:
    """With how long they have been; the longest first."""
    now = host.reactor.now
    found = [(stream, one, now - one.since) for stream, one in ((stream, parked(stream)) for stream in _streams(host)) if one]
    return sorted(found, key=lambda one: -one[2])


def _who(stream: ActiveStream) -> str:
    """"GET /x of C17 (listener in, 10.0.0.1:5000)"."""
    info = stream.info
    where = f"listener {info.listener_name}, {stream.connection.remote_address or '-'}"
    return f"{one_line(request_line(stream))} of C{stream.connection.id} ({where})"


def _about(kind: str, stream: ActiveStream, text: str, waited: float, filter_name: str) -> Finding:
    upstream = stream.info.upstream
    cluster, host = (upstream.cluster_raw, upstream.connecting_to) if upstream is not None else ("", "")
    return Finding(kind, text, stream.connection.id, filter_name, stream.info.listener_name, cluster, host, round(waited, 3))
