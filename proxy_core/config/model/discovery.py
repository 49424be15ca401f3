"""How the hosts of a cluster are found: the messages that `envoy.config.cluster.v3.Cluster` uses for that,
the DNS cluster extension, and the resolvers that may be named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, Report, message, optional, plain
from ..kinds import Bool, Duration, Enum, String, UInt32, UInt64
from ..nested import AnyOf, AnyValue, Nested
from .config_source import ConfigSource
from .core import TypedExtensionConfig
from .metadata import MetadataKey

LOOKUP_FAMILY = Enum(AUTO=0, V4_ONLY=1, V6_ONLY=2, V4_PREFERRED=3, ALL=4)
# The extension counts from another zero.
DNS_LOOKUP_FAMILY = Enum(UNSPECIFIED=0, AUTO=1, V4_ONLY=2, V6_ONLY=3, V4_PREFERRED=4, ALL=5)
SHORTEST_REFRESH = 0.001  # seconds; a rate must be longer

_INTERVALS = "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval"


@message("envoy.config.cluster.v3.Cluster.RefreshRate")
@dataclass(eq=False, repr=False)
class RefreshRate(Message):
    """When to ask again after a failure: at random between base_interval and an end that doubles with each
    failure."""

    base_interval: Optional[float] = optional(Duration(gt=SHORTEST_REFRESH), required=True)
    max_interval: Optional[float] = optional(
        Duration(gt=SHORTEST_REFRESH), help="Default 10 times base_interval."
    )

    def check(self, report: Report) -> None:
        if self.max_interval is not None and self.max_interval < (self.base_interval or 0.0):
            report("max_interval", _INTERVALS, uses=("base_interval",))


@message("envoy.config.cluster.v3.Cluster.CustomClusterType")
@dataclass(eq=False, repr=False)
class CustomClusterType(Message):
    """A cluster type by the name of its extension."""

    name: str = plain(
        String(min_len=1), help="envoy.cluster.dns, .static, .strict_dns, .logical_dns, .eds, .original_dst."
    )
    typed_config: Optional[AnyValue] = optional(AnyOf(), help="A DnsCluster, for envoy.cluster.dns.")


@message("envoy.config.cluster.v3.Cluster.EdsClusterConfig")
@dataclass(eq=False, repr=False)
class EdsClusterConfig(Message):
    """Where the hosts of an EDS cluster come from."""

    eds_config: Optional[ConfigSource] = optional(Nested(ConfigSource), required=True)
    service_name: str = plain(String(), help="Name of the assignment; default: the cluster's.")


@message(
    "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig",
    unsupported=("use_http_header", "http_header_name"),
)
@dataclass(eq=False, repr=False)
class OriginalDstLbConfig(Message):
    """What an ORIGINAL_DST cluster makes of the address that the client dialled."""

    upstream_port_override: Optional[int] = optional(UInt32(lte=65535), help="Instead of the dialled port.")
    metadata_key: Optional[MetadataKey] = optional(
        Nested(MetadataKey), help="Where filters have left another address, as text, in the dynamic metadata."
    )


@message("envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate")
@dataclass(eq=False, repr=False)
class DnsRefreshRate(RefreshRate):
    """As `RefreshRate`."""


@message("envoy.extensions.clusters.dns.v3.DnsCluster")
@dataclass(eq=False, repr=False)
class DnsCluster(Message):
    """STRICT_DNS, or LOGICAL_DNS with all_addresses_in_single_endpoint, with the settings in one place."""

    dns_refresh_rate: Optional[float] = optional(Duration(gt=SHORTEST_REFRESH), help="Default 5s.")
    dns_failure_refresh_rate: Optional[DnsRefreshRate] = optional(
        Nested(DnsRefreshRate), help="Default: dns_refresh_rate."
    )
    respect_dns_ttl: bool = plain(Bool(), help="Of no effect: the system's resolver does not tell.")
    dns_jitter: Optional[float] = optional(
        Duration(gte=0), help="At random up to this much later; default 0s."
    )
    typed_dns_resolver_config: Optional[TypedExtensionConfig] = optional(
        Nested(TypedExtensionConfig), help="The system's resolver is used in any case."
    )
    dns_lookup_family: str = plain(DNS_LOOKUP_FAMILY, help="UNSPECIFIED is AUTO: IPv6, or else IPv4.")
    all_addresses_in_single_endpoint: bool = plain(
        Bool(), help="One host, whose address is the first of the answer."
    )
    dns_min_refresh_rate: Optional[float] = optional(Duration(gte=1), help="Of no effect: it bounds a TTL.")


@message(
    "envoy.config.core.v3.DnsResolverOptions",
    unsupported=("use_tcp_for_dns_lookups", "no_default_search_domain"),
)
@dataclass(eq=False, repr=False)
class DnsResolverOptions(Message):
    """Options of a resolver. The system's has its own, in resolv.conf."""


@message(
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    unsupported=("resolvers", "use_resolvers_as_fallback"),
)
@dataclass(eq=False, repr=False)
class CaresDnsResolverConfig(Message):
    """Envoy's own resolver. Here names are looked up by the system: servers of one's own are refused, the
    rest is of no effect."""

    dns_resolver_options: Optional[DnsResolverOptions] = optional(Nested(DnsResolverOptions))
    filter_unroutable_families: bool = plain(Bool(), help="Of no effect.")
    udp_max_queries: Optional[int] = optional(UInt32(), help="Of no effect.")
    query_timeout_seconds: Optional[int] = optional(UInt64(gte=1), help="Of no effect: see resolv.conf.")
    query_tries: Optional[int] = optional(UInt32(gte=1), help="Of no effect: see resolv.conf.")
    rotate_nameservers: bool = plain(Bool(), help="Of no effect: see resolv.conf.")
    edns0_max_payload_size: Optional[int] = optional(UInt32(gte=512, lte=4096), help="Of no effect.")
    max_udp_channel_duration: Optional[float] = optional(Duration(gte=0), help="Of no effect.")
    reinit_channel_on_timeout: bool = plain(Bool(), help="Of no effect.")
    qcache_max_ttl: Optional[int] = optional(UInt32(), help="Of no effect.")


@message("envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig")
@dataclass(eq=False, repr=False)
class GetAddrInfoDnsResolverConfig(Message):
    """The system's resolver, which is used in any case."""

    num_retries: Optional[int] = optional(
        UInt32(), help="Of no effect: the system's resolver tries as often as resolv.conf says."
    )
    num_resolver_threads: Optional[int] = optional(
        UInt32(), help="Of no effect: there are at most two, for all clusters."
    )


DISCOVERY_TYPES = (DnsCluster, CaresDnsResolverConfig, GetAddrInfoDnsResolverConfig)  # what an `Any` may hold
