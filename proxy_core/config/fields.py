"""Everything that is needed to declare a configuration message, in one import.

A filter declares its configuration in its own file, like this:

    from ...config.fields import Duration, Message, Nested, String, message, optional, plain, repeated

    @message("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
             unsupported=("tunneling_config", "on_demand"), required_oneofs=("cluster_specifier",))
    @dataclass(eq=False, repr=False)  # `Message` has them
    class TcpProxy(Message):
        \"\"\"One sentence for the schema.\"\"\"

        stat_prefix: str = plain(String(min_len=1), help="Stats are named tcp.<stat_prefix>.")
        cluster: Optional[str] = optional(String(), oneof="cluster_specifier", refers_to="cluster")
        weighted_clusters: Optional[WeightedCluster] = optional(Nested(WeightedCluster),
        oneof="cluster_specifier")
        idle_timeout: Optional[float] = optional(Duration(), help="Default 1h; 0s = none.")
        access_log: List[AccessLog] = repeated(Nested(AccessLog))

        def check(self, report: Report) -> None:  # rules between fields
            if self.upstream_connect_mode != "IMMEDIATE" and self.max_early_data_bytes is None:
                report("max_early_data_bytes", "must be set ...", uses=("upstream_connect_mode",))

and its class is added to the server's `TypeRegistry`. `plain` = proto3 scalar (unset is zero; a kind that
refuses zero is required); `optional` = message, wrapper (`optional(UInt32())` is a UInt32Value), duration,
Any or member of a oneof; `repeated`, `mapping` = list, map. Fields in the order of Envoy's numbers, all of
Envoy's other fields in `unsupported`.
"""

from __future__ import annotations

from .context import Wrong
from .descriptor import Empty, Message, Report, mapping, message, optional, plain, repeated, walk
from .kinds import Bool, Bytes, Double, Duration, Enum, Int32, Int64, String, Struct, UInt32, UInt64, Value
from .nested import AnyOf, AnyValue, Nested
from .registry import PythonConfig, TypeRegistry

__all__ = [
    "AnyOf", "AnyValue", "Bool", "Bytes", "Double", "Duration", "Empty", "Enum", "Int32", "Int64", "Message",
    "Nested", "PythonConfig", "Report", "String", "Struct", "TypeRegistry", "UInt32", "UInt64", "Value",
    "Wrong", "mapping", "message", "optional", "plain", "repeated", "walk",
]
