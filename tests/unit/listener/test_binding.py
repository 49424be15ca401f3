"""The options of listening sockets: what the kernel says after they were set."""

from __future__ import annotations

import socket
import sys
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.listener.binding import BindError, options_of
from tests.support.engine import Engine, Json, address, bootstrap, listener, network_filter

ECHO = network_filter("echo")
IP_FREEBIND, IPV6_FREEBIND, IP_TRANSPARENT = 15, 78, 19
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's options")


@pytest.fixture
def bound() -> Iterator[Callable[..., List[socket.socket]]]:
    made: List[Engine] = []

    def make(**fields: Any) -> List[socket.socket]:
        made.append(Engine(bootstrap([{**listener(ECHO), **fields}])).start())
        return [one._sock for one in made[-1].listener().sockets.all()]
    yield make
    for one in made:
        one.close()


@linux
def test_freebind_and_fast_open_are_set_only_when_they_are_configured(bound: Callable[..., Any]) -> None:
    fast_open: int = getattr(socket, "TCP_FASTOPEN", 23)
    plain, = bound()
    assert plain.getsockopt(socket.IPPROTO_IP, IP_FREEBIND) == 0
    on, = bound(freebind=True, tcp_fast_open_queue_length=7)
    assert on.getsockopt(socket.IPPROTO_IP, IP_FREEBIND) == 1
    assert on.getsockopt(socket.IPPROTO_TCP, fast_open) == 7
    off, = bound(freebind=False, tcp_fast_open_queue_length=0)
    assert (off.getsockopt(socket.IPPROTO_IP, IP_FREEBIND), off.getsockopt(socket.IPPROTO_TCP, fast_open)) == (0, 0)


@linux
def test_freebind_listens_on_an_address_that_is_not_there(bound: Callable[..., Any]) -> None:
    sock, = bound(address=address(ip="192.0.2.1"), freebind=True)
    assert sock.getsockname()[0] == "192.0.2.1"


@linux
def test_transparent_is_set_or_refused_in_one_sentence(bound: Callable[..., Any]) -> None:
    try:
        sock, = bound(transparent=True)
    except BindError as error:
        assert str(error).startswith("cannot bind '127.0.0.1:0': ")  # without CAP_NET_ADMIN
    else:
        assert sock.getsockopt(socket.IPPROTO_IP, IP_TRANSPARENT) == 1


@linux
def test_freebind_on_ipv6(bound: Callable[..., Any]) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    sock, = bound(address=address(ip="2001:db8::1"), freebind=True)
    assert sock.getsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND) == 1


def test_an_additional_address_has_its_own_options_and_keepalive_or_the_listeners(bound: Callable[..., Any]) -> None:
    name = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 4))
    own = {"address": address(), "tcp_keepalive": {"keepalive_time": 22}, "socket_options": {"socket_options": []}}
    broadcast = {"level": socket.SOL_SOCKET, "name": socket.SO_BROADCAST, "int_value": 1, "state": "STATE_LISTENING"}
    first, second, third = bound(
        tcp_keepalive={"keepalive_time": 11}, socket_options=[broadcast], additional_addresses=[own, {"address": address()}],
    )
    assert [one.getsockopt(socket.IPPROTO_TCP, name) for one in (first, second, third)] == [11, 22, 11]
    assert [bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)) for one in (first, second, third)] == [
        True, False, True,
    ]


@pytest.mark.parametrize("state", ["STATE_PREBIND", "STATE_BOUND", "STATE_LISTENING"])
def test_an_option_that_the_system_refuses_is_a_bind_error(bound: Callable[..., Any], state: str) -> None:
    with pytest.raises(BindError, match=r"cannot (bind|listen on) '127\.0\.0\.1:0': "):
        bound(socket_options=[{"level": 6, "name": 9999, "int_value": 1, "state": state}])


@pytest.mark.parametrize("fields, same", [
    ({}, True), ({"tcp_backlog_size": 3}, True), ({"stat_prefix": "x"}, True), ({"freebind": False}, False),
    ({"transparent": True}, False), ({"tcp_fast_open_queue_length": 0}, False), ({"tcp_keepalive": {}}, False),
    ({"socket_options": [{"int_value": 1}]}, False),
])
def test_a_socket_can_be_taken_over_when_all_that_is_set_on_it_is_the_same(fields: Json, same: bool) -> None:
    engines = [Engine(bootstrap([{**listener(ECHO), **more}])) for more in ({}, fields)]
    configs = [engine.listener().config for engine in engines]
    assert (options_of(configs[0], 0) == options_of(configs[1], 0)) is same
    for engine in engines:
        engine.close()
