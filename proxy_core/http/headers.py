"""The header map: every header line of one message, in the order of the wire.

Place in the data's way: the parser fills one per message, filters and the router read and change it, the
writer prints it. Mirrors Envoy's `HeaderMap`. The pseudo headers (`:method`, `:path`, `:authority`,
`:scheme`, `:status`) are not in here; they are fields of `RequestHead` and `ResponseHead`.

Names are lower case always, values are text with one character per wire byte (latin-1), so that a name or a
value never changes its bytes on the way through. Text from elsewhere must be brought to that form first
(`value.encode("utf-8").decode("latin-1")`).

Plan of the container: nearly every message has each name once. Then one dict is the whole truth, since dicts
keep their order, and each operation is one C call. Only when a name repeats is a list of pairs kept beside
it, which is then the truth, and the dict is an index of first values. A request asks for some twenty names
that are mostly absent, so what must be cheap is the miss: 20 ns here against 290 for a scan of ten pairs.
"""

from __future__ import annotations

from typing import Callable, Collection, Dict, FrozenSet, Iterable, List, Optional, Tuple

Pair = Tuple[str, str]


class Headers:
    """An ordered multimap of lower-case names to values. `len()` is the number of header lines.

    get: the first value of this (lower-case) name, or None. It is that of the dict itself: a request asks twenty times, and a
    method around it costs 0.3 us for them together, warm.
    """

    get: Callable[[str], Optional[str]]

    __slots__ = ("get", "_first", "_pairs")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        """pairs: (name, value) in order; names in any spelling, repeats allowed."""
        self._first: Dict[str, str] = {}
        self._pairs: Optional[List[Pair]] = None
        self.get = self._first.get
        for name, value in pairs:
            self.add(name.lower(), value)

    @classmethod
    def of_unique(cls, first: Dict[str, str]) -> Headers:
        """The map that owns `first` from now on: lower-case names, each of them once. For the parser."""
        headers = cls.__new__(cls)
        headers._first = first
        headers._pairs = None
        headers.get = first.get
        return headers

    def get_all(self, name: str) -> List[str]:
        """All values of this name in order; [] if there is none."""
        if self._pairs is not None:
            return [value for known, value in self._pairs if known == name]
        return [self._first[name]] if name in self._first else []

    def set(self, name: str, value: str) -> None:
        """Leave exactly one line of this name: at the place of its first line, or at the end if it is new."""
        if self._pairs is None:
            self._first[name] = value
            return
        known = name in self._first
        self._first[name] = value
        if not known:
            self._pairs.append((name, value))
            return
        place = next(index for index, pair in enumerate(self._pairs) if pair[0] == name)
        rest = [pair for pair in self._pairs[place + 1 :] if pair[0] != name]
        self._pairs = self._pairs[:place] + [(name, value)] + rest

    def add(self, name: str, value: str) -> None:
        """One more line at the end, whether or not the name is there already (Envoy's `addCopy`)."""
        if self._pairs is None:
            if name not in self._first:
                self._first[name] = value
                return
            self._pairs = list(self._first.items())
        self._pairs.append((name, value))
        self._first.setdefault(name, value)

    def append(self, name: str, value: str, separator: str = ",") -> None:
        """Join `value` to the first line of this name, or add a line (Envoy's `appendCopy`)."""
        present = self._first.get(name)
        if present is None:
            self.add(name, value)
            return
        joined = f"{present}{separator}{value}" if present else value
        self._first[name] = joined
        if self._pairs is not None:
            place = next(index for index, pair in enumerate(self._pairs) if pair[0] == name)
            self._pairs[place] = (name, joined)

    def remove(self, name: str) -> bool:
        """Take out all lines of this name; True if there was one."""
        return self.take(name) is not None

    def take(self, name: str) -> Optional[str]:
        """Take out all lines of this name; the first value, or None if there was none."""
        value = self._first.pop(name, None)
        if value is not None and self._pairs is not None:
            self._pairs = [pair for pair in self._pairs if pair[0] != name]
        return value

    def has_any(self, names: FrozenSet[str]) -> bool:
        """Whether there is a line of one of these names. 20 ns for each line, whatever the number of names."""
        return not names.isdisjoint(self._first)

    def items(self) -> Collection[Pair]:
        """All (name, value) lines in order. A live view: don't change the map while walking it."""
        return self._first.items() if self._pairs is None else self._pairs

    def copy(self) -> Headers:
        """An independent map with the same lines."""
        twin = Headers.of_unique(self._first.copy())
        if self._pairs is not None:
            twin._pairs = list(self._pairs)
        return twin

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __len__(self) -> int:
        return len(self._first) if self._pairs is None else len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and list(self.items()) == list(other.items())

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"
