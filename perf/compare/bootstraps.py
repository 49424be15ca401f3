"""The configuration of the engines that read Envoy's: one listener, one cluster with one host, limits that no workload reaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from . import load
from .route import FILTERS, HTTP, HTTP_ROUTES, ROUTES, TLS, Route

CERTIFICATE = Path(__file__).resolve().parents[2] / "tests" / "support" / "certs" / "server.crt"
KEY = CERTIFICATE.with_suffix(".key")
_TYPE = "type.googleapis.com/envoy.extensions."
_NETWORK = _TYPE + "filters.network."


def write_bootstrap(route: Route) -> str:
    """The path of the bootstrap of this route."""
    path = route.directory / f"bootstrap-{route.listen_port}.json"
    path.write_text(json.dumps(bootstrap(route)))
    return str(path)


def bootstrap(route: Route) -> Dict[str, Any]:
    """The route as an Envoy bootstrap."""
    chain: Dict[str, Any] = {"filters": _filters(route)}
    if route.mode == TLS:
        chain["transport_socket"] = _tls_socket()
    listener = {"name": "main", "address": _address(route.listen_port), "filter_chains": [chain]}
    unlimited = ("max_connections", "max_pending_requests", "max_requests")
    hosts = [{"lb_endpoints": [{"endpoint": {"address": _address(route.upstream_port)}}]}]
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{name: 1_000_000 for name in unlimited}]},
        "load_assignment": {"cluster_name": "backend", "endpoints": hosts},
    }
    return {
        "admin": {"address": _address(0)},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


def _address(port: int) -> Dict[str, Any]:
    return {"socket_address": {"address": load.HOST, "port_value": port}}


def _filters(route: Route) -> List[Dict[str, Any]]:
    if route.mode in (HTTP, HTTP_ROUTES):
        return [_connection_manager(ROUTES if route.mode == HTTP_ROUTES else 1)]
    filters = policy_filters() if route.mode == FILTERS else []
    return [*filters, _filter("tcp_proxy", "tcp_proxy.v3.TcpProxy", stat_prefix="main", cluster="backend")]


def policy_filters() -> List[Dict[str, Any]]:
    """Four filters that look at each connection and let it pass."""
    everyone = {"policies": {"all": {"permissions": [{"any": True}], "principals": [{"any": True}]}}}
    bucket = {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"}
    return [
        _filter("rbac", "rbac.v3.RBAC", stat_prefix="first", rules=everyone),
        _filter("rbac", "rbac.v3.RBAC", stat_prefix="second", rules={"action": "DENY", "policies": {}}),
        _filter("connection_limit", "connection_limit.v3.ConnectionLimit", stat_prefix="limit", max_connections=100_000),
        _filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", stat_prefix="rate", token_bucket=bucket),
    ]


def _connection_manager(routes: int) -> Dict[str, Any]:
    """The last route matches everything, and nothing else matches what the clients ask for."""
    prefixes = [f"/r{number:04}/" for number in range(routes - 1, 0, -1) if number != ROUTES - 1] + ["/"]
    matches = [{"match": {"prefix": prefix}, "route": {"cluster": "backend"}} for prefix in prefixes]
    host = {"name": "all", "domains": ["*"], "routes": matches}
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": _TYPE + "filters.http.router.v3.Router"}}
    return _filter(
        "http_connection_manager", "http_connection_manager.v3.HttpConnectionManager", stat_prefix="main",
        route_config={"name": "main", "virtual_hosts": [host]}, http_filters=[router],
    )


def _filter(short: str, kind: str, **fields: Any) -> Dict[str, Any]:
    return {"name": f"envoy.filters.network.{short}", "typed_config": {"@type": _NETWORK + kind, **fields}}


def _tls_socket() -> Dict[str, Any]:
    sources = {"certificate_chain": {"filename": str(CERTIFICATE)}, "private_key": {"filename": str(KEY)}}
    kind = _TYPE + "transport_sockets.tls.v3.DownstreamTlsContext"
    context = {"@type": kind, "common_tls_context": {"tls_certificates": [sources]}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}
