"""Where the bytes of a log go: a file by its path, or a descriptor that the process was started with.

A target writes what it can without waiting. A FIFO without a reader, a full pipe and a full disk are all
answers (`OSError` or a short count), never a stop of the loop.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import Optional

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
# A pipe that polls writable takes this much without blocking (POSIX, PIPE_BUF on Linux).
_ATOMIC = 4096


class FileTarget:
    """A file, device or FIFO, opened for appending.

    Raises OSError when it can't be opened; a FIFO that nobody reads yet (ENXIO) is tried again at each write.
    """

    __slots__ = ("name", "_fd")

    def __init__(self, path: str) -> None:
        self.name = path
        self._fd: Optional[int] = None
        try:
            self._fd = os.open(path, _FLAGS, 0o644)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise

    def write(self, data: bytes) -> int:
        """Write what fits now; the number of bytes taken, 0 if the other end is full."""
        if self._fd is None:
            self._fd = os.open(self.name, _FLAGS, 0o644)
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # the reader of the FIFO left: the next reader needs a new open
            self.close()
            raise

    def reopen(self) -> None:
        """Open the path again (after a rotation). Raises OSError and keeps the old file when that fails."""
        fd = os.open(self.name, _FLAGS, 0o644)
        self.close()
        self._fd = fd

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class DescriptorTarget:
    """Standard output or error.

    The descriptor is shared with other processes, so it stays in blocking mode and is asked before each
    piece whether it would block.
    """

    __slots__ = ("name", "_fd", "_may_block", "_poll")

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self._fd = fd
        self._may_block = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, data: bytes) -> int:
        """Write what fits now; the number of bytes taken, 0 if the other end is full."""
        if not self._may_block:
            return os.write(self._fd, data)
        taken = 0
        while taken < len(data) and self._poll.poll(0):
            taken += os.write(self._fd, data[taken:taken + _ATOMIC])
        return taken

    def reopen(self) -> None:
        """Nothing to do: there is no path."""

    def close(self) -> None:
        """Nothing to do: the descriptor belongs to the process."""
