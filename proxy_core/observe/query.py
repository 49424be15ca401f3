"""The query of a /stats request: which stats to show, in which shape. Mirrors `StatsParams` of Envoy."""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Optional, Pattern, Protocol, TypeVar

FORMATS = ("json", "prometheus", "text")
TYPES = ("All", "Counters", "Gauges", "Histograms", "TextReadouts")
HISTOGRAM_BUCKETS = ("cumulative", "disjoint", "detailed", "summary")
HIDDEN = ("include", "only", "exclude")  # no stat is hidden here, so the first and the last show the same

# What RE2 says where `re` says something else about the same mistake.
_RE2_WORDS = (
    ("nothing to repeat", "no argument for repetition operator: "),
    ("multiple repeat", "bad repetition operator: "),
    ("missing ), unterminated subpattern", "missing ): "),
    ("unbalanced parenthesis", "unexpected ): "),
    ("unterminated character set", "missing ]: "),
    ("bad escape (end of pattern)", "trailing \\: "),
)


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def used(self) -> bool: ...


_N = TypeVar("_N", bound=_Named)


class StatsQuery:
    """One request, checked.

    format: "text", "json" or "prometheus". kind: one of TYPES. buckets: one of HISTOGRAM_BUCKETS, or
    "" for what the format shows by itself (a summary; cumulative buckets for Prometheus).
    """

    __slots__ = ("format", "kind", "buckets", "used_only", "help", "_filter", "_invert", "_hidden_only")

    def __init__(
        self, format: str = "text", kind: str = "All", buckets: str = "", used_only: bool = False,
        filter: Optional[Pattern[str]] = None, invert: bool = False, help: bool = False, hidden_only: bool = False,
    ) -> None:
        self.format = format
        self.kind = kind
        self.buckets = buckets
        self.used_only = used_only
        self.help = help
        self._filter = filter
        self._invert = invert
        self._hidden_only = hidden_only

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> StatsQuery:
        """Read the query of a request; unknown parameters are ignored, flags count when they are present.

        Raises ValueError with the text of Envoy's 400 answer.
        """
        shape = params.get("format") or "text"
        if shape not in FORMATS:
            raise ValueError(f"usage: /stats?format=({'|'.join(FORMATS)})\n\n")
        kind = params.get("type") or "All"
        if kind not in TYPES:
            raise ValueError("invalid &type= param")
        hidden = params.get("hidden")
        if hidden and hidden not in HIDDEN:
            raise ValueError(f"usage: /stats?hidden=({'|'.join(HIDDEN)})\n\n")
        buckets = params.get("histogram_buckets", "")
        if buckets == "none":  # that is, quantiles only
            buckets = "summary"
        if buckets and buckets not in HISTOGRAM_BUCKETS:
            raise ValueError(f"usage: /stats?histogram_buckets=({'|'.join(HISTOGRAM_BUCKETS)})\n")
        pattern = params.get("filter")
        return cls(
            shape, kind, buckets, "usedonly" in params, compile_filter(pattern) if pattern else None,
            "invert_filter" in params, params.get("help") == "1", hidden == "only",
        )

    def wants(self, kind: str) -> bool:
        """Whether stats of this kind (a plural of TYPES) are asked for."""
        return self.kind in ("All", kind)

    def select(self, stats: Iterable[_N]) -> List[_N]:
        """The stats that pass `filter` and `usedonly`, sorted by name."""
        if self._hidden_only:
            return []
        chosen = [stat for stat in stats if self._matches(stat.name) and (stat.used or not self.used_only)]
        return sorted(chosen, key=lambda stat: stat.name)

    def _matches(self, name: str) -> bool:
        return self._filter is None or (self._filter.search(name) is None) == self._invert


def compile_filter(pattern: str) -> Pattern[str]:
    """A `filter=` expression, to be searched anywhere in a name.

    Raises ValueError "Invalid re2 regex: ..." in RE2's words where there are some.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        rest = pattern[error.pos:] if error.pos is not None else pattern
        for ours, theirs in _RE2_WORDS:
            if error.msg.startswith(ours):
                raise ValueError(f"Invalid re2 regex: {theirs}{rest}") from None
        raise ValueError(f"Invalid re2 regex: {error.msg}: {rest}") from None
    except (OverflowError, RecursionError):
        raise ValueError(f"Invalid re2 regex: pattern too large: {pattern[:60]}") from None
