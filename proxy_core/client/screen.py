"""The terminal of `top`. Only here is curses, and only when there is a terminal: it is not on every system."""

from __future__ import annotations

import time
from typing import Any, Dict, Final, Optional

from .ask import AdminAddress, AskError
from .snapshot import Snapshot, take
from .top_view import ALERT, DIM, HEAD, TITLE, View, draw, press

_SPECIAL: Final = {"KEY_UP": "UP", "KEY_DOWN": "DOWN", "KEY_PPAGE": "PAGE UP", "KEY_NPAGE": "PAGE DOWN"}


def run(address: AdminAddress, view: View, interval: float) -> None:
    """Show and refresh until the user leaves. Raises AskError if the first question gets no answer, ImportError without
    curses, `curses.error` for a terminal that can't be used."""
    import curses
    first = take(address, view.order, time.monotonic())
    curses.wrapper(lambda window: _Screen(curses, window, address, view, interval).run(first))


class _Screen:
    """One run of `top`."""

    def __init__(self, curses: Any, window: Any, address: AdminAddress, view: View, interval: float) -> None:
        self._curses = curses
        self._window = window
        self._address = address
        self._view = view
        self._interval = interval
        self._before: Optional[Snapshot] = None
        self._styles: Dict[str, int] = {
            TITLE: curses.A_BOLD, HEAD: curses.A_REVERSE, DIM: curses.A_DIM, ALERT: curses.A_BOLD | self._red(),
        }

    def _red(self) -> int:
        curses = self._curses
        try:
            curses.curs_set(0)
            curses.use_default_colors()
            curses.init_pair(1, curses.COLOR_RED, -1)
            return int(curses.color_pair(1))
        except curses.error:  # a terminal without colours, or one that can't hide its cursor
            return 0

    def run(self, snapshot: Snapshot) -> None:
        """Until the user leaves."""
        self._paint(snapshot)
        view: Optional[View] = self._view
        due = snapshot.taken_at + self._interval
        while view is not None:
            self._window.timeout(max(1, int((due - time.monotonic()) * 1000)))
            key = self._window.getch()
            if key >= 0:
                view = press(view, self._name_of(key))
                if view is None:
                    return
                self._view = view
            if time.monotonic() >= due or key >= 0 and view.order != self._view.order:
                snapshot = self._next(snapshot)
                view, due = self._view, time.monotonic() + self._interval
            self._paint(snapshot)

    def _next(self, old: Snapshot) -> Snapshot:
        if self._view.paused:
            return old
        try:
            snapshot = take(self._address, self._view.order, time.monotonic())
        except AskError as error:
            self._view = self._view._replace(trouble=str(error))
            return old
        self._before = old
        self._view = self._view._replace(trouble="")
        return snapshot

    def _name_of(self, key: int) -> str:
        name = self._curses.keyname(key).decode("ascii", "replace")
        return _SPECIAL.get(name, chr(key) if key < 256 else name)

    def _paint(self, snapshot: Snapshot) -> None:
        height, width = self._window.getmaxyx()
        self._window.erase()
        for number, line in enumerate(draw(self._view, snapshot, self._before, width - 1, height)):
            self._window.addnstr(number, 0, line.text, width - 1, self._styles.get(line.style, 0))
        self._window.refresh()
