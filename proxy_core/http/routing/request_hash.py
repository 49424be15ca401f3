"""`hash_policy`: the hash of a request, bit for bit Envoy's. Mirrors `Http::HashPolicyImpl`.

The parts are asked in order; each one's hash is mixed into those before; a part that yields nothing is skipped.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple

from ...config.model.route_hash import HashCookie, HashHeader, HashPolicy
from ...hashing import xxhash64
from ...observe.filter_state import FilterStateObject
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .rewrite import substitution
from .text import wire
from .values import cookie_value, ip_of, query_value, request_values

# One part: its hash, or None. A cookie that has to be set is added to the list.
Part = Callable[[RequestHead, StreamInfo, Optional[List[str]]], Optional[int]]
_MASK = (1 << 64) - 1


class RequestHash:
    """The policies of one route."""

    __slots__ = ("_parts",)

    def __init__(self, policies: Sequence[HashPolicy]) -> None:
        """Raises ValueError."""
        self._parts: List[Tuple[Part, bool]] = [(_part(policy), policy.terminal) for policy in policies]

    def of(self, head: RequestHead, info: StreamInfo, set_cookies: Optional[List[str]] = None) -> Optional[int]:
        """The hash, None if no part yields one. set_cookies: gets the values of `set-cookie` lines that the response needs."""
        result: Optional[int] = None
        for part, terminal in self._parts:
            found = part(head, info, set_cookies)
            if found is not None:
                result = found if result is None else (result << 1 & _MASK | result >> 63) ^ found
            if terminal and result is not None:
                break
        return result


def _part(policy: HashPolicy) -> Part:
    if policy.header is not None:
        return _header(policy.header)
    if policy.cookie is not None:
        return _cookie(policy.cookie)
    if policy.query_parameter is not None:
        name = wire(policy.query_parameter.name)
        return lambda head, info, cookies: _hash_of(query_value(head.path, name))
    if policy.filter_state is not None:
        key = policy.filter_state.key
        return lambda head, info, cookies: _object_hash(info.filter_state.get(key))
    assert policy.connection_properties is not None
    if not policy.connection_properties.source_ip:
        return lambda head, info, cookies: None
    return lambda head, info, cookies: _hash_of(ip_of(info.downstream_remote_address) or None)


def _hash_of(text: Optional[str]) -> Optional[int]:
    return None if text is None else xxhash64(text.encode("latin-1", "replace"))


def _object_hash(found: Any) -> Optional[int]:
    hashable = isinstance(found, FilterStateObject) and found.hashable
    return xxhash64(str(found.value).encode()) if hashable else None


def _header(config: HashHeader) -> Part:
    values = request_values(config.header_name)
    replaced = substitution(config.regex_rewrite) if config.regex_rewrite is not None else str

    def part(head: RequestHead, info: StreamInfo, cookies: Optional[List[str]]) -> Optional[int]:
        found = values(head)
        if not found:
            return None
        result = 0
        for value in sorted(map(replaced, found)):
            result = xxhash64(value.encode("latin-1", "replace"), result)
        return result
    return part


def _cookie(config: HashCookie) -> Part:
    name, ttl = wire(config.name), config.ttl
    attributes = "" if not ttl else f"; Max-Age={int(ttl)}"
    attributes += f"; Path={wire(config.path)}" if config.path else ""
    for one in config.attributes:
        attributes += f"; {wire(one.name)}" + (f"={wire(one.value)}" if one.value else "")
    attributes += "; HttpOnly"

    def part(head: RequestHead, info: StreamInfo, cookies: Optional[List[str]]) -> Optional[int]:
        value = cookie_value(head.headers, name)
        if not value and ttl is not None:
            addresses = info.downstream_remote_address + info.downstream_local_address
            value = f"{xxhash64(addresses.encode()):016x}"
            if cookies is not None:
                cookies.append(f'{name}="{value}"{attributes}')
        return _hash_of(value or None)
    return part
