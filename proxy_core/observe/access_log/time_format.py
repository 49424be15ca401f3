"""Times in access logs: strftime plus Envoy's tokens for parts of a second.

`%3f %6f %9f` are milli-, micro- and nanoseconds, `%f` is nine digits, `%s` the seconds since the epoch;
Abseil's `%E4S`, `%E*S`, `%Ez`, `%E4Y` and `%ET` are known. A format is cut into pieces once;
the text of the whole second is kept, because most lines fall into the second of the line before.
"""

from __future__ import annotations

import re
import time
from typing import List, Tuple

DEFAULT_UTC = "%Y-%m-%dT%H:%M:%S.%3fZ"
DEFAULT_LOCAL = "%Y-%m-%dT%H:%M:%S.%3f%z"

_TOKEN = re.compile(
    r"%%|%E?(?P<digits>\d*|\*)f|%(?P<epoch>s)|%E(?P<seconds>\d|\*)S|%E(?P<colons>\*?)z|%E(?P<plain>4Y|T)|%(?P<zone>[zZ])"
)
_EPOCH, _OFFSET, _OFFSET_LONG = "\0", "\1", "\2"
_ZONES_UTC = {"z": "+0000", "Z": "UTC"}


class TimeFormat:
    """One compiled time format. `local` means the time zone of the process instead of UTC."""

    __slots__ = ("_pieces", "_local", "_second", "_texts")

    def __init__(self, pattern: str, local: bool = False) -> None:
        self._local = local
        self._pieces = _cut(pattern, local)
        self._second = -1
        self._texts: List[str] = []

    def format(self, wall: float) -> str:
        """The text of a time in seconds since the epoch, exact to the microsecond."""
        micros = round(wall * 1_000_000)
        second, fraction = divmod(micros, 1_000_000)
        if second != self._second:
            self._render_second(second)
        nanos = f"{fraction:06d}000"
        out = []
        for (_, digits), text in zip(self._pieces, self._texts):
            out.append(text)
            if digits:
                out.append(nanos[:digits].ljust(digits, "0"))
        return "".join(out)

    def _render_second(self, second: int) -> None:
        broken_down = time.localtime(second) if self._local else time.gmtime(second)
        # strftime's own %s reads the broken-down time as local, so the epoch is put in before.
        offset = time.strftime("%z", broken_down) if self._local else "+0000"
        offset = f"{offset[:3]}:{offset[3:5]}"
        self._texts = [
            time.strftime(
                pattern.replace(_EPOCH, str(second)).replace(_OFFSET_LONG, f"{offset}:00").replace(_OFFSET, offset),
                broken_down,
            ) if pattern else ""
            for pattern, _ in self._pieces
        ]
        self._second = second


def _digits(text: str) -> int:
    """Of a fraction: nine, as many as there are (clocks give microseconds), or the number given."""
    return {"": 9, "*": 6}.get(text) or int(text or 0)


def _cut(pattern: str, local: bool) -> List[Tuple[str, int]]:
    """(strftime pattern, digits of the fraction after it) pairs; control characters stand for what varies."""
    pieces: List[Tuple[str, int]] = []
    text, end = "", 0
    for mark in (_EPOCH, _OFFSET, _OFFSET_LONG):
        pattern = pattern.replace(mark, "")
    for token in _TOKEN.finditer(pattern):
        text += pattern[end:token.start()]
        end = token.end()
        if token.group("digits") is not None:
            pieces.append((text, _digits(token.group("digits"))))
            text = ""
        elif token.group("epoch"):
            text += _EPOCH
        elif token.group("seconds") is not None:
            digits = _digits(token.group("seconds"))
            pieces.append((text + ("%S." if digits else "%S"), digits))
            text = ""
        elif token.group("colons") is not None:
            text += _OFFSET_LONG if token.group("colons") else _OFFSET
        elif token.group("plain"):
            text += "%Y" if token.group("plain") == "4Y" else "T"
        elif token.group("zone") and not local:
            text += _ZONES_UTC[token.group("zone")]
        else:
            text += token.group()
    return pieces + [(text + pattern[end:], 0)]
