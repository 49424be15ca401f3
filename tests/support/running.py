"""What tests that run `python -m proxy_core` in a process of its own (`proxy_core.testing.child`) give it to do."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[2]

_TYPES = "type.googleapis.com/envoy.extensions.filters.network."


def ask(client: socket.socket, question: bytes) -> bytes:
    """Send, and receive as many bytes as were sent."""
    client.sendall(question)
    answer = b""
    while len(answer) < len(question):
        data = client.recv(65536)
        if not data:
            break
        answer += data
    return answer


def loopback(port: int = 0) -> Dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def echo_listener(name: str, port: int = 0, **fields: Any) -> Dict[str, Any]:
    """A listener that sends back what it gets."""
    echo = {"name": "envoy.filters.network.echo", "typed_config": {"@type": f"{_TYPES}echo.v3.Echo"}}
    return {"name": name, "address": loopback(port), "filter_chains": [{"filters": [echo]}], **fields}


def tcp_listener(name: str, cluster: str, **fields: Any) -> Dict[str, Any]:
    """A listener whose only filter is a tcp_proxy; `fields` are the filter's."""
    config = {
        "@type": f"{_TYPES}tcp_proxy.v3.TcpProxy", "stat_prefix": name, "cluster": cluster, **fields,
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]}
    return {"name": name, "address": loopback(), "filter_chains": [chain]}


def bootstrap(listeners: List[Dict[str, Any]], **fields: Any) -> Dict[str, Any]:
    return {"static_resources": {"listeners": listeners}, **fields}
