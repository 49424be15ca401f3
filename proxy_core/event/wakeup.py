"""How signals and other threads wake the loop: a socket pair whose reading end the reactor watches.

`signal.set_wakeup_fd` makes the interpreter write each signal's number into the pair, so a signal is handled as an event of
the loop, between two turns, and never in the middle of a filter. Other threads (a DNS look-up) hand over a callable with
`post`. Nothing else in the package may touch the loop from outside its thread.
"""

from __future__ import annotations

import collections
import signal
import socket
from typing import Any, Callable, Deque, Dict


def _ignore(signum: int, frame: object) -> None:
    """Installed so that the interpreter writes to the wake-up descriptor; the work is done in the loop."""


class Wakeup:
    """The reading end is a reactor handler (`fileno`, `on_ready`); `post` may be called from any thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._posted: Deque[Callable[[], None]] = collections.deque()
        self._on_signal: Dict[int, Callable[[], None]] = {}
        self._handled_before: Dict[int, Any] = {}

    def fileno(self) -> int:
        """The descriptor the reactor watches for reading."""
        return self._reader.fileno()

    def post(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the loop's thread, in the next turn. Safe from any thread."""
        self._posted.append(callback)
        self._wake()

    def _wake(self) -> None:
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            return  # the pair is full of wake-ups already: the loop will come

    def on_signal(self, signum: int, callback: Callable[[], None]) -> None:
        """Call `callback` in the loop whenever the process gets `signum`. Main thread only."""
        self._on_signal[signum] = callback
        previous = signal.signal(signum, _ignore)
        self._handled_before.setdefault(signum, previous)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def release_signals(self) -> None:
        """Give the signals back the handling they had before and forget the callbacks."""
        if not self._on_signal:
            return
        signal.set_wakeup_fd(-1)
        for signum, previous in self._handled_before.items():
            signal.signal(signum, signal.SIG_DFL if previous is None else previous)
        self._handled_before.clear()
        self._on_signal.clear()

    def on_ready(self, mask: int) -> None:
        """Take what was posted and the signals that came, in order of arrival."""
        try:
            data = self._reader.recv(4096)
        except BlockingIOError:
            data = b""
        for number in data:
            handler = self._on_signal.get(number)
            if handler is not None:
                self._posted.append(handler)  # not called here: a failure must not lose the signals behind it
        for _ in range(len(self._posted)):
            self._posted.popleft()()

    def on_failure(self, error: Exception) -> None:
        """A callback raised; the reactor has logged it. What came after it is still due."""
        if self._posted:
            self._wake()

    def close(self) -> None:
        """Give back the descriptors."""
        self.release_signals()
        self._reader.close()
        self._writer.close()
