"""Times in access logs: strftime plus Envoy's tokens for parts of a second.

`%3f %6f %9f` are milli-, micro- and nanoseconds, `%f` is nine digits, `%s` the seconds since the epoch. A
format is cut into pieces once; the text of the whole second is kept, because most lines fall into the second
of the line before.
"""

from __future__ import annotations

import re
import time
from typing import List, Tuple

DEFAULT_UTC = "%Y-%m-%dT%H:%M:%S.%3fZ"
DEFAULT_LOCAL = "%Y-%m-%dT%H:%M:%S.%3f%z"

_TOKEN = re.compile(r"%%|%E?(?P<digits>\d*)f|%(?P<epoch>s)|%(?P<zone>[zZ])")
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
        self._texts = [
            time.strftime(pattern.replace("\0", str(second)), broken_down) if pattern else ""
            for pattern, _ in self._pieces
        ]
        self._second = second


def _cut(pattern: str, local: bool) -> List[Tuple[str, int]]:
    """(strftime pattern, digits of the fraction after it) pairs; "\\0" stands for the epoch seconds."""
    pieces: List[Tuple[str, int]] = []
    text, end = "", 0
    pattern = pattern.replace("\0", "")
    for token in _TOKEN.finditer(pattern):
        text += pattern[end:token.start()]
        end = token.end()
        if token.group("digits") is not None:
            pieces.append((text, int(token.group("digits") or 9)))
            text = ""
        elif token.group("epoch"):
            text += "\0"
        elif token.group("zone") and not local:
            text += _ZONES_UTC[token.group("zone")]
        else:
            text += token.group()
    return pieces + [(text + pattern[end:], 0)]
