"""From a host name to its virtual host. Mirrors `RouteMatcher::findVirtualHost`.

    www.example.com     that name
    *.example.com       the longest such ending; the star stands for at least one character
    www.*               the longest such beginning
    *                   all others
"""

from __future__ import annotations

from typing import Dict, Generic, List, Optional, Tuple, TypeVar

T = TypeVar("T")

# Length of the fixed part -> fixed part -> value; longest first.
_ByLength = List[Tuple[int, Dict[str, T]]]


class HostMap(Generic[T]):
    """Filled once, with `add`, then asked with `find`."""

    __slots__ = ("_exact", "_suffixes", "_prefixes", "_default", "_domains")

    def __init__(self) -> None:
        self._exact: Dict[str, T] = {}
        self._suffixes: _ByLength[T] = []
        self._prefixes: _ByLength[T] = []
        self._default: Optional[T] = None
        self._domains: Dict[str, None] = {}

    def add(self, domain: str, value: T) -> bool:
        """False if the domain is there already. A star that is not at an end is a character like any other."""
        domain = domain.lower()
        if domain in self._domains:
            return False
        self._domains[domain] = None
        if domain == "*":
            self._default = value
        elif domain.startswith("*"):
            _of_length(self._suffixes, len(domain) - 1)[domain[1:]] = value
        elif domain.endswith("*"):
            _of_length(self._prefixes, len(domain) - 1)[domain[:-1]] = value
        else:
            self._exact[domain] = value
        return True

    def find(self, host: str) -> Optional[T]:
        """The value of a host name in any case, None without one."""
        found = self._exact.get(host)
        if found is not None:
            return found
        host = host.lower()
        found = self._exact.get(host)
        if found is not None:
            return found
        length = len(host)
        for size, endings in self._suffixes:
            if size < length:
                found = endings.get(host[-size:])
                if found is not None:
                    return found
        for size, beginnings in self._prefixes:
            if size < length:
                found = beginnings.get(host[:size])
                if found is not None:
                    return found
        return self._default


def _of_length(lists: _ByLength[T], length: int) -> Dict[str, T]:
    for size, found in lists:
        if size == length:
            return found
    made: Dict[str, T] = {}
    lists.append((length, made))
    lists.sort(key=lambda pair: -pair[0])
    return made


def without_port(host: str) -> str:
    """"[::1]" of "[::1]:80", "a.test" of "a.test:80"."""
    if host.startswith("["):
        end = host.find("]")
        return host[:end + 1] if end >= 0 else host
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else host
