"""upstream_proxy_protocol: tells the upstream who the client is by a PROXY protocol header before the first byte. Mirrors
`envoy.transport_sockets.upstream_proxy_protocol`.

Here are the configuration message and `HeaderBuilder`, which makes the bytes. The header belongs to one client: a connection
that carries it must not be handed to another one.
"""

from __future__ import annotations

import dataclasses
from typing import AbstractSet, Any, List, Mapping, Optional, Sequence

from ...config.fields import Message, Nested, message, optional
from ...config.model.core import TransportSocket
from ...config.model.proxy_protocol import V1, PerHostConfig, ProxyProtocolConfig, TlvEntry
from ...network.address import Address
from ...network.proxy_header import ProxyData, Tlv, combined, v1_header, v2_header, v2_local_header
from ...observe.stats import Scope

HOST_METADATA = "envoy.transport_sockets.proxy_protocol"


@message(
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    unsupported=("allow_unspecified_address", "tlv_as_pool_key"),
)
@dataclasses.dataclass(eq=False, repr=False)
class ProxyProtocolUpstreamTransport(Message):
    """Sends a PROXY protocol header, then what another transport socket makes of the bytes."""

    config: Optional[ProxyProtocolConfig] = optional(Nested(ProxyProtocolConfig), help="Default: version 1.")
    transport_socket: Optional[TransportSocket] = optional(Nested(TransportSocket), required=True)


class HeaderBuilder:
    """The headers of one cluster's connections."""

    def __init__(self, config: Optional[ProxyProtocolConfig], cluster: Scope) -> None:
        """cluster: the cluster's stats scope."""
        config = config or ProxyProtocolConfig()
        self._is_v1 = config.version == V1
        self._added = _tlvs(config.added_tlvs)
        through = config.pass_through_tlvs
        self._passed: Optional[AbstractSet[int]] = frozenset() if through is None else through.types()
        self._exceeded = cluster.scope("upstream").scope("proxyprotocol").counter("v2_tlvs_exceed_max_length")

    def build(
        self, data: Optional[ProxyData], local: Address, remote: Address, host_tlvs: Sequence[Tlv] = ()
    ) -> bytes:
        """The header of one upstream connection.

        data: the client's, None for a connection without a client (a health check). local, remote: the upstream
        connection's own addresses, which version 1 sends without `data`; version 2 says LOCAL. host_tlvs: those of the
        endpoint (`host_tlvs`), which take the place of configured ones of their type.
        """
        if self._is_v1:
            return v1_header(data.source, data.destination) if data is not None else v1_header(local, remote)
        if data is None:
            return v2_local_header()
        own = combined(host_tlvs, self._added, None)
        header, left_out = v2_header(data.source, data.destination, combined(own, data.tlvs, self._passed))
        if left_out:
            self._exceeded.value += 1
        return header


def host_tlvs(typed_filter_metadata: Mapping[str, Any]) -> List[Tlv]:
    """The TLVs that an endpoint's metadata has for itself (`PerHostConfig`), prepared once per endpoint."""
    entry = typed_filter_metadata.get(HOST_METADATA)
    config = entry.message if entry is not None else None
    return _tlvs(config.added_tlvs) if isinstance(config, PerHostConfig) else []


def _tlvs(entries: Sequence[TlvEntry]) -> List[Tlv]:
    return [(entry.type, entry.value) for entry in entries]
