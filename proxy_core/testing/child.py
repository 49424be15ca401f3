"""A `python -m proxy_core` in a process of its own, followed by what it says: no sleeping, no fixed ports."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Dict, Match, Optional, Sequence

PATIENCE = 20.0  # generous: a loaded machine is slow, but not hung
PACKAGE = __name__.rpartition(".testing.")[0]


def _import_root() -> str:
    """The directory (or zip file) that this package was imported from."""
    path = os.path.abspath(__file__)
    for _ in range(__name__.count(".") + 1):
        path = os.path.dirname(path)
    return path


class ChildProcess:
    """The process. Ends with the `with` block; nothing is left behind.

    arguments: of the command line. program: what Python runs. cwd: None for the present directory.
    output: what it has said so far, by "stdout" and "stderr".
    """

    def __init__(
        self, arguments: Sequence[str], program: Sequence[str] = ("-m", PACKAGE), cwd: Optional[str] = None
    ) -> None:
        paths = [_import_root(), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments], cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.output: Dict[str, str] = {"stdout": "", "stderr": ""}
        self._selector = selectors.DefaultSelector()
        for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream.fileno(), selectors.EVENT_READ, name)

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._selector.close()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def expect(self, pattern: str, stream: str = "stderr") -> Match[str]:
        """Read until the stream holds `pattern` (a regular expression)."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.output[stream])
            if found:
                return found
            if not self.read(deadline - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {stream}: {self.output}")

    def read(self, wait: float) -> bool:
        """Take what it says within `wait` seconds; False when nothing more will come, or the time is over."""
        for key, _ in self._selector.select(max(0.0, wait)):
            data = os.read(key.fd, 65536)
            self.output[key.data] += data.decode("utf-8", "replace")
            if not data:
                self._selector.unregister(key.fd)
        return bool(self._selector.get_map()) and wait > 0

    def send(self, number: int) -> None:
        """A signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """The exit code, once the process has ended by itself. All output is read then."""
        deadline = time.monotonic() + PATIENCE
        while self.read(deadline - time.monotonic()):
            pass
        return self.process.wait(PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.send(number)
        return self.end()

    def port(self, listener: str) -> int:
        """The port a listener got, from the log."""
        return int(self.expect(rf"listener '{listener}' on 127\.0\.0\.1:(\d+)").group(1))

    def connect(self, listener: str) -> socket.socket:
        """A client connection to a listener, once the process handles signals and accepts."""
        port = self.port(listener)
        self.expect("starting main dispatch loop")
        return socket.create_connection(("127.0.0.1", port), PATIENCE)
