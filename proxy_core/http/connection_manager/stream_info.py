"""A `StreamInfo` for one request: what the connection knows, with a beginning of its own."""

from __future__ import annotations

from ...observe.stream_info import StreamInfo


def stream_info(connection: StreamInfo, wall: float, now: float) -> StreamInfo:
    """connection: of the connection. wall: seconds since the epoch, now: the reactor's."""
    info = StreamInfo(connection.connection_id, wall, now)
    info.listener_name = connection.listener_name
    info.filter_chain_name = connection.filter_chain_name
    info.downstream_remote_address = connection.downstream_remote_address
    info.downstream_local_address = connection.downstream_local_address
    info.local_address_restored = connection.local_address_restored
    info.downstream_direct_remote_address = connection.downstream_direct_remote_address
    info.downstream_direct_local_address = connection.downstream_direct_local_address
    info.requested_server_name = connection.requested_server_name
    info.ja3_hash = connection.ja3_hash
    info.ja4_hash = connection.ja4_hash
    info.alpn = connection.alpn
    info.tls = connection.tls
    info.filter_state = connection.filter_state
    info.metadata = connection.metadata
    info.dynamic_metadata = connection.dynamic_metadata
    return info
