"""What matchers read of a head: header values with Envoy's pseudo headers, parameters of the query, cookies."""

from __future__ import annotations

import ipaddress
from typing import Callable, Dict, Final, List, Optional

from ...observe.access_log.values import split_address
from ..events import RequestHead, ResponseHead
from ..headers import Headers

# The lines that Envoy has in its header map and we have as fields.
_REQUEST_FIELDS: Final[Dict[str, Callable[[RequestHead], Optional[str]]]] = {
    ":path": lambda head: head.path or None,
    ":method": lambda head: head.method,
    ":authority": lambda head: head.authority,
    "host": lambda head: head.authority,
    ":scheme": lambda head: head.scheme or None,
}


def request_value(head: RequestHead, name: str) -> Optional[str]:
    """The first value of a (lower-case) header or pseudo header of a request, None without one."""
    field = _REQUEST_FIELDS.get(name)
    return head.headers.get(name) if field is None else field(head)


def request_values(name: str) -> Callable[[RequestHead], List[str]]:
    """Reads all values of a header of requests. name: in any spelling."""
    name = name.lower()
    field = _REQUEST_FIELDS.get(name)
    if field is None:
        return lambda head: head.headers.get_all(name)
    get = field

    def values(head: RequestHead) -> List[str]:
        value = get(head)
        return [] if value is None else [value]
    return values


def response_values(name: str) -> Callable[[ResponseHead], List[str]]:
    """Reads all values of a header of responses. name: in any spelling."""
    name = name.lower()
    if name == ":status":
        return lambda head: [str(head.status)]
    return lambda head: head.headers.get_all(name)


def query_value(target: str, name: str) -> Optional[str]:
    """The value of the first parameter of this name, as it is written ("" for `?name`); None without one."""
    _, mark, query = target.partition("?")
    if not mark:
        return None
    for parameter in query.partition("#")[0].split("&"):
        key, _, value = parameter.partition("=")
        if key == name:
            return value
    return None


def cookie_value(headers: Headers, name: str) -> Optional[str]:
    """The value of a cookie without its quotes, None without one."""
    for line in headers.get_all("cookie"):
        for pair in line.split(";"):
            key, equals, value = pair.strip(" \t").partition("=")
            if equals and key == name:
                return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return None


def ip_of(address: str) -> str:
    """The IP of "127.0.0.1:80" or "[::1]:80"; "" for a Unix socket."""
    ip, port = split_address(address)
    return "" if ip is None or port is None else ip


def masked(ip: str, bits: int) -> str:
    """The network of an IP: "10.1.0.0/16"."""
    return str(ipaddress.ip_network((ip.partition("%")[0], bits), strict=False))
