"""Why a connection is as it is: what its parts can say of themselves, and the last that ended. Data and wording only.

Nothing here is touched by a byte. While a connection lives its facts are read off the connection, its filters and its timers
when somebody asks (`admin.connection_detail`); a filter that has something to say has a method `reasons` (see `Explains`). Of
one that ended a short record is kept in a ring, so that "why was it closed?" has an answer for the last thousand. Envoy has none
of this; its access logs have some of it, afterwards.
"""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import Any, Deque, Dict, Final, Iterable, Iterator, Mapping, NamedTuple, Optional, Protocol, Tuple

MOST_CLOSED: Final = 1000

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"))
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
NO_FACTS: Final[Mapping[str, str]] = MappingProxyType({})


class PendingTimer(NamedTuple):
    """One thing that will happen by itself.

    name: of the setting or the wait. due: when, on the reactor's clock, if nothing happens until then. source: the value and
    where it comes from ("1h, default"). timer: the `event.timers.Timer` that stands for it, None if it is not set yet.
    """

    name: str
    due: float
    source: str
    timer: Any = None


class Reasons(NamedTuple):
    """What one part of a connection says of itself. state: a phrase, "" for nothing special. facts: more, by name."""

    state: str = ""
    timers: Tuple[PendingTimer, ...] = ()
    facts: Mapping[str, str] = NO_FACTS


class Explains(Protocol):
    """A filter, or the callbacks of a connection, that can be asked. Only an admin's request asks."""

    def reasons(self) -> Reasons:
        """As things are now."""


def reasons_of(part: object) -> Optional[Reasons]:
    """What `part` says of itself, None if it does not."""
    explain = getattr(part, "reasons", None)
    said = explain() if explain is not None else None
    return said if isinstance(said, Reasons) else None


class Finding(NamedTuple):
    """Something unusual, for `/why`. kind: one word. text: a sentence without its stop. What it is about, as far as it applies:
    the id of a connection, names, seconds that it lasts, the share of a limit that is used (0 to 1, or more).
    """

    kind: str
    text: str
    connection: Optional[int] = None
    filter: str = ""
    listener: str = ""
    cluster: str = ""
    host: str = ""
    seconds: Optional[float] = None
    share: Optional[float] = None


class ClosedConnection(NamedTuple):
    """The record of a connection that ended, or of a socket that never became one (id None).

    stream_id: the id of its downstream connection, negative if it has none; its own id if it is that. opened_at, closed_at: on
    the reactor's clock. queued: bytes that were to be sent, of which `sent` were. reason: has by, how, detail and config.
    parked_by, paused_by: at the end. The addresses are printed when asked for.
    """

    id: Optional[int]
    stream_id: Optional[int]
    opened_at: float
    closed_at: float
    received: int
    sent: int
    queued: int
    remote_address: object
    local_address: object
    listener: str
    filter_chain: str
    cluster: str
    host: str
    upstream_id: int
    reason: Any
    flags: Tuple[str, ...]
    paused_by: Tuple[str, ...]
    parked_by: str

    @property
    def side(self) -> str:
        """Whose connection it was: "downstream" or "upstream"."""
        return "downstream" if self.id == self.stream_id else "upstream"

    @property
    def peer_id(self) -> Optional[int]:
        """The other connection of its pair."""
        if self.side == "upstream":
            return self.stream_id if self.stream_id is None or self.stream_id >= 0 else None
        # The upstream's id stays 0, which is a downstream's, until an attempt is under way.
        return self.upstream_id or None

    @property
    def unsent(self) -> int:
        """Bytes that were dropped with it."""
        return max(0, self.queued - self.sent)


class ClosedRing:
    """The last connections that ended. `append` takes the fields of a `ClosedConnection` as a plain tuple, which is half the
    work, and each connection pays for it."""

    __slots__ = ("append", "_records")

    def __init__(self, most: int = MOST_CLOSED) -> None:
        self._records: Deque[Tuple[Any, ...]] = deque(maxlen=most)
        self.append = self._records.append

    def __len__(self) -> int:
        return len(self._records)

    def newest_first(self) -> Iterator[ClosedConnection]:
        """All of them, each made when it is asked for: whoever wants the first few takes no more. Not to be kept for later, when
        others may have ended."""
        return map(ClosedConnection._make, reversed(self._records))

    def find(self, connection_id: int) -> Optional[ClosedConnection]:
        """The record with this id, None if there is none any more."""
        for record in reversed(self._records):
            if record[0] == connection_id:
                return ClosedConnection._make(record)
        return None


def duration_text(seconds: float) -> str:
    """Seconds for people, exact: 3600 -> "1h", 90 -> "90s", 0.25 -> "250ms"."""
    for unit, name in _UNITS:
        if seconds and not seconds % unit:
            return f"{seconds / unit:g}{name}"
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"


def ago_text(seconds: float) -> str:
    """A time that has passed or is left, to two places: "0.3s", "47s", "3m 20s", "2h 5m", "3d 4h"."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    for (unit, name), (next_unit, next_name) in zip(_UNITS, (*_UNITS[1:], (1, "s"))):
        if whole >= unit:
            rest = whole % unit // next_unit
            return f"{whole // unit}{name} {rest}{next_name}" if rest else f"{whole // unit}{name}"
    return f"{whole}s"


def size_text(count: float) -> str:
    """Bytes for people: "0 B", "1023 B", "1.5 KiB", "64 KiB"."""
    for unit, name in _SIZES:
        if count >= unit:
            number = count / unit
            return f"{number:.1f} {name}" if number < 10 and number % 1 >= 0.05 else f"{number:.0f} {name}"
    return f"{count:.0f} B"


def setting_text(name: str, seconds: float, is_default: bool, path: str = "") -> str:
    """A configured time and its origin: "idle_timeout 1h, default", "idle_timeout 30s, configured at <path>.idle_timeout"."""
    text = f"{name} {duration_text(seconds)}"
    if is_default:
        return f"{text}, default"
    return f"{text}, configured at {path}.{name}" if path else text


def listed(names: Iterable[str]) -> str:
    """Names with how often each comes: "a, b (2 times)"."""
    counts: Dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in counts.items())


_HOW: Final[Mapping[str, str]] = MappingProxyType({
    "FIN": "ended it (FIN)", "RST": "reset it (RST)", "timeout": "closed it: a timeout", "policy": "closed it",
    "error": "closed it: an error", "drain": "closed it: draining", "shutdown": "closed it: the process ended",
})


def ending_text(by: str, how: str, detail: str, config: str) -> str:
    """Who ended a connection, how and why, as a sentence without its stop."""
    who = "the peer" if by == "peer" else "we"
    text = f"{who} {_HOW.get(how, how)}"
    if detail:
        text += f": {detail}"
    return f"{text} ({config})" if config else text
