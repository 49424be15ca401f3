"""What a request tells the balancer of its cluster: its hash, the metadata that a host must have, hosts that it should rather not
get. Worked out only where it makes a difference. Mirrors the `LoadBalancerContext` half of `Router::Filter`.
"""

from __future__ import annotations

from typing import List, Optional

from ....http.events import RequestHead
from ....http.route_api import RouteAction
from ....observe.stream_info import StreamInfo
from ....upstream.balancer import PickContext
from ....upstream.balancer.criteria import criteria_of, merged, of_metadata
from ....upstream.cluster import Cluster
from ....upstream.host import Host
from .retry import RetryState


def pick(
    cluster: Cluster, action: RouteAction, head: RequestHead, info: StreamInfo, retry: Optional[RetryState], cookies: List[str]
) -> Optional[Host]:
    """The host for one attempt; None when there is none. retry: of a request that is sent again. cookies: gets `set-cookie`
    values that the response needs, so that the next request goes to the same host."""
    context: Optional[PickContext] = None
    rejects = retry.rejects if retry is not None else None
    if cluster.uses_hash or cluster.uses_criteria or cluster.uses_info or rejects is not None:
        context = PickContext(info=info)
        if cluster.uses_hash:
            del cookies[:]
            context.hash = action.hash_key(head, info, cookies)
        if cluster.uses_criteria:
            wanted = criteria_of(action.metadata_match) if action.metadata_match is not None else None
            context.criteria = merged(wanted, of_metadata(info.dynamic_metadata))
        if rejects is not None and retry is not None:
            context.rejects, context.most_attempts = rejects, retry.most_picks
    host = cluster.pick_host(context)
    if host is None:
        cluster.stats.upstream_cx_none_healthy.inc()
    return host
