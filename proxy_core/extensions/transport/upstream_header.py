"""The transport socket of `upstream_proxy_protocol`: a PROXY header in front of what another transport socket does."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...filters.registry import UpstreamTransportContext, UpstreamTransportExtension
from ...network.address import Address
from ...network.header_transport import HeaderTransport
from ...network.proxy_header import STATE_KEY, ProxyData
from ...network.transport import Transport
from ...observe.stream_info import StreamInfo
from .upstream_proxy_protocol import HeaderBuilder, ProxyProtocolUpstreamTransport, host_tlvs


def build(
    message: ProxyProtocolUpstreamTransport, context: UpstreamTransportContext
) -> Callable[[StreamInfo, Any], Transport]:
    """Prepare the wrapped transport socket and the header. Raises ConfigError."""
    inner = context.prepare(message.transport_socket, f"{context.path}.transport_socket")
    builder = HeaderBuilder(message.config, context.scope)

    def new_transport(info: StreamInfo, host: Any) -> Transport:
        def header(connection: Any) -> bytes:
            remote = connection.remote_address
            local = Address.from_sockaddr(remote.family, connection.sock.getsockname())
            return builder.build(client_of(info), local, remote, host_tlvs(host.typed_metadata))
        return HeaderTransport(header, inner(info, host))
    return new_transport


def client_of(info: StreamInfo) -> Optional[ProxyData]:
    """Whom the header is to name: who the PROXY header of the client said, else the client as it is known to the listener."""
    data = info.filter_state.get(STATE_KEY)
    if isinstance(data, ProxyData):
        return data
    if not info.downstream_remote_address or not info.downstream_local_address:
        return None
    return ProxyData(_address(info.downstream_remote_address), _address(info.downstream_local_address))


def _address(text: str) -> Address:
    """From the printed form: "127.0.0.1:443", "[::1]:443", or the path of a Unix socket."""
    ip, _, port = text.rpartition(":")
    try:
        return Address.from_ip(ip.strip("[]"), int(port))
    except (ValueError, OSError):  # no IP address, or one of an interface that is gone
        return Address.from_path(text)


UPSTREAM_EXTENSION = UpstreamTransportExtension(ProxyProtocolUpstreamTransport, build)
