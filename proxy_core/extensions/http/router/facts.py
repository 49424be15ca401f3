"""What the router tells access logs about the upstream: hosts, connections, attempts."""

from __future__ import annotations

from typing import Any, Optional

from ....network.connection import Connection
from ....observe.stream_info import StreamInfo, UpstreamInfo
from ....upstream.cluster import Cluster
from ....upstream.host import Host


def begin_upstream(info: StreamInfo, cluster: Cluster) -> None:
    """A request is about to be sent to this cluster."""
    upstream = info.upstream = UpstreamInfo()
    upstream.cluster, upstream.cluster_raw = cluster.observability_name, cluster.name
    if cluster.config.metadata is not None:
        info.metadata = {**info.metadata, "CLUSTER": cluster.config.metadata.filter_metadata}


def note_attempt(info: StreamInfo, attempts: int) -> None:
    """Another attempt begins, the attempts-th."""
    if info.upstream is not None:
        info.upstream.attempt_count = attempts


def note_host(info: StreamInfo, host: Host) -> None:
    """It goes to this host."""
    upstream = info.upstream
    if upstream is not None:
        upstream.host = upstream.connecting_to = host.address.text
        upstream.host_name = host.hostname


def note_connection(info: StreamInfo, connection: Connection, protocol: str) -> None:
    """An attempt has this connection now. protocol: "" for TCP."""
    facts: Any = info.http
    upstream, own = info.upstream, connection.info.upstream
    if upstream is None:
        return
    upstream.connection_id = connection.id
    upstream.connection_ids_attempted += (connection.id,)
    upstream.connect_started_at = connection.opened_at
    if own is not None and own is not upstream:
        upstream.local_address, upstream.remote_address = own.local_address, own.remote_address
        upstream.connected_at, upstream.tls = own.connected_at, own.tls
    facts.upstream_protocol = protocol


def note_answer(info: StreamInfo, host: Optional[Host], waited: float, failure: str = "") -> None:
    """A pool has given a connection, or has none. host: None if nobody was asked; waited: seconds; failure: the transport's
    text."""
    upstream = info.upstream
    if upstream is None:
        return
    upstream.transport_failure_reason = failure
    if host is None:
        upstream.host = upstream.host_name = ""
        return
    upstream.hosts_attempted += (upstream.host,)
    upstream.pool_ready_ms = int(waited * 1000)
    if host.metadata:
        info.metadata = {**info.metadata, "UPSTREAM_HOST": host.metadata}
