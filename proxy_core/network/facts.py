"""Brings a stream's facts up to date before somebody prints them: the byte path only counts."""

from __future__ import annotations

from typing import Protocol, Sequence

from ..observe.stream_info import StreamInfo
from . import sockets
from .connection import Connection


class AccessLogger(Protocol):
    """A configured access log."""

    def log(self, info: StreamInfo, log_type: str) -> None:
        """Write the line of this moment."""


def local_address_text(connection: Connection) -> str:
    """Our end of a connection. An upstream one keeps no object for it: the kernel knows, as long as it is open."""
    if connection.local_address is None and connection.fd >= 0 and connection.remote_address is not None:
        return sockets.local_address_text(connection.sock, connection.remote_address.family)
    return connection.local_address.text if connection.local_address is not None else ""


def write_access_logs(loggers: Sequence[AccessLogger], connection: Connection, log_type: str) -> None:
    """One line about a downstream connection to each logger, with the counts of now."""
    if loggers:
        refresh_stream_info(connection)
        for logger in loggers:
            logger.log(connection.info, log_type)


def refresh_stream_info(connection: Connection) -> None:
    """Copy what the downstream connection knows by now into its `StreamInfo`."""
    info = connection.info
    info.bytes_received = info.wire_bytes_received = connection.bytes_read
    info.bytes_sent = connection.bytes_queued
    info.wire_bytes_sent = connection.bytes_sent
    info.downstream_local_close_reason = connection.local_close_details
    if info.tls is None:
        info.tls = connection.transport.facts()
    if connection.transport_failure_reason:
        info.downstream_transport_failure_reason = connection.transport_failure_reason
    info.downstream_detected_close_type = connection.detected_close_type
    info.end_mono = connection.reactor.now
    if connection.close_reason is not None:
        info.close_reason = str(connection.close_reason)
