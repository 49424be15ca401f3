"""/why: what is unusual now, the worst first, each with the connection, filter, host or setting that it is about. Nothing to
say when all is well. Ours; Envoy has no such thing.

    why.findings              in the order of _CHECKS, a few of each kind
      why_connections         stalls, slow readers, half-closed connections, those that can't be told yet
      why_requests            HTTP: stalled, waiting for long, queued for a connection
      why_limits              what is nearly used up
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Iterator, List, Sequence

from ..listener.context import ListenerContext
from ..observe.reasons import Finding
from ..upstream.cluster import Cluster
from ..upstream.host import Host
from .api import Request, Response, choice_of, json_reply, text
from .host import AdminHost
from .why_connections import half_closed, long_parked, long_paused, slow_listener_filters, slow_readers, stalls
from .why_limits import near_limits
from .why_requests import parked_requests, queued_requests, slow_requests, stalled_requests

MOST_OF_A_KIND: Final = 5
RELOAD_ERROR: Final = "proxy_core.config_reload_error"
UPDATE_ERROR: Final = "proxy_core.config_update_error"
EXCEPTIONS: Final = "proxy_core.handler_exceptions"


def why(host: AdminHost, request: Request) -> Response:
    """GET /why: text, one line for each finding, or JSON with `format=json`."""
    found = findings(host)
    if choice_of(request.query, "format", "json") is not None:
        return json_reply({"quiet": not found, "findings": found})
    lines = [f"{one['kind'].replace('_', ' ')}: {one['text']}\n" for one in found]
    return text("".join(lines) or "nothing unusual\n")


def findings(host: AdminHost) -> List[Dict[str, Any]]:
    """All of them, JSON-ready."""
    found: List[Dict[str, Any]] = []
    for check in _CHECKS:
        of_kind = list(check(host))
        found += [one._asdict() for one in of_kind[:MOST_OF_A_KIND]]
        if len(of_kind) > MOST_OF_A_KIND:
            found.append(Finding(of_kind[0].kind, f"and {len(of_kind) - MOST_OF_A_KIND} more")._asdict())
    return found


def _exceptions(host: AdminHost) -> Iterator[Finding]:
    counter = host.stats.counters.get(EXCEPTIONS)
    if counter is not None and counter.value:
        plural = "s" if counter.value > 1 else ""
        yield Finding("exception", f"{counter.value} exception{plural} in handlers or filters since the start; the log has each")


def _not_live(host: AdminHost) -> Iterator[Finding]:
    state = host.state()
    if state != "LIVE":
        yield Finding("not_live", f"the server is {state}")


def _not_accepting(host: AdminHost) -> Iterator[Finding]:
    context: ListenerContext = host.context
    if context.descriptors.is_exhausted:
        yield Finding("not_accepting", "out of file descriptors: listeners wait until a connection closes")


def _rejected_updates(host: AdminHost) -> Iterator[Finding]:
    """What was refused last and has not been put right since; the old configuration is in force."""
    for name, what in ((RELOAD_ERROR, "the last reload was refused"), (UPDATE_ERROR, "the last update was refused")):
        readout = host.stats.texts.get(name)
        if readout is not None and readout.value:
            yield Finding("rejected_update", f"{what}, what was loaded before is in force: {readout.value}")


def _unhealthy_hosts(host: AdminHost) -> Iterator[Finding]:
    for cluster in host.clusters.clusters():
        unhealthy = [one for one in cluster.hosts if not one.is_healthy]
        if not cluster.hosts and not cluster.uses_info:
            yield Finding("unhealthy_host", f"cluster {cluster.name} has no hosts", cluster=cluster.name)
        elif len(unhealthy) == len(cluster.hosts) and len(unhealthy) > 1:
            yield _no_healthy_host(cluster, unhealthy)
        else:
            yield from (_unhealthy_host(cluster, one) for one in unhealthy)


def _no_healthy_host(cluster: Cluster, hosts: Sequence[Host]) -> Finding:
    flags = ", ".join(sorted({one.health_flags() for one in hosts}))
    return Finding("unhealthy_host", f"cluster {cluster.name}: none of its {len(hosts)} hosts is healthy ({flags})",
                   cluster=cluster.name)


def _unhealthy_host(cluster: Cluster, one: Host) -> Finding:
    said = f"cluster {cluster.name}: host {one.address} is {one.health_flags()}"
    if len(cluster.hosts) == 1:
        said += ", and it is the only one"
    return Finding("unhealthy_host", said, cluster=cluster.name, host=one.address.text)


_CHECKS: Final[Sequence[Callable[[AdminHost], Iterator[Finding]]]] = (
    stalls, stalled_requests, _exceptions, _not_live, _not_accepting, _rejected_updates, near_limits, _unhealthy_hosts,
    slow_readers, long_paused, long_parked, parked_requests, slow_requests, queued_requests, half_closed, slow_listener_filters,
)
