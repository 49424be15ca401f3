"""How to test that a client survives a bad network, with pytest and this package alone. `Shouter` is the client under test,
`serve` stands for the server; in a test suite of one's own these are a Redis client and a Redis.
"""

import json
import socket
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from proxy_core.testing import Proxy
from proxy_core.testing.faults import Faults, Service

CONFIG = json.loads((Path(__file__).parent / "faults.json").read_text())


class Shouter:
    """A client with a timeout: sends a word, and gets it back in capitals, or None if the server is not to be had."""

    def __init__(self, port: int, timeout: float) -> None:
        self._address = ("127.0.0.1", port)
        self._timeout = timeout

    def shout(self, word: str) -> Any:
        try:
            with socket.create_connection(self._address, self._timeout) as sock:
                sock.settimeout(self._timeout)
                sock.sendall(word.encode() + b"\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    more = sock.recv(100)
                    if not more:
                        return None
                    answer += more
                return answer.decode().strip()
        except OSError:  # refused, reset, timed out
            return None


def serve(server: socket.socket) -> None:
    try:
        while True:
            sock, _ = server.accept()
            with sock, sock.makefile("rwb") as lines:
                for line in lines:
                    lines.write(line.upper())
                    lines.flush()
    except OSError:  # closed, or a client that was cut off
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        endpoints = CONFIG["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
        endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] = server.getsockname()[1]
        with Proxy(CONFIG, free_ports=True) as running:
            yield running
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def redis(proxy: Proxy) -> Service:
    return Faults(proxy.admin)["redis"]


def test_all_is_well(proxy: Proxy, redis: Service) -> None:
    assert Shouter(proxy.port, 5.0).shout("hello") == "HELLO"


def test_the_client_waits_for_a_slow_server(proxy: Proxy, redis: Service) -> None:
    with redis.downstream("latency", latency=50, jitter=20):
        assert Shouter(proxy.port, 5.0).shout("hello") == "HELLO"


def test_the_client_gives_up_on_a_server_that_says_nothing(proxy: Proxy, redis: Service) -> None:
    with redis.downstream("timeout", timeout=0):
        assert Shouter(proxy.port, 0.1).shout("hello") is None


def test_the_client_survives_an_answer_that_breaks_off(proxy: Proxy, redis: Service) -> None:
    with redis.downstream("limit_data", bytes=3):
        assert Shouter(proxy.port, 5.0).shout("hello") is None


def test_the_client_understands_an_answer_that_comes_byte_by_byte(proxy: Proxy, redis: Service) -> None:
    with redis.downstream("slicer", average_size=1):
        assert Shouter(proxy.port, 5.0).shout("hello") == "HELLO"


def test_the_client_survives_a_server_that_goes_and_comes_back(proxy: Proxy, redis: Service) -> None:
    client = Shouter(proxy.port, 5.0)
    with redis.down():
        assert client.shout("hello") is None
    assert client.shout("hello") == "HELLO"
