"""The Date header (RFC 9110 section 5.6.7), made once per second. Mirrors Envoy's `SlowDateProvider`."""

from __future__ import annotations

import time
from typing import Callable, Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(wall: float) -> str:
    """A time, in seconds since the epoch, as in the Date header: in English whatever the locale."""
    moment = time.gmtime(wall)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    return f"{day}, {moment.tm_mday:02d} {month} {moment.tm_year} " + time.strftime("%H:%M:%S GMT", moment)


class DateHeader:
    """The value of now. wall_clock gives seconds since the epoch."""

    __slots__ = ("_wall_clock", "_second", "_text")

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """The same text for a whole second."""
        second = int(self._wall_clock())
        if second != self._second:
            self._second = second
            self._text = http_date(second)
        return self._text
