"""From a path to the few routes of a virtual host that may take it, in the order of the configuration.

A route with a path or a prefix is found by that text; one with a regular expression or a template by the plain text that these
begin with. What a route asks beyond it is its own business (`Candidate.takes`). So:

    exact       path -> its candidates                      one look-up
    prefixes    sorted; the longest that fits is the last one not after the path, or a prefix of that one (`_parent`)
                -> the candidates of it and of all shorter ones

Both lists are merged and cut behind the first unconditional route when the table is loaded. Thousand routes cost a request
what one costs, plus a search of ten steps in the sorted list. Routes that ignore case have an index of their own, of lower case.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, Generic, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

T = TypeVar("T")

Ranked = Tuple[int, T]  # the place in the configuration, and what stands there
_NOTHING: Tuple[()] = ()


class Key(NamedTuple):
    """Where a route is found. text: the path, or what the path begins with. ignore_case: `text` is in lower case then."""

    text: str
    is_exact: bool = False
    ignore_case: bool = False


class Entry(Generic[T]):
    """One route. keys: it is found by any of them. is_certain: it takes every request that has one."""

    __slots__ = ("keys", "value", "is_certain")

    def __init__(self, keys: Tuple[Key, ...], value: T, is_certain: bool) -> None:
        self.keys = keys
        self.value = value
        self.is_certain = is_certain


class _CaseIndex(Generic[T]):
    """The index of the routes that agree on whether case counts."""

    __slots__ = ("_exact", "_prefixes", "_parents", "_below")

    def __init__(self, entries: Sequence[Tuple[int, Entry[T]]], ignore_case: bool) -> None:
        prefixed: Dict[str, List[Tuple[int, Entry[T]]]] = {}
        exact: Dict[str, List[Tuple[int, Entry[T]]]] = {}
        for ranked in entries:
            for key in ranked[1].keys:
                if key.ignore_case is ignore_case:
                    (exact if key.is_exact else prefixed).setdefault(key.text, []).append(ranked)
        self._prefixes = sorted(prefixed)
        self._parents: List[int] = []
        lists: List[List[Tuple[int, Entry[T]]]] = []
        for place, text in enumerate(self._prefixes):
            parent = self._fitting(text, place - 1)
            self._parents.append(parent)
            lists.append(_merged(prefixed[text], lists[parent] if parent >= 0 else []))
        self._below = [_values(found) for found in lists]
        self._exact: Dict[str, Sequence[Ranked[T]]] = {}
        for text, own in exact.items():
            place = self._fitting(text, bisect_right(self._prefixes, text) - 1)
            self._exact[text] = _values(_merged(own, lists[place] if place >= 0 else []))

    def find(self, path: str) -> Sequence[Ranked[T]]:
        """The candidates of a path, best first."""
        found = self._exact.get(path)
        if found is not None:
            return found
        place = self._fitting(path, bisect_right(self._prefixes, path) - 1)
        return self._below[place] if place >= 0 else _NOTHING

    def _fitting(self, path: str, place: int) -> int:
        """The place of the longest prefix of `path`, -1 if there is none. place: of the last prefix that is not after `path`;
        every prefix of `path` is that one, or a prefix of it."""
        while place >= 0 and not path.startswith(self._prefixes[place]):
            place = self._parents[place]
        return place


class RouteIndex(Generic[T]):
    """The routes of one virtual host."""

    __slots__ = ("_sensitive", "_insensitive")

    def __init__(self, entries: Sequence[Entry[T]]) -> None:
        ranked = list(enumerate(entries))
        ignoring = any(key.ignore_case for entry in entries for key in entry.keys)
        self._sensitive = _CaseIndex(ranked, ignore_case=False)
        self._insensitive: Optional[_CaseIndex[T]] = _CaseIndex(ranked, ignore_case=True) if ignoring else None

    def find(self, path: str) -> Sequence[Ranked[T]]:
        """The routes that may take a request with this path, in their order. The last of them need not be certain.

        path: without query.
        """
        found = self._sensitive.find(path)
        if self._insensitive is None:
            return found
        others = self._insensitive.find(path.lower())
        if not others:
            return found
        return sorted([*found, *others], key=_rank) if found else others


def _rank(ranked: Ranked[T]) -> int:
    return ranked[0]


def _merged(own: List[Tuple[int, Entry[T]]], others: List[Tuple[int, Entry[T]]]) -> List[Tuple[int, Entry[T]]]:
    """Both in the order of the configuration, up to the first that is certain."""
    result: List[Tuple[int, Entry[T]]] = []
    for one in sorted([*own, *others], key=lambda ranked: ranked[0]):
        result.append(one)
        if one[1].is_certain:
            break
    return result


def _values(ranked: List[Tuple[int, Entry[T]]]) -> Sequence[Ranked[T]]:
    return tuple((rank, entry.value) for rank, entry in ranked)
