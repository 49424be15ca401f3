"""Which limits are nearly used up, or are, the fullest first. For `why`."""

from __future__ import annotations

from typing import Final, Iterator, List, Tuple

from ..listener.context import ListenerContext
from ..listener.limits import open_descriptors
from ..observe.reasons import Finding
from ..upstream.breaker import CircuitBreakers
from ..upstream.cluster import Cluster
from .host import AdminHost

NEAR: Final = 0.8  # the share of a limit from which it is worth a line

# Resource of the breakers, field of `circuit_breakers.thresholds`.
_RESOURCES: Final = (
    ("connections", "max_connections"), ("pending_requests", "max_pending_requests"), ("requests", "max_requests"),
    ("retries", "max_retries"),
)


def near_limits(host: AdminHost) -> Iterator[Finding]:
    """The limits of the process, the listeners, the clusters' breakers and their hosts."""
    found = [*_of_process(host.context), *_of_listeners(host)]
    for cluster in host.clusters.clusters():
        found += _of_breakers(cluster, cluster.breakers, "")
        found += _of_breakers(cluster, cluster.high_breakers, " (HIGH priority)")
        found += _of_hosts(cluster)
    yield from sorted((one for one in found if one.share is not None and one.share >= NEAR), key=lambda one: -(one.share or 0))


def _share(used: int, limit: int) -> float:
    return round(used / limit, 3) if limit > 0 else 1.0


def _of_process(context: ListenerContext) -> Iterator[Finding]:
    limit = context.process_limit
    text = f"the process has {limit.active} of at most {limit.limit} downstream connections ({limit.source})"
    yield Finding("near_limit", text, share=_share(limit.active, limit.limit))
    descriptors = open_descriptors()
    if descriptors is not None:
        used, most = descriptors
        yield Finding("near_limit", f"{used} of {most} file descriptors are open (ulimit -n)", share=_share(used, most))


def _of_listeners(host: AdminHost) -> Iterator[Finding]:
    for listener in host.listeners.listeners:
        limit = listener.connection_limit
        if limit is not None:
            text = (f"listener {listener.name} has {listener.active} of at most {limit} connections "
                    f"(runtime key {listener.connection_limit_key})")
            yield Finding("near_limit", text, listener=listener.name, share=_share(listener.active, limit))


def _of_breakers(cluster: Cluster, breakers: CircuitBreakers, which: str) -> List[Finding]:
    found = []
    for name, field in _RESOURCES:
        resource = getattr(breakers, name)
        if resource.used:  # a limit of 0 that nobody runs into is no news
            default = ", default" if resource.is_default else ""
            text = f"cluster {cluster.name}{which} uses {resource.used} of {field} {resource.limit}{default}"
            found.append(Finding("near_limit", text, cluster=cluster.name, share=_share(resource.used, resource.limit)))
    return found


def _of_hosts(cluster: Cluster) -> Iterator[Finding]:
    if cluster.host_limit is None:
        return
    most = cluster.host_limit.limit
    for host, active in _busiest(cluster):
        text = f"cluster {cluster.name}: host {host} has {active} of max_connections {most} of per_host_thresholds"
        yield Finding("near_limit", text, cluster=cluster.name, host=host, share=_share(active, most))


def _busiest(cluster: Cluster) -> List[Tuple[str, int]]:
    return [(host.address.text, host.counters.cx_active) for host in cluster.hosts if host.counters.cx_active]
