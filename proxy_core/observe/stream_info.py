"""What is known about one connection: the facts that access logs, the admin and filters read.

One `StreamInfo` is made per downstream connection when its socket is accepted; listener, connection, filters and
tcp_proxy write into it as they learn, the access-log formatter reads it when the connection ends. Mirrors
`Envoy::StreamInfo` with `UpstreamInfo` as a separate object, made at the first connect attempt.

Addresses are kept as their printed form ("127.0.0.1:443", "[::1]:443", "/run/x.sock"): they are printed far more often
than computed with. Byte counts are plain ints, written by the connection when it closes or by `refresh` before a log line.
"""

from __future__ import annotations

import types
from typing import Any, Callable, Dict, Final, Mapping, Optional, Tuple

# What maps are before somebody has something to put in: one object for all streams. Replace it, it can't be written.
NOTHING: Final[Mapping[str, Any]] = types.MappingProxyType({})

# What listener filters found, as the filter chain was chosen by it: transport protocol, application protocols.
NOTHING_DETECTED: Final[Tuple[str, Tuple[str, ...]]] = ("raw_buffer", ())

NORMAL = "Normal"
REMOTE_RESET = "RemoteReset"
LOCAL_RESET = "LocalReset"


class UpstreamInfo:
    """The upstream half: attempts, the host chosen last, and how that connection went."""

    __slots__ = (
        "cluster", "cluster_raw", "host", "host_name", "remote_address", "local_address", "connection_id",
        "hosts_attempted", "connection_ids_attempted", "attempt_count", "transport_failure_reason",
        "local_close_reason", "detected_close_type", "connected_at", "closed_at", "pool_ready_ms",
        "wire_bytes_sent", "wire_bytes_received", "tls", "connect_started_at", "connecting_to",
    )

    def __init__(self) -> None:
        self.cluster: str = ""  # observability name (alt_stat_name if set)
        self.cluster_raw: str = ""  # configured name
        self.connecting_to: str = ""  # "ip:port" chosen for the attempt under way or the last one
        self.host: str = ""  # the same once the attempt is over, also when it failed: what logs print
        self.host_name: str = ""
        self.remote_address: str = ""  # set only once connected
        self.local_address: str = ""
        self.connection_id: int = 0
        self.hosts_attempted: Tuple[str, ...] = ()
        self.connection_ids_attempted: Tuple[int, ...] = ()
        self.attempt_count: int = 0
        self.transport_failure_reason: str = ""
        self.local_close_reason: str = ""
        self.detected_close_type: str = NORMAL
        self.connect_started_at: Optional[float] = None  # monotonic seconds, of the attempt that came up
        self.connected_at: Optional[float] = None
        self.closed_at: Optional[float] = None
        self.pool_ready_ms: Optional[int] = None  # from the first attempt to the last answer, good or bad
        self.wire_bytes_sent: int = 0
        self.wire_bytes_received: int = 0
        self.tls: Optional[Dict[str, Any]] = None


class StreamInfo:
    """The downstream half and everything that belongs to the connection as a whole."""

    __slots__ = (
        "connection_id", "start_wall", "start_mono", "end_mono", "listener_name", "filter_chain_name",
        "downstream_remote_address", "downstream_local_address", "downstream_direct_remote_address",
        "downstream_direct_local_address", "bytes_received", "bytes_sent", "wire_bytes_received",
        "wire_bytes_sent", "response_flags", "response_code_details", "connection_termination_details",
        "downstream_local_close_reason", "downstream_detected_close_type", "downstream_transport_failure_reason",
        "requested_server_name", "alpn", "stream_id", "dynamic_metadata", "filter_state", "upstream", "tls",
        "close_reason", "refresh", "http", "metadata", "ja3_hash", "ja4_hash",
        "local_address_restored", "detected",
    )

    def __init__(self, connection_id: int, start_wall: float, start_mono: float) -> None:
        self.connection_id = connection_id
        self.start_wall = start_wall  # time.time() at accept
        self.start_mono = start_mono  # reactor.now at accept
        self.end_mono: Optional[float] = None
        self.listener_name = ""
        self.filter_chain_name = ""
        self.downstream_remote_address = ""
        self.downstream_local_address = ""
        self.local_address_restored = False  # a listener filter put in what the client had dialled
        self.downstream_direct_remote_address = ""
        self.downstream_direct_local_address = ""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.wire_bytes_received = 0
        self.wire_bytes_sent = 0
        self.response_flags: Tuple[str, ...] = ()  # short names ("UF") as they were set, no duplicates
        self.response_code_details = ""
        self.connection_termination_details = ""
        self.downstream_local_close_reason = ""
        self.downstream_detected_close_type = NORMAL
        self.downstream_transport_failure_reason = ""
        self.requested_server_name = ""
        self.detected = NOTHING_DETECTED
        self.ja3_hash = ""  # by tls_inspector, with or without a TLS session of ours
        self.ja4_hash = ""
        self.alpn = ""
        self.stream_id = ""  # uuid4 text, "" until somebody asks for it
        self.dynamic_metadata: Mapping[str, Mapping[str, Any]] = NOTHING
        self.filter_state: Mapping[str, Any] = NOTHING
        # filter_metadata of the configuration by owner: "LISTENER", "LISTENER_FILTER_CHAIN", "CLUSTER", "UPSTREAM_HOST"
        self.metadata: Mapping[str, Mapping[str, Mapping[str, Any]]] = NOTHING
        self.upstream: Optional[UpstreamInfo] = None
        self.tls: Optional[Dict[str, Any]] = None
        self.close_reason = ""  # ours: one readable sentence, who closed and why
        self.refresh: Optional[Callable[[], None]] = None  # brings the byte counts up to date while the stream lives
        self.http: Optional[Any] = None  # HTTP facts, filled by the HTTP connection manager

    def add_flag(self, flag: str) -> None:
        """Record a response flag by its short name, once."""
        if flag not in self.response_flags:
            self.response_flags += (flag,)

    def set_dynamic_metadata(self, namespace: str, values: Mapping[str, Any]) -> None:
        """Merge `values` into the metadata of one namespace (a filter's name), for access logs, RBAC and host selection."""
        merged = {**self.dynamic_metadata.get(namespace, {}), **values}
        self.dynamic_metadata = {**self.dynamic_metadata, namespace: merged}

    def set_filter_state(self, name: str, value: Any) -> None:
        """Put an object where later filters of this connection, and access logs, find it by name."""
        self.filter_state = {**self.filter_state, name: value}
