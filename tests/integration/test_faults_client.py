"""`proxy_core.testing.faults`: a test's hold on the faults of a running proxy, in this process and in another."""

from __future__ import annotations

import socket
from typing import Any, Dict, Iterator

import pytest

from proxy_core.testing import Proxy
from proxy_core.testing.faults import Faults, Service

TYPE = "type.googleapis.com/"
ECHO = {"name": "echo", "typed_config": {"@type": TYPE + "envoy.extensions.filters.network.echo.v3.Echo"}}
FAULT = {"name": "fault", "typed_config": {"@type": TYPE + "proxy_core.filters.network.fault.v1.Fault", "name": "echo"}}
CONFIG: Dict[str, Any] = {"static_resources": {"listeners": [{
    "name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    "filter_chains": [{"filters": [FAULT, ECHO]}],
}]}}


@pytest.fixture(scope="module", params=[False, True], ids=["in this process", "in its own"])
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with Proxy(CONFIG, subprocess=request.param) as running:
        yield running


@pytest.fixture
def echo(proxy: Proxy) -> Iterator[Service]:
    faults = Faults(proxy.admin)
    yield faults["echo"]
    faults.reset()


def answer(client: socket.socket) -> bytes:
    """To "hello", until the server ends; what it was cut off with, if it was."""
    got = b""
    try:
        client.sendall(b"hello")
        while len(got) < 5:
            more = client.recv(100)
            if not more:
                break
            got += more
    except ConnectionError:
        got += b" (reset)"
    client.close()
    return got


def test_a_toxic_is_in_force_within_its_block_and_on_connections_that_were_open(proxy: Proxy, echo: Service) -> None:
    early = proxy.connect()
    with echo.downstream("limit_data", bytes=2):
        assert list(echo.toxics) == ["limit_data_downstream"]
        assert answer(early) == b"he"
    assert echo.toxics == {} and answer(proxy.connect()) == b"hello"
    with echo.upstream("limit_data", bytes=3):
        assert list(echo.toxics) == ["limit_data_upstream"] and answer(proxy.connect()) == b"hel"
    with echo.upstream("reset_peer"):
        assert answer(proxy.connect()) == b" (reset)"


def test_a_toxic_ends_with_its_block_whatever_happens_in_it(echo: Service) -> None:
    with pytest.raises(RuntimeError):
        with echo.downstream("latency", latency=10):
            raise RuntimeError("of the test")
    with pytest.raises(RuntimeError):
        with echo.down():
            raise RuntimeError("of the test")
    assert echo.toxics == {}


def test_down_refuses_and_the_port_stays(proxy: Proxy, echo: Service) -> None:
    port = proxy.port
    with echo.down():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5.0)
    assert proxy.port == port and answer(proxy.connect()) == b"hello"


def test_toxics_are_added_updated_and_removed_by_name(proxy: Proxy, echo: Service) -> None:
    assert echo.add("limit_data", name="cut", toxicity=0.0, bytes=1) == "cut"
    assert answer(proxy.connect()) == b"hello"
    echo.update("cut", toxicity=1.0)
    assert answer(proxy.connect()) == b"h"
    echo.update("cut", bytes=4)
    assert answer(proxy.connect()) == b"hell" and echo.toxics["cut"]["toxicity"] == 1.0
    echo.remove("cut")
    assert answer(proxy.connect()) == b"hello"


def test_the_same_seed_gives_the_same_connections_the_same_fate(proxy: Proxy, echo: Service) -> None:
    echo.add("limit_data", toxicity=0.5, bytes=1)

    def fates() -> Any:
        echo.seed(11)
        return [answer(proxy.connect()) for _ in range(12)]
    first = fates()
    assert fates() == first and len(set(first)) == 2


def test_mistakes_are_errors_that_say_what_is_wrong(proxy: Proxy, echo: Service) -> None:
    with pytest.raises(KeyError):
        Faults(proxy.admin)["other"]
    with pytest.raises(ValueError, match="there is no toxic 'lag'"):
        echo.add("lag")
    with pytest.raises(ValueError, match="unknown field `latncy`"):
        echo.add("latency", latncy=5)
    with pytest.raises(ValueError, match="'echo' has no toxic 'cut'"):
        echo.remove("cut")
