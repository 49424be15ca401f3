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
from pathlib import Path
from typing import Any, Dict, List, Match, Sequence

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # generous: a loaded machine is slow, but not hung

_TYPES = "type.googleapis.com/envoy.extensions.filters.network."


class Running:
    """The process. Ends with the `with` block; nothing is left behind."""

    def __init__(self, arguments: Sequence[str], program: Sequence[str] = ("-m", "proxy_core")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.output: Dict[str, str] = {"stdout": "", "stderr": ""}
        self._selector = selectors.DefaultSelector()
        for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream.fileno(), selectors.EVENT_READ, name)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
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
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {stream}: {self.output}")

    def _read(self, wait: float) -> bool:
        """Take what comes; False when nothing more will, or the time is over."""
        for key, _ in self._selector.select(max(0.0, wait)):
            data = os.read(key.fd, 65536)
            self.output[key.data] += data.decode("utf-8", "replace")
            if not data:
                self._selector.unregister(key.fd)
        return bool(self._selector.get_map()) and wait > 0

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """The exit code, once the process has ended by itself. All output is read then."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline - time.monotonic()):
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


def ask(client: socket.socket, question: bytes) -> bytes:
    """Send, and receive as many bytes as were sent."""
    client.sendall(question)
    answer = b""
    while len(answer) < len(question):
        data = client.recv(65536)
        if not data:
            break
        answer += data
    return answer


def loopback(port: int = 0) -> Dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def echo_listener(name: str, port: int = 0, **fields: Any) -> Dict[str, Any]:
    """A listener that sends back what it gets."""
    echo = {"name": "envoy.filters.network.echo", "typed_config": {"@type": f"{_TYPES}echo.v3.Echo"}}
    return {"name": name, "address": loopback(port), "filter_chains": [{"filters": [echo]}], **fields}


def tcp_listener(name: str, cluster: str, **fields: Any) -> Dict[str, Any]:
    """A listener whose only filter is a tcp_proxy; `fields` are the filter's."""
    config = {
        "@type": f"{_TYPES}tcp_proxy.v3.TcpProxy", "stat_prefix": name, "cluster": cluster, **fields,
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]}
    return {"name": name, "address": loopback(), "filter_chains": [chain]}


def bootstrap(listeners: List[Dict[str, Any]], **fields: Any) -> Dict[str, Any]:
    return {"static_resources": {"listeners": listeners}, **fields}
