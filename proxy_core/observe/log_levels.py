"""Levels and components of the process log, in Envoy's words, and the command line's way to name them."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

TRACE = 5
OFF = 60

# Name -> number of the logging module. The first name of a number is the one that is printed.
LEVELS: Mapping[str, int] = {
    "trace": TRACE, "debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "off": OFF,
}
_ALIASES = {"warn": "warning"}

# Envoy's logger names, all of them, so that a command line for Envoy works here, and in the order that Envoy lists them.
COMPONENTS: Tuple[str, ...] = tuple(
    """
    a2a admin ai_protocol_manager alternate_protocols_cache aws assert backtrace basic_auth cache_filter
    client config connection conn_handler compression credential_injector decompression dns dubbo envoy_bug
    ext_authz ext_proc rocketmq file filter forward_proxy geolocation grpc happy_eyeballs hc health_checker
    http http2 hystrix init io jwt json_rpc kafka key_value_store lua local_rate_limit main matcher mcp misc
    mongo multi_connection notification oauth2 quic quic_stream pool rate_limit_quota rbac rds redis router
    runtime stats secret sse tap testing thrift tracing upstream udp wasm websocket golang stats_sinks
    dynamic_modules ip_tagging
    """.split()
)


def level_name(number: int) -> str:
    """The name of a level; a number between two levels has the name of the lower one."""
    name = "trace"
    for candidate, value in LEVELS.items():
        if number >= value:
            name = candidate
    return name


def parse_level(name: str) -> int:
    """The number of a level name. Raises ValueError with Envoy's sentence."""
    number = LEVELS.get(_ALIASES.get(name, name))
    if number is None:
        raise ValueError(f"error: invalid log level specified '{name}'")
    return number


def parse_component_levels(text: str) -> Dict[str, int]:
    """The value of --component-log-level, "config:debug,http:trace".

    Raises ValueError with Envoy's sentences.
    """
    levels: Dict[str, int] = {}
    for item in text.split(",") if text else ():
        parts = item.split(":")
        if len(parts) != 2:
            raise ValueError(f"error: component log level not correctly specified '{item}'")
        number = parse_level(parts[1])
        if parts[0] not in COMPONENTS:
            raise ValueError(f"error: invalid component specified '{parts[0]}'")
        levels[parts[0]] = number
    return levels
