"""What `top` knows of one moment: rows of connections as the admin gives them, and the rates since the moment before."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple

from .ask import AdminAddress, ask_json

MOST_ROWS: Final = 500  # asked for at once; more is no help on a screen and work for the proxy

# How rows are sorted here, and what the admin is asked for so that the rows that matter are among those it sends.
ORDERS: Final[Mapping[str, str]] = {"rate": "activity", "buffered": "buffered", "age": "age", "id": "id"}


class Snapshot(NamedTuple):
    """taken_at: in any clock that only goes forward. rows: at most MOST_ROWS of `total`. findings: of /why."""

    taken_at: float
    total: int
    rows: List[Dict[str, Any]]
    findings: List[Dict[str, Any]]


class Rated(NamedTuple):
    """A row with what moved on it, in bytes per second; None as long as that is not known."""

    row: Dict[str, Any]
    rate_in: Optional[float]
    rate_out: Optional[float]

    @property
    def rate(self) -> float:
        """Both ways."""
        return (self.rate_in or 0.0) + (self.rate_out or 0.0)

    @property
    def buffered(self) -> int:
        """Bytes in both of its buffers."""
        return int(self.row["read_buffer"]["bytes"] + self.row["write_buffer"]["bytes"])


def take(address: AdminAddress, order: str, now: float) -> Snapshot:
    """Ask the admin. order: of ORDERS. Raises AskError."""
    query = {"sort": ORDERS[order], "limit": str(MOST_ROWS)}
    listed = ask_json(address, "/connections", query)
    found = ask_json(address, "/why")
    rows = [row for row in listed["connections"] if not _is_ours(row)]
    return Snapshot(now, listed["total"] - (len(listed["connections"]) - len(rows)), rows, found["findings"])


def _is_ours(row: Dict[str, Any]) -> bool:
    """Whether it is one over which the admin is asked, by us or others."""
    return bool(row["listener"] == "admin" and row["filters"] == ["admin"])


def rated(snapshot: Snapshot, before: Optional[Snapshot], order: str) -> List[Rated]:
    """The rows in `order`, with their rates since `before`; without it nothing has a rate, and the admin's order stays."""
    old: Dict[int, Tuple[int, int]] = {}
    passed = 0.0
    if before is not None:
        old = {row["id"]: (row["bytes_in"], row["bytes_out"]) for row in before.rows}
        passed = snapshot.taken_at - before.taken_at
    rows = [_rated(row, old.get(row["id"]), passed) for row in snapshot.rows]
    if order == "rate":
        return sorted(rows, key=lambda one: -one.rate)
    if order == "buffered":
        return sorted(rows, key=lambda one: (-one.buffered, one.row["id"]))
    if order == "age":
        return sorted(rows, key=lambda one: (-one.row["age_s"], one.row["id"]))
    return sorted(rows, key=lambda one: int(one.row["id"]))


def _rated(row: Dict[str, Any], old: Optional[Tuple[int, int]], passed: float) -> Rated:
    if old is None and passed and row["age_s"] <= passed:  # made since: all it moved counts
        old = (0, 0)
    if old is None or passed <= 0:
        return Rated(row, None, None)
    return Rated(row, (row["bytes_in"] - old[0]) / passed, (row["bytes_out"] - old[1]) / passed)
