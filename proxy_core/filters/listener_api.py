"""What a listener filter is: it looks at an accepted socket's first bytes before a filter chain is chosen. Mirrors
`Network::ListenerFilter` of `envoy/network/filter.h`.

Each accepted socket has filter instances of its own, run in order by `listener.accepted`. A filter sees *all* bytes that were
read and not consumed, from the first one, each time more come; what nobody consumes is the beginning of the connection's data.

    CONTINUE         this filter is done, the next one gets its turn
    STOP_ITERATION   from `on_accept`: bytes are needed (`most_bytes` > 0), or somebody will call `continue_filter_chain`;
                     from `on_data`: more bytes are needed

One timer (`listener_filters_timeout`) covers the whole phase. When the peer has finished (`ended`), no more bytes can come: a
filter that still answers STOP_ITERATION then, or that holds `most_bytes` bytes and wants more, has its connection closed.
"""

from __future__ import annotations

from typing import Any, Protocol, Tuple

from .api import CONTINUE, FilterStatus


class AcceptedSocket(Protocol):
    """What is known of a connection before it is one. The filter chain is chosen by these facts; filters may set them.

    Addresses are `network.address.Address`. Setting `local_address` to another one also needs `local_restored = True`.
    """

    remote_address: Any
    """Where the connection comes from; after proxy_protocol, the original client."""

    direct_remote_address: Any
    """The peer of the TCP connection, whatever a header says."""

    local_address: Any
    """Where it was meant to go; after proxy_protocol or original_dst, the original destination."""

    local_restored: bool
    """Whether a filter replaced the local address."""

    transport_protocol: str
    """"tls" or "raw_buffer"; "" while nobody has found out."""

    application_protocols: Tuple[str, ...]
    """The client's ALPN offers, or what http_inspector found."""

    requested_server_name: str
    """SNI, lower case."""

    ja3_hash: str
    ja4_hash: str

    info: Any
    """The `observe.stream_info.StreamInfo`: metadata, filter state, transport failure reason."""


class ListenerFilterCallbacks(Protocol):
    """The engine, as a listener filter sees it."""

    @property
    def socket(self) -> AcceptedSocket:
        """The facts."""

    sock: Any
    """The `socket.socket`, for options (SO_ORIGINAL_DST). Not for reading."""

    reactor: Any

    def consume(self, count: int) -> None:
        """Take the first `count` bytes out of the stream: neither a later filter nor the connection sees them."""

    def reject(self, reason: str, details: str = "") -> None:
        """Close the socket; return STOP_ITERATION afterwards. reason: a sentence for the log; details:
        %RESPONSE_CODE_DETAILS% of the listener's access log."""

    def continue_filter_chain(self, success: bool) -> None:
        """An answer that `on_accept` or `on_data` stopped for is there; False closes the socket. Safe inside a hook."""


class ListenerFilter:
    """A filter that lets everything through. Inherit from it to write only what you need."""

    most_bytes = 0
    """How many bytes this filter may want to see; may grow while it waits. 0: it looks at none."""

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """Once, before any byte was read."""
        return CONTINUE

    def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
        """Bytes arrived (all that are not consumed; not to be changed), or the peer finished and no more will come."""
        return CONTINUE

    def on_close(self) -> None:
        """The socket is gone (peer, timeout, shutdown) while this filter waited."""
        return None
