"""Records of what a connection received and sent, one JSON object a line; who writes them, and who reads them again.

    {"type": "open", "id": 7, "tap": "t", "t": 0.0, "side": "downstream", "wall": 1800000000.25, "listener": "redis",
     "remote": "127.0.0.1:50000", "local": "127.0.0.1:6379"}
    {"type": "data", "id": 7, "tap": "t", "t": 0.000112, "side": "downstream", "dir": "in", "n": 6, "text": "PING\\r\\n"}
    {"type": "data", "id": 7, "tap": "t", "t": 0.000391, "side": "downstream", "dir": "out", "n": 3, "base64": "AP8A"}
    {"type": "data", "id": 7, "tap": "t", "t": 2.5, "side": "downstream", "dir": "in", "n": 0, "text": "", "end": true}
    {"type": "close", "id": 7, "tap": "t", "t": 2.500201, "side": "downstream", "in": 6, "out": 3, "unrecorded": 0,
     "reason": "peer FIN"}

t: seconds since the connection was made. side: whose connection. dir: "in" from its peer, "out" to it. n: bytes. text if they are
printable ASCII, else base64; neither if only the length is recorded. end: the stream ends behind these bytes. in, out: all bytes,
recorded or not; unrecorded: those beyond the limit of a connection.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Callable, Dict, Final, Iterable, List, NamedTuple, Optional, Protocol

IN: Final = "in"
OUT: Final = "out"
SIDE: Final = "downstream"
MOST_UNRECORDED: Final = 1 << 30  # no read was ever that long
_PRINTABLE: Final = re.compile(rb"[\t\n\r\x20-\x7e]*\Z")

# What of some bytes is recorded: others, or None for their length alone. Called with the direction and the bytes.
Redact = Callable[[str, bytes], Optional[bytes]]


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: str) -> None:
        """Take a line with its line end."""


class Viewer(Protocol):
    """Somebody who looks on."""

    def show(self, tap: str, line: str) -> None:
        """A record of the tap of this name."""


class TapFile:
    """A file of records that never grows beyond `most` bytes. size: what it has already."""

    def __init__(self, sink: Sink, most: int, size: int) -> None:
        self._sink = sink
        self._left = most - size
        self.is_full = self._left <= 0

    def write(self, line: str) -> None:
        """Append, as long as it fits; nothing follows a line that did not."""
        self._left -= len(line)  # a record is ASCII
        self.is_full = self.is_full or self._left < 0
        if not self.is_full:
            self._sink.write(line)


class TapHub:
    """What all taps of a process share: those who look on, and the files by path."""

    def __init__(self) -> None:
        self.viewers: List[Viewer] = []
        self.files: Dict[str, TapFile] = {}


class Recorder:
    """Writes down one connection. about: more facts for its first record. most: payload bytes that are recorded. report: told
    what `redact` raised; then only the length is recorded."""

    def __init__(
        self, hub: TapHub, file: Optional[TapFile], tap: str, connection_id: int, about: Dict[str, Any], most: int,
        redact: Redact, report: Callable[[Exception], None],
    ) -> None:
        self._hub = hub
        self._file = file
        self._tap = tap
        self._id = connection_id
        self._left = most
        self._redact = redact
        self._report = report
        self._totals = {IN: 0, OUT: 0}
        self._unrecorded = 0
        self._write("open", 0.0, about)

    def chunk(self, t: float, direction: str, data: bytes, end: bool) -> None:
        """Bytes that came or go, and the end of their stream."""
        self._totals[direction] += len(data)
        kept = data[:self._left]
        self._left -= len(kept)
        self._unrecorded += len(data) - len(kept)
        if kept or end:
            facts: Dict[str, Any] = {"dir": direction, "n": len(kept), **_shown(self._redacted(direction, kept))}
            if end:
                facts["end"] = True
            self._write("data", t, facts)

    def close(self, t: float, reason: str) -> None:
        """The connection is over."""
        facts = {**self._totals, "unrecorded": self._unrecorded, "reason": reason}
        self._write("close", t, facts)

    def _redacted(self, direction: str, data: bytes) -> Optional[bytes]:
        try:
            return self._redact(direction, data)
        except Exception as error:
            self._report(error)
            return None

    def _write(self, kind: str, t: float, facts: Dict[str, Any]) -> None:
        record = {"type": kind, "id": self._id, "tap": self._tap, "t": round(t, 6), "side": SIDE, **facts}
        line = json.dumps(record) + "\n"
        if self._file is not None:
            self._file.write(line)
        for viewer in list(self._hub.viewers):
            viewer.show(self._tap, line)


def _shown(data: Optional[bytes]) -> Dict[str, str]:
    if data is None:
        return {}
    if _PRINTABLE.match(data):
        return {"text": data.decode("ascii")}
    return {"base64": base64.b64encode(data).decode("ascii")}


# -- reading -----------------------------------------------------------------------------------------------------------

class Chunk(NamedTuple):
    """Bytes as they were recorded; of those of which only the length was, so many zeros."""

    t: float
    direction: str
    data: bytes
    end: bool


class Recording(NamedTuple):
    """One recorded connection. about: its first record. closed_at: None if its end was not recorded."""

    about: Dict[str, Any]
    chunks: List[Chunk]
    closed_at: Optional[float]

    @property
    def connection_id(self) -> int:
        """The number that it had."""
        return int(self.about["id"])


def read_recordings(lines: Iterable[str]) -> List[Recording]:
    """The connections in the order in which they came, but for those that are not whole: their beginning is missing, or
    records were lost (see `admin.tap`) while they lived. Empty lines are skipped. Raises ValueError with the number of a line
    that is no record."""
    reading = _Reading()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                reading.take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} is not a tap record: {type(error).__name__}: {error}") from None
    return reading.whole


class _Reading:
    """The state of `read_recordings`."""

    def __init__(self) -> None:
        self.whole: List[Recording] = []
        self._open: Dict[int, int] = {}  # number of a connection that lives -> its place in `whole`

    def take(self, record: Any) -> None:
        """One record. Raises ValueError, KeyError, TypeError for what is none."""
        kind = record["type"]
        if kind == "lost":
            gone = set(self._open.values())
            self.whole = [one for index, one in enumerate(self.whole) if index not in gone]
            self._open.clear()
            return
        connection_id, t = int(record["id"]), float(record["t"])
        if kind == "open":  # the numbers of another run may be the same
            self._open[connection_id] = len(self.whole)
            self.whole.append(Recording(record, [], None))
        elif connection_id not in self._open:
            return
        elif kind == "data":
            self.whole[self._open[connection_id]].chunks.append(_chunk(t, record))
        elif kind == "close":
            index = self._open.pop(connection_id)
            self.whole[index] = self.whole[index]._replace(closed_at=t)


def _chunk(t: float, record: Dict[str, Any]) -> Chunk:
    direction = record["dir"]
    if direction not in (IN, OUT):
        raise ValueError(f"dir {direction!r}")
    if "text" in record:
        data = record["text"].encode("ascii")
    elif "base64" in record:
        data = base64.b64decode(record["base64"], validate=True)
    else:
        length = int(record["n"])
        if length > MOST_UNRECORDED:
            raise ValueError(f"n {length}")
        data = bytes(length)
    return Chunk(t, direction, data, bool(record.get("end")))
