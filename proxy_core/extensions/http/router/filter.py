"""The router: the last HTTP filter, which answers a request with its route or sends it upstream. Mirrors `Router::Filter`.

    no route, redirect, direct response          answered from the route table
    no such cluster, maintenance, drop overload  answered here, with Envoy's words
    else                                         `RoutedRequest` has it from then on
"""

from __future__ import annotations

from typing import Any, Final, List, Optional, Sequence

from ....buffer import Buffer
from ....http.connection_manager.direct import answer_directly, answer_no_route
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter
from ....http.headers import Headers
from ....http.route_api import Route, RouteAction
from ....http.routing.virtual_clusters import OTHER
from ....observe.reasons import Reasons
from ....upstream.cluster import Cluster
from . import replies
from .answer import Answer
from .config import GroupStats, Prepared
from .facts import begin_upstream
from .request import RoutedRequest
from .strict import invalid_header

BAD_REQUEST: Final = 400
UNAVAILABLE: Final = 503


class RouterFilter(HttpFilter):
    """See the module docstring."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._request: Optional[RoutedRequest] = None

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Look where the request goes, and send it there."""
        decoder, prepared = self.decoder, self._prepared
        prepared.stats.rq_total.value += 1
        route = decoder.route
        if route is None:
            prepared.stats.no_route.inc()
            answer_no_route(decoder)
        elif route.action is None:
            prepared.stats.rq_direct_response.inc()  # redirects as well: Envoy's rq_redirect stays 0
            answer_directly(decoder, route)
        else:
            self._forward(head, end_stream, route, route.action)
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """On to the upstream."""
        if self._request is None:
            data.clear()
        else:
            self._request.on_data(data, end_stream)
        return STOP_NO_BUFFER

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """On to the upstream."""
        if self._request is not None and not self._request.is_over:
            self._request.on_trailers(trailers)
        return STOP_ITERATION

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        return Reasons() if self._request is None or self._request.is_over else self._request.reasons()

    def on_destroy(self) -> None:
        """The stream is over."""
        request, self._request = self._request, None
        if request is not None and not request.is_over:
            request.close()

    def _forward(self, head: RequestHead, end_stream: bool, route: Route, action: RouteAction) -> None:
        decoder, prepared = self.decoder, self._prepared
        cluster: Optional[Cluster] = prepared.clusters.get(action.cluster_name(head))
        if cluster is None:
            prepared.stats.no_cluster.inc()
            decoder.info.add_flag("NC")
            status = action.cluster_not_found_code
            decoder.send_local_reply(
                status, b"", replies.CLUSTER_NOT_FOUND,
                lambda headers: route.finalize_response(ResponseHead(status, headers=headers), decoder.info),
            )
            return
        begin_upstream(decoder.info, cluster)
        groups = self._groups(head, route)
        for name in prepared.checked_headers:
            if invalid_header(name, head.headers.get(name)):
                self._refuse_header(name, head)
                return
        if self._is_turned_away(head, route, cluster, groups):
            return
        request = self._request = RoutedRequest(prepared, decoder, head, route, action, cluster, groups)
        request.begin(end_stream)

    def _groups(self, head: RequestHead, route: Route) -> Sequence[GroupStats]:
        """The virtual cluster and the route, where they have stats of their own."""
        host = route.virtual_host
        name = host.virtual_cluster(head)
        if not name and not route.stat_prefix:
            return ()
        groups: List[GroupStats] = []
        if name:
            if name != OTHER:
                facts: Any = self.decoder.info.http
                facts.virtual_cluster = name
            groups.append(self._prepared.group(host.name, "vcluster", name))
        if route.stat_prefix:
            groups.append(self._prepared.group(host.name, "route", route.stat_prefix))
        return groups

    def _refuse_header(self, name: str, head: RequestHead) -> None:
        self.decoder.info.add_flag("IH")
        body = f"invalid header '{name}' with value '{head.headers.get(name)}'".encode("latin-1")
        self.decoder.send_local_reply(BAD_REQUEST, body, f"{replies.STRICT_CHECK}{{{name}}}")

    def _is_turned_away(self, head: RequestHead, route: Route, cluster: Cluster, groups: Sequence[GroupStats]) -> bool:
        """Whether the cluster takes no requests now, or not this one."""
        prepared, info = self._prepared, self.decoder.info
        if prepared.in_maintenance(cluster):
            prepared.pools.of(cluster).stats.upstream_rq_maintenance_mode.inc()
            why = replies.MAINTENANCE
        elif cluster.drop_overload <= 0:
            return False
        elif cluster.drop_overload >= 1:
            why = replies.UNCONDITIONAL_DROP
        elif prepared.random.random() < cluster.drop_overload:
            why = replies.DROP
        else:
            return False
        info.add_flag(why.flag)
        answer = Answer(prepared, self.decoder, head, route, prepared.pools.of(cluster), groups)
        answer.attempts = 0
        answer.charge_abort(UNAVAILABLE, None)
        answer.reply(UNAVAILABLE, why.body, why.details, why.mark)
        return True
