"""`proxy_proto.[<stat_prefix>.]` and the older `downstream_cx_proxy_proto_error`: process-wide, as in Envoy.

    not_found_allowed      no header, passed on          not_found_disallowed   no header, rejected
    versions.v<N>.found    a header, good or disallowed  versions.v<N>.disallowed   refused by disallowed_versions
    versions.v<N>.error    a bad header                  downstream_cx_proxy_proto_error   rejected for any reason but the version
"""

from __future__ import annotations

from ....observe.stats import Scope


class VersionStats:
    """`versions.v<N>.`"""

    __slots__ = ("found", "disallowed", "error")

    def __init__(self, scope: Scope) -> None:
        self.found = scope.counter("found")
        self.disallowed = scope.counter("disallowed")
        self.error = scope.counter("error")


class ProxyProtocolStats:
    """The counters of one prefix, as attributes."""

    __slots__ = ("not_found_allowed", "not_found_disallowed", "downstream_cx_proxy_proto_error", "v1", "v2")

    def __init__(self, root: Scope, prefix: str) -> None:
        """root: the scope of the process. prefix: `stat_prefix`."""
        scope = root.scope("proxy_proto")
        if prefix:
            scope = scope.scope(prefix)
        self.not_found_allowed = scope.counter("not_found_allowed")
        self.not_found_disallowed = scope.counter("not_found_disallowed")
        self.downstream_cx_proxy_proto_error = root.counter("downstream_cx_proxy_proto_error")
        versions = scope.scope("versions")
        self.v1 = VersionStats(versions.scope("v1"))
        self.v2 = VersionStats(versions.scope("v2"))
