"""What a connection takes from the request it is made for, so that it can't serve every other one. Mirrors
`TransportSocketOptions::hashKey`.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Final, Hashable, List, Mapping, NamedTuple, Optional

from ...http.events import RequestHead
from ...observe.filter_state import (
    APPLICATION_PROTOCOLS_FALLBACK, UPSTREAM_SERVER_NAME, UPSTREAM_SUBJECT_ALT_NAMES, FilterStateObject,
)
from ...observe.stream_info import StreamInfo
from ..cluster import Cluster
from ..ready_pool import may_share
from .options import HttpOptions

# A TLS connection of an HTTP pool offers this, if its cluster does not say what.
FALLBACK: Final[Mapping[str, Any]] = {APPLICATION_PROTOCOLS_FALLBACK: FilterStateObject(("http/1.1",), None)}


class Partition(NamedTuple):
    """key: requests with the same one may share connections. state: for the transport. remote, local: of the client."""

    key: Hashable
    state: Mapping[str, Any]
    remote: str
    local: str

    def write(self, info: StreamInfo) -> None:
        """Tell a connection's transport."""
        info.filter_state = self.state
        info.downstream_remote_address, info.downstream_local_address = self.remote, self.local


def partition_of(cluster: Cluster, options: HttpOptions, info: StreamInfo, head: RequestHead) -> Optional[Partition]:
    """Of one request; None if its connection may serve all others as well. info: of its stream."""
    own: Dict[str, Any] = {}
    if options.auto_sni and UPSTREAM_SERVER_NAME not in info.filter_state:
        name = server_name(head, options.sni_header)
        if name:
            own[UPSTREAM_SERVER_NAME] = FilterStateObject(name)
            if options.auto_san:
                own[UPSTREAM_SUBJECT_ALT_NAMES] = FilterStateObject((name,), None)
    is_shared = may_share(cluster, info)
    if is_shared and not own and not options.per_downstream:
        return None
    key: List[Hashable] = [(name, str(one.value)) for name, one in own.items()]
    if options.per_downstream:
        key.append(info.connection_id)
    if is_shared:
        return Partition(tuple(key), {**FALLBACK, **own}, "", "")
    key += [(name, str(one)) for name, one in info.filter_state.items()]
    remote, local = info.downstream_remote_address, info.downstream_local_address
    return Partition((*key, remote, local), {**FALLBACK, **info.filter_state, **own}, remote, local)


def server_name(head: RequestHead, header: str) -> str:
    """The host that the request (or this header of it) names, without its port; "" for an IP address."""
    text = (head.headers.get(header) if header else None) or head.authority or ""
    if text.startswith("["):
        return ""
    host = text.rpartition(":")[0] or text
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""
