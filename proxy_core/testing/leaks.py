"""What a proxy in this process must not leave behind: its ends of connections, listening sockets, threads.

A test has descriptors of its own, so only those are looked at that can be nobody else's: sockets that are bound to a listener's
address (listening, or the accepted end of a connection), and sockets that are connected to a host of a cluster. Linux only, where
/proc tells; elsewhere nothing is found.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Any, Iterator, List, Set, Tuple

from ..server.server import Server

TABLE = "/proc/self/fd"
THREADS = ("resolver-", "decoder-")  # those of `event.background.Background`, by the names that the server gives them

Entry = Tuple[int, str]


def _open() -> Set[Entry]:
    """Every descriptor with what it stands for; its number alone may be another's by now."""
    found = set()
    for name in os.listdir(TABLE) if os.path.isdir(TABLE) else ():
        try:
            found.add((int(name), os.readlink(f"{TABLE}/{name}")))
        except OSError:
            continue  # the one that the listing itself used
    return found


class Descriptors:
    """What was open when this was made, and what has been added since that is the proxy's."""

    def __init__(self) -> None:
        self._before = _open()
        self._listeners: Set[str] = set()
        self._hosts: Set[str] = set()

    def learn(self, server: Server) -> None:
        """The addresses of a running server. While it listens: afterwards nobody knows them."""
        listeners = [*server.listeners.listeners, *([server.admin] if server.admin is not None else [])]
        self._listeners = {address.text for one in listeners for address in one.local_addresses()}
        self._hosts = {host.address.text for cluster in server.clusters.clusters() for host in cluster.hosts}

    def left(self) -> List[str]:
        """The descriptors that the proxy has not given back, in sentences."""
        return [text for number, target in sorted(_open() - self._before) if target.startswith("socket:")
                for text in self._judged(number)]

    def _judged(self, number: int) -> Iterator[str]:
        try:
            with socket.socket(fileno=os.dup(number)) as sock:
                local, remote = _text(sock.getsockname), _text(sock.getpeername)
                listens = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        except OSError:
            return  # closed just now, or no socket of a kind that has addresses
        if local in self._listeners:
            what = "listening" if listens else f"accepted from {remote or 'a client that has gone'}"
            yield f"descriptor {number} is still open: {local}, {what}"
        elif remote in self._hosts:
            yield f"descriptor {number} is still open: {local}, connected to {remote}"


def _text(ask: Any) -> str:
    try:
        name = ask()
    except OSError:
        return ""
    if isinstance(name, tuple):
        ip, port = name[:2]
        return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def engine_threads(patience: float) -> List[str]:
    """Helper threads that have not ended `patience` seconds after they were told to, in sentences."""
    found = []
    for thread in threading.enumerate():
        if thread.name.startswith(THREADS):
            thread.join(patience)
            if thread.is_alive():
                found.append(f"thread {thread.name} is still alive")
    return found
