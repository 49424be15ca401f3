"""/listeners, /clusters and /certs, as text and as JSON. Mirrors `ListenersHandler` and `ClustersHandler`.

Envoy leaves out of the JSON what is zero or empty, and prints 64-bit numbers as text.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List

from ..network.address import Address
from ..observe.query import compile_filter
from ..upstream.breaker import CircuitBreakers
from ..upstream.cluster import Cluster
from ..upstream.host import Host
from .api import Request, Response, choice_of, json_reply, text
from .host import AdminHost

_COUNTERS: Final = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
_GAUGES: Final = ("cx_active", "rq_active", "rq_pending_active")
_LIMITS: Final = (
    ("max_connections", "connections"),
    ("max_pending_requests", "pending_requests"),
    ("max_requests", "requests"),
    ("max_retries", "retries"),
)
# Flags of /clusters' text -> fields of HostHealthStatus that say the same.
_HEALTH_FIELDS: Final = {
    "failed_active_hc": "failed_active_health_check",
    "failed_outlier_check": "failed_outlier_check",
    "degraded_active_hc": "failed_active_degraded_check",
    "pending_dynamic_removal": "pending_dynamic_removal",
    "pending_active_hc": "pending_active_hc",
    "excluded_via_immediate_hc_fail": "excluded_via_immediate_hc_fail",
    "active_hc_timeout": "active_hc_timeout",
}
_EDS_HEALTH: Final = {
    "UNHEALTHY": "UNHEALTHY", "TIMEOUT": "UNHEALTHY", "DRAINING": "DRAINING", "DEGRADED": "DEGRADED",
}
NO_RATES: Final = (-1.0, -1.0)  # what Envoy shows when outlier detection has no success rate


def listeners(host: AdminHost, request: Request) -> Response:
    """GET /listeners"""
    found = [(listener.name, listener.local_addresses()) for listener in host.listeners.listeners]
    if choice_of(request.query, "format", "json") is None:
        return text("".join(f"{name}::{address}\n" for name, addresses in found for address in addresses))
    return json_reply(_without_empty({
        "listener_statuses": [
            _without_empty({
                "name": name,
                "local_address": address_json(addresses[0]),
                "additional_local_addresses": [address_json(address) for address in addresses[1:]],
            })
            for name, addresses in found
        ]
    }))


def certs(host: AdminHost, request: Request) -> Response:
    """GET /certs"""
    return json_reply({"certificates": host.certificates()})


def clusters(host: AdminHost, request: Request) -> Response:
    """GET /clusters. filter: a regular expression, searched for in the cluster's name."""
    found = host.clusters.clusters()
    pattern = request.query.get("filter")
    if pattern:
        try:
            wanted = compile_filter(pattern)
        except ValueError:
            return text("Invalid re2 regex", 400)
        found = [cluster for cluster in found if wanted.search(cluster.name)]
    if choice_of(request.query, "format", "json") is None:
        return text("".join(_cluster_text(cluster, _is_dynamic(host, cluster)) for cluster in found))
    statuses = [_cluster_json(cluster, _is_dynamic(host, cluster)) for cluster in found]
    return json_reply(_without_empty({"cluster_statuses": statuses}))


def _is_dynamic(host: AdminHost, cluster: Cluster) -> bool:
    entry = host.clusters.active.get(cluster.name)
    return entry is not None and entry.source.is_dynamic


def _cluster_text(cluster: Cluster, is_dynamic: bool) -> str:
    lines = [f"observability_name::{cluster.observability_name}", *_outlier_lines(cluster)]
    for priority, breakers in (("default", cluster.breakers), ("high", cluster.high_breakers)):
        lines += [f"{priority}_priority::{name}::{limit}" for name, limit in _limits(breakers).items()]
    lines.append(f"added_via_api::{str(is_dynamic).lower()}")
    for member in cluster.hosts:
        lines += [f"{member.address}::{line}" for line in _host_lines(member)]
    return "".join(f"{cluster.name}::{line}\n" for line in lines)


def _limits(breakers: CircuitBreakers) -> Dict[str, int]:
    return {name: getattr(breakers, resource).limit for name, resource in _LIMITS}


def _host_lines(member: Host) -> List[str]:
    numbers = [f"{name}::{getattr(member.counters, name)}" for name in sorted(_COUNTERS + _GAUGES)]
    rate, local_origin_rate = member.outlier.success_rates if member.outlier is not None else NO_RATES
    return numbers + [
        f"hostname::{member.hostname}",
        f"health_flags::{member.health_flags()}",
        f"weight::{member.weight}",
        f"region::{member.region}",
        f"zone::{member.zone}",
        f"sub_zone::{member.sub_zone}",
        f"canary::{str(_is_canary(member)).lower()}",
        f"priority::{member.priority}",
        f"success_rate::{rate:g}",
        f"local_origin_success_rate::{local_origin_rate:g}",
    ]


def _outlier_lines(cluster: Cluster) -> List[str]:
    """The success rates that outlier detection found at its last tick."""
    rates = cluster.monitor.outlier_rates() if cluster.monitor is not None else None
    lines = []
    for prefix, (average, threshold) in zip(("", "local_origin_"), rates or ()):
        lines.append(f"outlier::{prefix}success_rate_average::{average:g}")
        lines.append(f"outlier::{prefix}success_rate_ejection_threshold::{threshold:g}")
    return lines


def _is_canary(member: Host) -> bool:
    return bool(member.metadata.get("envoy.lb", {}).get("canary", False))


def _cluster_json(cluster: Cluster, is_dynamic: bool) -> Dict[str, Any]:
    eds = cluster.config.eds_cluster_config
    rates = cluster.monitor.outlier_rates() if cluster.monitor is not None else None
    thresholds = [threshold for _, threshold in rates] if rates is not None else NO_RATES
    return _without_empty({
        "name": cluster.name,
        "added_via_api": is_dynamic,
        "success_rate_ejection_threshold": _percent(thresholds[0]) if thresholds[0] > 0 else None,
        "host_statuses": [_host_json(member) for member in cluster.hosts],
        "local_origin_success_rate_ejection_threshold": _percent(thresholds[1]) if thresholds[1] > 0 else None,
        "circuit_breakers": {
            "thresholds": [_limits(cluster.breakers), {"priority": "HIGH", **_limits(cluster.high_breakers)}]
        },
        "observability_name": cluster.observability_name,
        "eds_service_name": eds.service_name if eds is not None else "",
    })


def _host_json(member: Host) -> Dict[str, Any]:
    counters = member.counters
    stats = [_stat_json(name, getattr(counters, name), {}) for name in _COUNTERS]
    stats += [_stat_json(name, getattr(counters, name), {"type": "GAUGE"}) for name in _GAUGES]
    rate, local_origin_rate = member.outlier.success_rates if member.outlier is not None else NO_RATES
    return {
        "address": address_json(member.address),
        "stats": stats,
        "health_status": _health_json(member),
        **({"success_rate": _percent(rate)} if rate >= 0 else {}),
        **_without_empty({"weight": member.weight, "hostname": member.hostname, "priority": member.priority}),
        **({"local_origin_success_rate": _percent(local_origin_rate)} if local_origin_rate >= 0 else {}),
        "locality": locality_json(member),
    }


def _percent(value: float) -> Dict[str, float]:
    """envoy.type.v3.Percent; 0 is left out, a whole number has no point."""
    return _without_empty({"value": int(value) if value.is_integer() else value})


def _stat_json(name: str, value: int, kind: Dict[str, str]) -> Dict[str, str]:
    return {**kind, **({"value": str(value)} if value else {}), "name": name}


def _health_json(member: Host) -> Dict[str, Any]:
    flags = member.health_flags().split("/")
    failed = {field: True for flag, field in _HEALTH_FIELDS.items() if flag in flags}
    return {"eds_health_status": eds_health(member), **failed}


def eds_health(member: Host) -> str:
    """What the configuration says of the host; one that nobody called ill is healthy."""
    return _EDS_HEALTH.get(member.health, "HEALTHY")


def locality_json(member: Host) -> Dict[str, Any]:
    """The locality of a host, empty parts left out."""
    return _without_empty({"region": member.region, "zone": member.zone, "sub_zone": member.sub_zone})


def address_json(address: Address) -> Dict[str, Any]:
    """envoy.config.core.v3.Address."""
    if not address.ip:
        return {"pipe": {"path": address.path}}
    return {"socket_address": {"address": address.ip, "port_value": address.port}}


def _without_empty(tree: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in tree.items() if value not in (None, "", 0, [], {})}
