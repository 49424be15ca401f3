"""What a session tells the balancer of its cluster: the hash of the client, the metadata that a host must have.

Mirrors `TcpProxy::Filter::computeHashKey` and `metadataMatchCriteria`, and `Network::HashPolicyImpl`. Worked out only for
clusters whose balancer asks.
"""

from __future__ import annotations

import dataclasses
from typing import Any, List, NamedTuple, Optional

from ....config.fields import Message, Nested, String, message, optional, plain
from ....hashing import xxhash64
from ....observe.filter_state import FilterStateObject
from ....observe.stream_info import StreamInfo
from ....upstream.balancer import Criteria, PickContext
from ....upstream.balancer.criteria import merged, of_metadata
from ....upstream.cluster import Cluster

_NAME = "envoy.type.v3.HashPolicy"


@message(f"{_NAME}.SourceIp")
@dataclasses.dataclass(eq=False, repr=False)
class SourceIp(Message):
    """The client's IP address, without its port."""


@message(f"{_NAME}.FilterState")
@dataclasses.dataclass(eq=False, repr=False)
class FilterState(Message):
    """An object that a filter left on the connection, if it can be hashed."""

    key: str = plain(String(min_len=1))


@message(_NAME, required_oneofs=("policy_specifier",))
@dataclasses.dataclass(eq=False, repr=False)
class HashPolicy(Message):
    """What RING_HASH and MAGLEV place a connection by."""

    source_ip: Optional[SourceIp] = optional(Nested(SourceIp), oneof="policy_specifier")
    filter_state: Optional[FilterState] = optional(Nested(FilterState), oneof="policy_specifier")


class Route(NamedTuple):
    """A cluster that the configuration names, and the metadata its hosts must have there; None = any."""

    cluster: str
    criteria: Optional[Criteria]


class Picking:
    """Makes the contexts of one filter chain. policies: at most one."""

    __slots__ = ("_policy",)

    def __init__(self, policies: List[HashPolicy]) -> None:
        self._policy = policies[0] if policies else None

    def context(self, cluster: Cluster, criteria: Optional[Criteria], info: StreamInfo) -> Optional[PickContext]:
        """For one connect attempt; None when there is nothing to tell, which is the common case and costs nothing."""
        if not cluster.uses_hash and not cluster.uses_criteria:
            return PickContext(info=info) if cluster.uses_info else None
        number = self._hash(info) if cluster.uses_hash else None
        if cluster.uses_criteria:
            criteria = merged(criteria, of_metadata(info.dynamic_metadata))
        return PickContext(number, criteria)

    def _hash(self, info: StreamInfo) -> Optional[int]:
        policy = self._policy
        if policy is None:
            return None
        if policy.filter_state is not None:
            found: Any = info.filter_state.get(policy.filter_state.key)
            hashable = isinstance(found, FilterStateObject) and found.hashable
            return xxhash64(str(found.value).encode()) if hashable else None
        ip = ip_of(info.downstream_remote_address) if policy.source_ip is not None else ""
        return xxhash64(ip.encode()) if ip else None


def ip_of(address: str) -> str:
    """The IP of "127.0.0.1:80" or "[::1]:80"; "" for a Unix socket's path."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    if not address or address[0] in "/@":
        return ""
    return address.rpartition(":")[0]
