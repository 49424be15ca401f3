"""Four policy filters in Python, each as much work for a connection and for a message as Envoy's of the same name.

For the workload `filters`, until the engine has its own: `"@type": "python:four_filters.Rbac"` and so on, found through
`--filter-path`. All four decide when the connection comes and then let every byte pass, as Envoy's do. What Envoy keeps per
filter configuration is kept per class here, as the engine makes a filter anew for each connection.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH


class PolicyFilter(NetworkFilter):
    """One that has made up its mind when bytes come. Envoy's stay in their way; here a filter can say that it need not."""

    inspects_data = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE

    def refuse(self, details: str) -> FilterStatus:
        """Close without a word."""
        self.connection.close(NO_FLUSH, details)
        return STOP_ITERATION


class Rbac(PolicyFilter):
    """`{"action": "ALLOW" or "DENY", "remote_ips": [networks], "shadow": bool}`: whether the client's address is on a list.
    In shadow mode it only counts."""

    counts = {"allowed": 0, "denied": 0, "shadow_allowed": 0, "shadow_denied": 0}

    def __init__(self, config: Dict[str, Any]) -> None:
        self._allows = config.get("action", "ALLOW") == "ALLOW"
        self._networks = config["remote_ips"]
        self._shadow = bool(config.get("shadow"))

    def on_new_connection(self) -> FilterStatus:
        client = ipaddress.ip_address(self.connection.remote_address.ip)
        listed = any(client in ipaddress.ip_network(network) for network in self._networks)
        allowed = listed is self._allows
        self.counts[("shadow_" if self._shadow else "") + ("allowed" if allowed else "denied")] += 1
        return CONTINUE if allowed or self._shadow else self.refuse("rbac_access_denied")


class ConnectionLimit(PolicyFilter):
    """`{"max_connections": N}`: how many may be open at a time."""

    active = 0

    def __init__(self, config: Dict[str, Any]) -> None:
        self._most = int(config["max_connections"])
        self._counted = False

    def on_new_connection(self) -> FilterStatus:
        limit = ConnectionLimit
        if limit.active >= self._most:
            return self.refuse("connection_limit_reached")
        limit.active += 1
        self._counted = True
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        if self._counted and not self.connection.is_open:
            self._counted = False
            ConnectionLimit.active -= 1


class LocalRateLimit(PolicyFilter):
    """`{"max_tokens": N, "tokens_per_fill": N, "fill_interval_s": seconds}`: a token for each new connection."""

    tokens = -1
    filled_at = 0.0

    def __init__(self, config: Dict[str, Any]) -> None:
        self._most = int(config["max_tokens"])
        self._fill = int(config["tokens_per_fill"])
        self._interval = float(config["fill_interval_s"])

    def on_new_connection(self) -> FilterStatus:
        bucket, now = LocalRateLimit, self.connection.reactor.now
        if bucket.tokens < 0:
            bucket.tokens, bucket.filled_at = self._most, now
        fills = int((now - bucket.filled_at) / self._interval)
        if fills > 0:
            bucket.tokens = min(self._most, bucket.tokens + fills * self._fill)
            bucket.filled_at += fills * self._interval
        if not bucket.tokens:
            return self.refuse("local_ratelimit_close")
        bucket.tokens -= 1
        return CONTINUE
