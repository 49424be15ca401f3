"""Where an admin is, and what its replies say."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from proxy_core.client.ask import AdminAddress, AskError, ask, ask_json, read_address


@pytest.mark.parametrize("text, address", [
    ("127.0.0.1:9901", AdminAddress("127.0.0.1", 9901)),
    (":8001", AdminAddress("127.0.0.1", 8001)),
    ("8001", AdminAddress("127.0.0.1", 8001)),
    ("localhost", AdminAddress("localhost", 9901)),
    ("[::1]:80", AdminAddress("::1", 80)),
    ("[::1]", AdminAddress("::1", 9901)),
    ("http://a.test:1/", AdminAddress("a.test", 1)),
    ("/run/a.sock", AdminAddress("", 0, "/run/a.sock")),
    ("unix:/a.sock", AdminAddress("", 0, "/a.sock")),
    ("@name", AdminAddress("", 0, "@name")),
])
def test_an_admin_address_is_read_in_every_spelling(text: str, address: AdminAddress) -> None:
    assert read_address(text) == address
    assert read_address(address.text) == address


@pytest.mark.parametrize("text", ["", "http://", "::1", "a:b", "1.2.3.4:0", "a:99999", "a b", "a:1:2", "[::1", "user@a:1"])
def test_what_is_no_address_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT or the path of a Unix socket, found"):
        read_address(text)


class Replying:
    """A server for one request. reply: sent in these pieces, then the end."""

    def __init__(self, pieces: List[bytes], path: str = "") -> None:
        self.asked = b""
        self._sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._sock.bind(path or ("127.0.0.1", 0))
        self._sock.listen()
        self.address = AdminAddress("", 0, path) if path else AdminAddress(*self._sock.getsockname())
        self._thread = threading.Thread(target=self._serve, args=(pieces,), daemon=True)
        self._thread.start()

    def _serve(self, pieces: List[bytes]) -> None:
        client, _ = self._sock.accept()
        with client:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(65536)
            for piece in pieces:
                client.sendall(piece)

    def close(self) -> None:
        self._thread.join(5)
        self._sock.close()


@pytest.fixture
def replying() -> Iterator[List[Replying]]:
    made: List[Replying] = []
    yield made
    for one in made:
        one.close()


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 5\r\n\r\nh\xc3\xa9ll"

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nh\xc3\xa9\r\n2\r\nll\r\n0\r\n\r\n"


@pytest.mark.parametrize("at", range(max(len(WHOLE), len(CHUNKED)) + 1))
@pytest.mark.parametrize("whole", [WHOLE, CHUNKED])
def test_a_reply_may_come_in_any_pieces(replying: List[Replying], whole: bytes, at: int) -> None:
    replying.append(Replying([whole[:at], whole[at:]]))
    assert ask(replying[0].address, "/why", {"a": "10.0.0.0/8 x"}) == "h\xe9ll"
    assert replying[0].asked.startswith(b"GET /why?a=10.0.0.0%2F8%20x HTTP/1.1\r\nhost: 127.0.0.1:")


@pytest.mark.parametrize("part", [
    *(WHOLE[:most] for most in range(len(WHOLE))),
    *(CHUNKED[:most] for most in range(len(CHUNKED) - len("\r\n"))),  # what is after the last chunk's size is not looked at
    CHUNKED.replace(b"\r\n2\r\n", b"\r\n3\r\n"),
])
def test_a_reply_that_ends_early_is_no_answer(replying: List[Replying], part: bytes) -> None:
    replying.append(Replying([part]))
    with pytest.raises(AskError, match="is no admin"):
        ask(replying[0].address, "/why")


@pytest.mark.parametrize("reply, text", [
    (b"HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\nNo such id", r"^No such id \(404\)$"),
    (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", r"^status 400 for /x$"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "is no admin"),
])
def test_a_refusal_or_another_server_is_an_error_with_its_words(replying: List[Replying], reply: bytes, text: str) -> None:
    replying.append(Replying([reply]))
    with pytest.raises(AskError, match=text):
        ask(replying[0].address, "/x")


def test_a_unix_socket_is_asked_in_the_same_way(replying: List[Replying], tmp_path: Path) -> None:
    replying.append(Replying([b"HTTP/1.1 200 OK\r\n\r\n{}"], str(tmp_path / "s")))
    assert ask_json(replying[0].address, "/why") == {}
    assert replying[0].asked == b"GET /why?format=json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def test_what_is_no_json_is_an_error(replying: List[Replying]) -> None:
    replying.append(Replying([b"HTTP/1.1 200 OK\r\n\r\n<html>"]))
    with pytest.raises(AskError, match="is not the admin of proxy_core"):
        ask_json(replying[0].address, "/why")


@pytest.mark.parametrize("path", ["", "/nowhere/at/all"])
def test_nobody_there_is_an_error_that_says_where(path: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place: Tuple[str, int] = unused.getsockname()
        address = AdminAddress("", 0, path) if path else AdminAddress(*place)
        with pytest.raises(AskError, match=f"^no answer from an admin at {address.text}: .+"):
            ask(address, "/why")
