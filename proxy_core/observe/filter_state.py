"""Objects that filters leave on a connection under a well-known name, for filters behind them, for the way to the upstream and
for access logs. Mirrors `StreamInfo::FilterState::Object`: what an object is worth, and its three renderings.
"""

from __future__ import annotations

from typing import Any, Final, Mapping, Optional

from .stream_info import NOTHING

TCP_PROXY_CLUSTER: Final = "envoy.tcp_proxy.cluster"
UPSTREAM_SERVER_NAME: Final = "envoy.network.upstream_server_name"
UPSTREAM_SUBJECT_ALT_NAMES: Final = "envoy.network.upstream_subject_alt_names"
APPLICATION_PROTOCOLS: Final = "envoy.network.application_protocols"
# Ours: what a pool of one protocol offers if neither the cluster nor a filter says what. Only on upstream connections.
APPLICATION_PROTOCOLS_FALLBACK: Final = "proxy_core.application_protocols_fallback"

_AS_VALUE: Final = "\0the text of the value"


class FilterStateObject:
    """value: for who uses it. text: what `%FILTER_STATE(name:PLAIN)%` prints, by default the value as text; None = "-".
    typed: a JSON value for `:TYPED`, None where Envoy has no protobuf form of it. fields: for `:FIELD:name`. shared: whether
    the upstream connection has it too (`%UPSTREAM_FILTER_STATE(name)%`). hashable: whether a hash policy may use it; its hash is
    that of the value as text.
    """

    __slots__ = ("value", "text", "typed", "fields", "shared", "hashable")

    def __init__(
        self, value: Any, text: Optional[str] = _AS_VALUE, typed: Any = None, fields: Mapping[str, str] = NOTHING,
        shared: bool = False, hashable: bool = False,
    ) -> None:
        self.value = value
        self.text = str(value) if text is _AS_VALUE else text
        self.typed = typed
        self.fields = fields
        self.shared = shared
        self.hashable = hashable

    def __str__(self) -> str:
        """As text, also where logs print none: who uses an object may ask for this instead of its value."""
        if self.text is not None:
            return self.text
        return ",".join(self.value) if isinstance(self.value, tuple) else str(self.value)
