"""The kinds of objects that a format string can make: Envoy's object factories, by name. Each takes the text and answers with
the object, or with None when the text is not one (then nothing is set).

How each is rendered in an access log was measured on Envoy 1.40: strings, numbers and booleans have a typed form, the others
only a text, and application protocols not even that.
"""

from __future__ import annotations

import ipaddress
from typing import Callable, Dict, Final, Mapping, Optional

from ....observe.filter_state import (
    APPLICATION_PROTOCOLS, TCP_PROXY_CLUSTER, UPSTREAM_SERVER_NAME, UPSTREAM_SUBJECT_ALT_NAMES, FilterStateObject,
)

Make = Callable[[str], Optional[FilterStateObject]]

# Envoy makes these, and something there looks at them that does not exist here.
NOT_SUPPORTED: Final = frozenset({
    "envoy.ai.llm_protocol.request", "envoy.ai.model.request", "envoy.network.network_namespace",
    "envoy.network.transport_socket.http_11_proxy.info", "envoy.router.debug_config",
    "envoy.tcp_proxy.per_connection_idle_timeout_ms",
})


def factories() -> Mapping[str, Make]:
    """Every kind by the name of its factory. A well-known key is also the name of its factory."""
    return dict(_FACTORIES)


def _string(text: str) -> FilterStateObject:
    return FilterStateObject(text, typed=text)


def _hashable(text: str) -> FilterStateObject:
    return FilterStateObject(text, typed=text, hashable=True)


def _name(text: str) -> FilterStateObject:
    return FilterStateObject(text)


def _names(text: str) -> FilterStateObject:
    return FilterStateObject(tuple(text.split(",")), text)


def _protocols(text: str) -> FilterStateObject:
    return FilterStateObject(tuple(text.split(",")), None)


def _switch(text: str) -> FilterStateObject:
    """true, or anything else for false."""
    return FilterStateObject(text == "true", "true" if text == "true" else "false", text == "true")


def _number(text: str) -> Optional[FilterStateObject]:
    """A whole number of 32 bits, with blanks around it or a plus sign in front if you like."""
    digits = text.strip(" \t\r\n\v\f")
    digits = digits[1:] if digits.startswith("+") else digits
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20 or int(digits) >= 2**32:
        return None
    return FilterStateObject(int(digits), typed=int(digits))


def _ip(text: str) -> Optional[FilterStateObject]:
    """An IP address. Its text has a port, which is none."""
    found = _address(text, "0") if "%" not in text else None
    return None if found is None else FilterStateObject(text, found.text)


def _endpoint(text: str) -> Optional[FilterStateObject]:
    """"1.2.3.4:80" or "[::1]:80"."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535 or bracketed != (":" in host):
        return None
    return _address(host[1:-1] if bracketed else host, str(int(port)))


def _address(host: str, port: str) -> Optional[FilterStateObject]:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    text = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
    return FilterStateObject(text, fields={"ip": str(ip), "port": port})


_FACTORIES: Final[Dict[str, Make]] = {
    "envoy.string": _string,
    "envoy.hashable_string": _hashable,
    TCP_PROXY_CLUSTER: _name,
    "envoy.tcp_proxy.disable_tunneling": _switch,
    UPSTREAM_SERVER_NAME: _name,
    UPSTREAM_SUBJECT_ALT_NAMES: _names,
    APPLICATION_PROTOCOLS: _protocols,
    "envoy.network.ip": _ip,
    "envoy.network.transport_socket.original_dst_address": _endpoint,
    "envoy.filters.listener.original_dst.local_ip": _endpoint,
    "envoy.filters.listener.original_dst.remote_ip": _endpoint,
    "envoy.upstream.dynamic_host": _string,
    "envoy.upstream.dynamic_port": _number,
    "envoy.ratelimit.hits_addend": _number,
}
