"""The whole HTTP stack in random weather, see `tests.support.http_storm`."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from proxy_core.upstream import tcp_pool
from tests.support.engine import TYPE, access_log, address, bootstrap, cluster, listener
from tests.support.http_storm import Storm

Json = Dict[str, Any]
SEEDS = 40  # of each kind of weather
ROUTER = {"name": "router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}
BUFFER = {"name": "buffer", "typed_config": {"@type": f"{TYPE}filters.http.buffer.v3.Buffer", "max_request_bytes": 1500}}
RETRY = {"retry_on": "5xx,reset,connect-failure", "num_retries": 2}
ONE_OF_ALL = {"circuit_breakers": {"thresholds": [
    {"max_connections": 1, "max_pending_requests": 2, "max_requests": 2, "max_retries": 1},
]}}
ONE_REQUEST = {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": f"{TYPE}upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http_protocol_options": {}},
    "common_http_protocol_options": {"max_requests_per_connection": 2, "idle_timeout": "4s"},
}}}


def config(manager: Json = {}, action: Json = {}, of_cluster: Json = {}, filters: Any = (), limit: int = 1000) -> Json:
    """A bootstrap; limit: of every buffer, in bytes."""
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c", "timeout": "8s", **action}}]
    hcm = {
        "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
        "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
        "http_filters": [*filters, ROUTER], "access_log": [access_log("%RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(:PATH)%")],
        "stream_idle_timeout": "20s", "request_headers_timeout": "15s", "upgrade_configs": [{"upgrade_type": "websocket"}],
        **manager,
    }
    buffers = {"per_connection_buffer_limit_bytes": limit}
    clusters = [cluster(address(1), address(2), name=name, **{**buffers, **of_cluster}) for name in ("c", "mirror")]
    return bootstrap([listener({"name": "hcm", "typed_config": hcm}, **buffers)], clusters)


WEATHER: Dict[str, Json] = {
    "plain": config(),
    "with retries": config(action={"retry_policy": {**RETRY, "per_try_timeout": "3s"}}, limit=2000),
    "with mirrors and a buffer": config(
        action={"request_mirror_policies": [{"cluster": "mirror"}]}, filters=[BUFFER],
        of_cluster={"connection_pool_per_downstream_connection": True},
    ),
    "with one of everything": config(
        {"common_http_protocol_options": {"idle_timeout": "10s"}, "proxy_100_continue": True}, {"retry_policy": RETRY},
        {**ONE_OF_ALL, **ONE_REQUEST},
    ),
    "with a moody filter": config(action={"retry_policy": RETRY}),
    "with large buffers": config({"request_timeout": "12s"}, {"idle_timeout": "5s"}, limit=1 << 20),
}


@pytest.mark.parametrize("weather", WEATHER)
def test_every_request_gets_its_own_answer_or_its_connection_ends_and_nothing_is_left(
    weather: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(SEEDS):
        storm = Storm(WEATHER[weather], seed, moody="moody" in weather)
        monkeypatch.setattr(tcp_pool, "new_socket", storm.new_socket)
        try:
            storm.run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
