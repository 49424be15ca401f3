"""One datagram and its answer, on the proxy's own loop. Used by ask_first.py."""

import socket
from typing import Any, Callable


class Question:
    """`answered` is called with the answer, b"" if nobody is there. What blocks would stop every connection of the process, so
    the socket is watched by the loop like any other."""

    def __init__(self, connection: Any, service: str, text: str, answered: Callable[[bytes], None]) -> None:
        host, _, port = service.rpartition(":")
        self.connection, self.answered = connection, answered
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((host, int(port)))
        self.sock.send(text.encode())
        connection.reactor.watch(self.sock.fileno(), 1, self)

    def on_ready(self, mask: int) -> None:
        try:
            answer = self.sock.recv(100)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        self.close()
        self.answered(answer)

    def on_failure(self, error: Exception) -> None:
        self.connection.on_failure(error)  # what `answered` raised is the connection's affair

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self.connection.reactor.unwatch(self.sock.fileno())
            self.sock.close()
