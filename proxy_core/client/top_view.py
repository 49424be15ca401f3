"""`top` without a terminal: a snapshot becomes lines of a width, a key changes what is shown.

    draw(view, snapshot, before, width, height) -> lines with a style each
    press(view, key) -> the view afterwards, None to leave
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional

from ..observe.escape import one_line
from ..observe.reasons import ago_text, size_text
from .snapshot import MOST_ROWS, Rated, Snapshot, rated

PLAIN: Final = "plain"
TITLE: Final = "title"
HEAD: Final = "head"
ALERT: Final = "alert"
DIM: Final = "dim"

MOST_FINDINGS: Final = 4
_FULL_HEIGHT: Final = 1 << 30

KEYS: Final[Mapping[str, str]] = {"b": "rate", "u": "buffered", "a": "age", "i": "id"}
HELP: Final = "sort: b bytes/s  u buffered  a age  i id   up/down scroll  p pause  q quit"
_COLUMNS: Final = f"{'ID':>7} {'SIDE':<4} {'STATE':<11} {'IN/s':>9} {'OUT/s':>9} {'BUFFERED':>9} {'AGE':>8}  WHERE"
_SIDES: Final = {"downstream": "down", "upstream": "up"}
_ALARMING: Final = frozenset({"stalled", "above_high"})


class Line(NamedTuple):
    """One line of the screen. style: one of the names above."""

    text: str
    style: str = PLAIN


class View(NamedTuple):
    """What the user has chosen. first: rows that are scrolled away above. paused: the picture stands still."""

    admin: str
    order: str = "rate"
    first: int = 0
    paused: bool = False
    trouble: str = ""


def press(view: View, key: str) -> Optional[View]:
    """A key: a character, or "UP", "DOWN", "PAGE UP", "PAGE DOWN". Unknown ones change nothing."""
    if key in ("q", "Q", "\x1b"):
        return None
    if key in KEYS:
        return view._replace(order=KEYS[key], first=0)
    if key == "p":
        return view._replace(paused=not view.paused)
    moved = {"UP": -1, "DOWN": 1, "PAGE UP": -20, "PAGE DOWN": 20, "k": -1, "j": 1}.get(key, 0)
    return view._replace(first=max(0, view.first + moved))


def draw(
    view: View, snapshot: Snapshot, before: Optional[Snapshot] = None, width: int = 120, height: int = _FULL_HEIGHT
) -> List[Line]:
    """At most `height` lines of at most `width` characters."""
    rows = rated(snapshot, before, view.order)
    lines = [Line(_title(view, snapshot, rows), TITLE), *_alerts(view, snapshot), Line(_columns(view), HEAD)]
    room = max(0, height - len(lines) - 1)
    first = min(view.first, max(0, len(rows) - room))
    lines += [_row(one) for one in rows[first:first + room]]
    if height != _FULL_HEIGHT:
        lines += [Line("")] * (height - 1 - len(lines))
        lines.append(Line(HELP, DIM))
    return [Line(one_line(line.text)[:width], line.style) for line in lines[:height]]


def _title(view: View, snapshot: Snapshot, rows: List[Rated]) -> str:
    counts: Dict[str, int] = {}
    for one in snapshot.rows:
        if one["state"] != "open":
            counts[one["state"]] = counts.get(one["state"], 0) + 1
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
    seen = f"of {MOST_ROWS} looked at: " if snapshot.total > MOST_ROWS else ""
    title = f"proxy at {view.admin}: {snapshot.total} connections" + (f" ({seen}{states})" if states else "")
    if any(one.rate_in is not None for one in rows):
        title += f", {size_text(sum(one.rate_in or 0.0 for one in rows))}/s received"
    return title + "  PAUSED" if view.paused else title


def _alerts(view: View, snapshot: Snapshot) -> List[Line]:
    lines = [Line(f"! {view.trouble}", ALERT)] if view.trouble else []
    shown = snapshot.findings[:MOST_FINDINGS]
    lines += [Line(f"! {one['kind'].replace('_', ' ')}: {one['text']}", ALERT) for one in shown]
    if len(snapshot.findings) > len(shown):
        lines.append(Line(f"! and {len(snapshot.findings) - len(shown)} more, see `why`", ALERT))
    return lines


def _columns(view: View) -> str:
    return f"{_COLUMNS}   (by {view.order})"


def _row(one: Rated) -> Line:
    row = one.row
    text = (
        f"{'C' + str(row['id']):>7} {_SIDES.get(row['side'], row['side']):<4} {row['state'].replace('_', ' '):<11} "
        f"{_rate(one.rate_in):>9} {_rate(one.rate_out):>9} {size_text(one.buffered):>9} {ago_text(row['age_s']):>8}  "
        f"{_where(row)}{_note(row)}"
    )
    alarming = _ALARMING.intersection(row["states"])
    return Line(text, ALERT if alarming else DIM if row["state"] == "connecting" else PLAIN)


def _rate(rate: Optional[float]) -> str:
    return "" if rate is None else "." if rate == 0 else size_text(rate)


def _where(row: Dict[str, Any]) -> str:
    if row["side"] == "downstream":
        return f"{row['remote_address'] or '-'} -> {row['listener'] or '-'}"
    whose = f" (C{row['peer_id']})" if row["peer_id"] is not None else ""  # one of a pool is nobody's for long
    return f"{row['cluster'] or '-'} -> {row['remote_address'] or '-'}{whose}"


def _note(row: Dict[str, Any]) -> str:
    requests = [f"{one['method']} {one['path']}".strip() for one in row["streams"]]
    if row["parked_by"]:
        what = f"{requests[0]} " if requests else ""
        return f"   {what}parked by {row['parked_by']} for {ago_text(row['parked_s'])}"
    if requests:
        one = row["streams"][0]
        return f"   {requests[0]} {ago_text(one['age_s'])}: {one['state']}"
    if row["reading_paused_by"]:
        return f"   paused by {row['reading_paused_by'][0]}"
    return f"   closing: {row['closing']}" if row["closing"] else ""
