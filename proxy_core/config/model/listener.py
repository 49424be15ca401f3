"""envoy.config.listener.v3: where connections come in, and which filters they go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Empty, Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Duration, Enum, String, UInt32
from ..nested import AnyOf, AnyValue, Nested
from .access_log import AccessLog
from .address import Address, CidrRange, SocketOption, SocketOptionsOverride, TcpKeepalive
from .core import TRAFFIC_DIRECTION, Int32Range, Metadata, TransportSocket


@message("envoy.config.listener.v3.Filter", unsupported=("config_discovery",))
@dataclass(eq=False, repr=False)
class Filter(Message):
    """One network filter of a chain."""

    name: str = plain(String(min_len=1), help="Free text, used in logs and errors; the type decides.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")


@message("envoy.config.listener.v3.ListenerFilterChainMatchPredicate", required_oneofs=("rule",))
@dataclass(eq=False, repr=False)
class ListenerFilterChainMatchPredicate(Message):
    """For which connections a listener filter is switched off."""

    or_match: Optional[MatchSet] = optional(Nested.later(lambda: MatchSet), oneof="rule")
    and_match: Optional[MatchSet] = optional(Nested.later(lambda: MatchSet), oneof="rule")
    not_match: Optional[ListenerFilterChainMatchPredicate] = optional(
        Nested.later(lambda: ListenerFilterChainMatchPredicate), oneof="rule"
    )
    any_match: Optional[bool] = optional(Bool(), oneof="rule", help="Must be true.")
    destination_port_range: Optional[Int32Range] = optional(
        Nested(Int32Range), oneof="rule", help="The end is exclusive."
    )

    def check(self, report: Report) -> None:
        if self.any_match is False:
            report("any_match", "value must equal true")


@message("envoy.config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet")
@dataclass(eq=False, repr=False)
class MatchSet(Message):
    """At least two predicates."""

    rules: List[ListenerFilterChainMatchPredicate] = repeated(
        Nested(ListenerFilterChainMatchPredicate), min_items=2
    )


@message("envoy.config.listener.v3.ListenerFilter", unsupported=("config_discovery",))
@dataclass(eq=False, repr=False)
class ListenerFilter(Message):
    """A filter that looks at a connection's first bytes before its filter chain is chosen."""

    name: str = plain(String(min_len=1), help="Free text; the type decides.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")
    filter_disabled: Optional[ListenerFilterChainMatchPredicate] = optional(
        Nested(ListenerFilterChainMatchPredicate), help="Where this holds, the filter is skipped."
    )


@message("envoy.config.listener.v3.FilterChainMatch", unsupported=("address_suffix", "suffix_len"))
@dataclass(eq=False, repr=False)
class FilterChainMatch(Message):
    """For which connections a chain is; what is not set matches all. The order of the criteria is Envoy's."""

    prefix_ranges: List[CidrRange] = repeated(Nested(CidrRange), help="The address connected to.")
    source_prefix_ranges: List[CidrRange] = repeated(
        Nested(CidrRange), help="The peer, after proxy_protocol."
    )
    source_ports: List[int] = repeated(UInt32(gte=1, lte=65535))
    destination_port: Optional[int] = optional(UInt32(gte=1, lte=65535))
    transport_protocol: str = plain(String(), help="'tls' or 'raw_buffer'.")
    application_protocols: List[str] = repeated(String(), help="ALPN names.")
    server_names: List[str] = repeated(String(), help="SNI: 'a.example.com' or '*.example.com'.")
    source_type: str = plain(Enum(ANY=0, SAME_IP_OR_LOOPBACK=1, EXTERNAL=2))
    direct_source_prefix_ranges: List[CidrRange] = repeated(
        Nested(CidrRange), help="The peer of the TCP connection."
    )

    def check(self, report: Report) -> None:
        for index, name in enumerate(self.server_names):
            if "*" in name and not name.startswith("*."):
                report(f"server_names[{index}]", 'partial wildcards are not supported in "server_names"')


@message("envoy.config.listener.v3.FilterChain", unsupported=("use_proxy_proto",))
@dataclass(eq=False, repr=False)
class FilterChain(Message):
    """A transport and the filters behind it, for the connections that match."""

    filter_chain_match: Optional[FilterChainMatch] = optional(Nested(FilterChainMatch))
    filters: List[Filter] = repeated(Nested(Filter), help="In order; the last one must be a terminal filter.")
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    transport_socket: Optional[TransportSocket] = optional(
        Nested(TransportSocket), help="Default: raw bytes."
    )
    name: str = plain(String(), help="For the access log (%FILTER_CHAIN_NAME%).")
    transport_socket_connect_timeout: Optional[float] = optional(
        Duration(), help="TLS handshake; default none."
    )


@message("envoy.config.listener.v3.AdditionalAddress")
@dataclass(eq=False, repr=False)
class AdditionalAddress(Message):
    """One more address of the same listener."""

    address: Optional[Address] = optional(Nested(Address), required=True)
    socket_options: Optional[SocketOptionsOverride] = optional(Nested(SocketOptionsOverride))
    tcp_keepalive: Optional[TcpKeepalive] = optional(Nested(TcpKeepalive))


@message(
    "envoy.config.listener.v3.Listener.ConnectionBalanceConfig",
    unsupported=("extend_balance",), required_oneofs=("balance_type",),
)
@dataclass(eq=False, repr=False)
class ConnectionBalanceConfig(Message):
    """How connections are shared out to workers; of no effect with one worker."""

    exact_balance: Optional[Empty] = optional(Nested(Empty), oneof="balance_type")
    cpu_locality_balance: Optional[Empty] = optional(Nested(Empty), oneof="balance_type")


@message(
    "envoy.config.listener.v3.Listener",
    unsupported=(
        "deprecated_v1",
        "udp_listener_config", "api_listener", "internal_listener", "enable_mptcp", "filter_chain_matcher",
        "fcds_config", "stats_matcher",
    ),
)
@dataclass(eq=False, repr=False)
class Listener(Message):
    """A place where connections come in."""

    name: str = plain(String(), help="Default: a made-up one.")
    address: Optional[Address] = optional(Nested(Address), help="Required for a listener of the bootstrap.")
    filter_chains: List[FilterChain] = repeated(Nested(FilterChain))
    use_original_dst: Optional[bool] = optional(
        Bool(), help="Hand connections whose destination was restored to the listener at that address."
    )
    per_connection_buffer_limit_bytes: Optional[int] = optional(
        UInt32(), help="Default 1048576; 0 = no limit."
    )
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    drain_type: str = plain(Enum(DEFAULT=0, MODIFY_ONLY=1))
    listener_filters: List[ListenerFilter] = repeated(Nested(ListenerFilter))
    transparent: Optional[bool] = optional(Bool(), help="IP_TRANSPARENT, for TPROXY; default: not touched.")
    freebind: Optional[bool] = optional(Bool(), help="IP_FREEBIND: the address may come later.")
    tcp_fast_open_queue_length: Optional[int] = optional(
        UInt32(lte=2**31 - 1), help="Default: not touched; 0 = off."
    )
    socket_options: List[SocketOption] = repeated(Nested(SocketOption))
    listener_filters_timeout: Optional[float] = optional(Duration(), help="Default 15s; 0s = none.")
    traffic_direction: str = plain(TRAFFIC_DIRECTION)
    continue_on_listener_filters_timeout: bool = plain(
        Bool(), help="Go on with the chain instead of closing."
    )
    connection_balance_config: Optional[ConnectionBalanceConfig] = optional(Nested(ConnectionBalanceConfig))
    reuse_port: bool = plain(
        Bool(), deprecated=True, help="Of no effect: enable_reuse_port is on by default."
    )
    access_log: List[AccessLog] = repeated(
        Nested(AccessLog), help="Connections that found no filter chain too."
    )
    tcp_backlog_size: Optional[int] = optional(UInt32(lte=2**31 - 1), help="Default: the system's limit.")
    default_filter_chain: Optional[FilterChain] = optional(Nested(FilterChain), help="When no chain matches.")
    bind_to_port: Optional[bool] = optional(Bool(), help="Default true.")
    stat_prefix: str = plain(String(), help="Stats are named listener.<stat_prefix>.; default: the address.")
    enable_reuse_port: Optional[bool] = optional(Bool(), help="Default true.")
    ignore_global_conn_limit: bool = plain(Bool(), help="Not counted for, nor stopped by, the process limit.")
    additional_addresses: List[AdditionalAddress] = repeated(Nested(AdditionalAddress))
    bypass_overload_manager: bool = plain(Bool(), help="Of no effect: there are no overload actions.")
    max_connections_to_accept_per_socket_event: Optional[int] = optional(UInt32(gte=1))
    tcp_keepalive: Optional[TcpKeepalive] = optional(Nested(TcpKeepalive), help="For accepted connections.")
    per_connection_buffer_high_watermark_timeout: Optional[float] = optional(
        Duration(), help="Close a connection whose buffer stays full for so long; default never."
    )
