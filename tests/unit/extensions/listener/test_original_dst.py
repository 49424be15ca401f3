"""original_dst: what it asks the kernel and what it makes of the answer. The kernel's side of a redirection is played."""

from __future__ import annotations

import socket
import struct
from typing import Any, Dict, Tuple

import pytest

from proxy_core.extensions.listener import original_dst
from proxy_core.filters.api import CONTINUE
from proxy_core.network.address import Address

V4_OPTION = (socket.IPPROTO_IP, 80)
V6_OPTION = (socket.IPPROTO_IPV6, 80)


def sockaddr_in(ip: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(ip))


def sockaddr_in6(ip: str, port: int, scope: int = 0) -> bytes:
    head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16s", port, 0, socket.inet_pton(socket.AF_INET6, ip))
    return head + struct.pack("=I", scope)


class Sock:
    """A socket whose options are a table; the rest is "Protocol not available", as the kernel says."""

    def __init__(self, local: Address, options: Dict[Tuple[int, int], Any]) -> None:
        self.family = local.family
        self._local = local
        self._options = options

    def getsockname(self) -> Any:
        return self._local.sockaddr

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        if (level, option) not in self._options:
            raise OSError(92, "Protocol not available")
        value = self._options[level, option]
        return value[:size] if size else value


class Callbacks:
    """The facts of one accepted socket."""

    def __init__(self, sock: Any, local: Address) -> None:
        self.sock = sock
        self.socket: Any = self
        self.local_address = local
        self.local_restored = False


def ran(sock: Any, local: Address) -> Callbacks:
    callbacks: Any = Callbacks(sock, local)
    new = original_dst.build(original_dst.OriginalDstConfig(), callbacks)
    assert new().on_accept(callbacks) is CONTINUE
    assert new().most_bytes == 0
    result: Callbacks = callbacks
    return result


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(original_dst, "_IS_LINUX", True)


@pytest.mark.parametrize("local, option, answer, text", [
    (Address.from_ip("127.0.0.1", 15001), V4_OPTION, sockaddr_in("10.1.2.3", 443), "10.1.2.3:443"),
    (Address.from_ip("::1", 15001), V6_OPTION, sockaddr_in6("2001:db8::3", 443), "[2001:db8::3]:443"),
])
def test_a_redirected_connection_gets_the_address_that_was_dialled(
    local: Address, option: Tuple[int, int], answer: bytes, text: str
) -> None:
    callbacks = ran(Sock(local, {option: answer}), local)
    assert callbacks.local_address.text == text
    assert callbacks.local_restored


def test_an_ipv4_client_of_an_ipv6_socket_is_asked_about_as_ipv4() -> None:
    bound = Address(socket.AF_INET6, ("::ffff:127.0.0.1", 15001, 0, 0), "[::ffff:127.0.0.1]:15001", "", 15001, "", 0)
    sock = Sock(bound, {V4_OPTION: sockaddr_in("10.1.2.3", 443)})
    assert ran(sock, Address.from_ip("127.0.0.1", 15001)).local_address.text == "10.1.2.3:443"


@pytest.mark.parametrize("options", [
    {},
    {V4_OPTION: sockaddr_in("127.0.0.1", 15001)},
    {V4_OPTION: sockaddr_in("10.1.2.3", 443)[:6]},
    {V4_OPTION: sockaddr_in6("::1", 443)},
    {(socket.IPPROTO_IP, 19): 0},
])
def test_a_connection_that_was_not_redirected_stays_as_it_is(options: Dict[Tuple[int, int], Any]) -> None:
    local = Address.from_ip("127.0.0.1", 15001)
    callbacks = ran(Sock(local, options), local)
    assert callbacks.local_address is local
    assert not callbacks.local_restored


@pytest.mark.parametrize("local, option", [
    (Address.from_ip("10.1.2.3", 443), (socket.IPPROTO_IP, 19)),
    (Address.from_ip("2001:db8::3", 443), (socket.IPPROTO_IPV6, 75)),
])
def test_a_transparent_socket_has_the_dialled_address_and_says_so(local: Address, option: Tuple[int, int]) -> None:
    callbacks = ran(Sock(local, {option: 1}), local)
    assert callbacks.local_address is local
    assert callbacks.local_restored


def test_an_address_that_another_filter_restored_is_not_taken_back() -> None:
    """Without a redirection: proxy_protocol in front of it said where the connection was meant to go."""
    local = Address.from_ip("127.0.0.1", 15001)
    callbacks: Any = Callbacks(Sock(local, {}), Address.from_ip("203.0.113.9", 443))
    callbacks.local_restored = True
    original_dst.OriginalDst().on_accept(callbacks)
    assert callbacks.local_address.text == "203.0.113.9:443" and callbacks.local_restored


def test_a_unix_socket_and_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Address.from_path("/run/x.sock")
    assert not ran(Sock(path, {V4_OPTION: sockaddr_in("10.1.2.3", 443)}), path).local_restored
    monkeypatch.setattr(original_dst, "_IS_LINUX", False)
    local = Address.from_ip("127.0.0.1", 15001)
    assert not ran(Sock(local, {V4_OPTION: sockaddr_in("10.1.2.3", 443)}), local).local_restored


def test_a_real_connection_without_iptables_stays_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        sock, _ = server.accept()
        with sock:
            local = Address.from_sockaddr(sock.family, sock.getsockname())
            callbacks = ran(sock, local)
            assert callbacks.local_address is local and not callbacks.local_restored
