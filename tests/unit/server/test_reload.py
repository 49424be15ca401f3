"""A reload of the bootstrap: all of it or nothing, and open connections notice only what concerns them."""

from __future__ import annotations

import random
import socket
from typing import Any, Callable, Dict, Iterator, List

import pytest

from proxy_core.config.load import Loaded, decode_bootstrap
from proxy_core.errors import ConfigError, Problem
from proxy_core.server.extensions import Extensions
from proxy_core.server.lifecycle import close_connections
from proxy_core.server.options import Options
from proxy_core.server.reload import Reloader
from proxy_core.server.server import Server
from proxy_core.testing.clock import SimulatedClock
from tests.support.engine import Json, address, cluster, listener, network_filter
from tests.support.peers import Peer, connect, turn_until
from tests.support.peers import Server as Upstream

ECHO = network_filter("echo")


def says(text: str) -> Json:
    return network_filter("direct_response", response={"inline_string": text})


class Reloaded:
    """A running server whose configuration the test changes."""

    def __init__(self, *listeners: Json, clusters: Any = (), **fields: Any) -> None:
        self.config: Dict[str, Any] = {}
        self.set(*listeners, clusters=clusters, **fields)
        self.clock = SimulatedClock()
        self.extensions = Extensions()
        self.peers: List[Peer] = []
        options = Options(config_path="x.json", drain_time_s=10)
        self.server = Server(self.load(), options, self.extensions, self.clock, lambda: 5.0, random.Random(1))
        self.reloader = Reloader(self.server, self.load)
        self.server.start()

    def set(self, *listeners: Json, clusters: Any = (), **fields: Any) -> None:
        """What the file says from now on."""
        resources = {"listeners": list(listeners), "clusters": list(clusters)}
        self.config = {"static_resources": resources, **fields}

    def load(self) -> Loaded:
        return decode_bootstrap(self.config, self.extensions.types(), False, self.extensions.is_terminal)

    def reload(self, *listeners: Json, **fields: Any) -> bool:
        self.set(*listeners, **fields)
        return self.reloader.reload()

    def port(self, name: str = "main") -> int:
        return self.server.listeners.lists.active[name].listener.local_addresses()[0].port

    def client(self, name: str = "main") -> Peer:
        self.peers.append(connect(self.port(name)))
        return self.peers[-1]

    def until(self, true: Callable[[], Any]) -> None:
        turn_until(self.server.reactor, self.peers, true)

    def echoes(self, client: Peer, data: bytes = b"hello") -> None:
        client.send(data)
        self.until(lambda: bytes(client.got).endswith(data))

    def answer(self, name: str = "main") -> str:
        client = self.client(name)
        self.until(lambda: client.ended)
        return bytes(client.got).decode()

    def value(self, name: str) -> Any:
        stat: Any = self.server.stats.find(name)
        return stat.value

    def close(self) -> None:
        self.server.stop_listening()
        close_connections(self.server)
        for peer in self.peers:
            peer.close()
        self.server.close()


@pytest.fixture
def new() -> Iterator[Callable[..., Reloaded]]:
    made: List[Reloaded] = []

    def make(*listeners: Json, **fields: Any) -> Reloaded:
        made.append(Reloaded(*(listeners or [listener(ECHO)]), **fields))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_the_same_configuration_changes_nothing_and_is_a_success(new: Callable[..., Reloaded]) -> None:
    world = new()
    client = world.client()
    world.echoes(client)
    assert world.reloader.reload()
    world.echoes(client, b"still here")
    assert world.value("proxy_core.config_reload_success") == 1
    assert [world.value(f"listener_manager.{name}") for name in ("listener_modified", "listener_removed")] == [0, 0]


def test_listeners_are_added_changed_and_removed_at_once(new: Callable[..., Reloaded]) -> None:
    world = new(listener(ECHO), listener(says("old"), name="b"), listener(ECHO, name="c"), listener(ECHO, name=""))
    unnamed = list(world.server.listeners.lists.active)[3]
    kept, gone = world.client("main"), world.client("c")
    world.echoes(kept)
    world.echoes(gone)
    port = world.port("c")
    assert world.reload(
        listener(ECHO), listener(says("new"), name="b"), listener(says("d"), name="d"), listener(ECHO, name="")
    )
    assert list(world.server.listeners.lists.active) == ["main", "b", unnamed, "d"]
    assert (world.answer("b"), world.answer("d")) == ("new", "d")
    world.echoes(kept, b"still here")
    world.echoes(gone, b"for a while")
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    world.clock.advance(10.5)
    world.until(lambda: gone.ended)
    world.echoes(kept, b"and still")
    resources = world.server.loaded.bootstrap.static_resources
    assert resources is not None and len(resources.listeners) == 4
    assert world.server.loaded_wall == 5.0


def test_two_listeners_can_change_places(new: Callable[..., Reloaded]) -> None:
    world = new(listener(says("one"), name="one"), listener(says("two"), name="two"))
    ports = [world.port("one"), world.port("two")]
    waiting = [world.client("one"), world.client("two")]
    assert world.reload(
        {**listener(says("one"), name="one"), "address": address(ports[1])},
        {**listener(says("two"), name="two"), "address": address(ports[0])},
    )
    assert [world.port("one"), world.port("two")] == ports[::-1]
    world.until(lambda: all(client.ended for client in waiting))
    assert [bytes(client.got) for client in waiting] == [b"two", b"one"]
    assert (world.answer("one"), world.answer("two")) == ("one", "two")


def test_clusters_are_added_replaced_and_removed_and_connections_keep_theirs(new: Callable[..., Reloaded]) -> None:
    first, second = Upstream(), Upstream()
    proxy = listener(network_filter("tcp_proxy", stat_prefix="t", cluster="c"))
    world = new(proxy, clusters=[cluster(address(first.port)), cluster(name="unused")])
    old = world.client()
    found: List[Peer] = []

    def accepted(upstream: Upstream) -> bool:
        peer = upstream.try_accept()
        found.extend([peer] if peer is not None else [])
        return peer is not None
    world.until(lambda: accepted(first))
    assert world.reload(proxy, clusters=[cluster(address(second.port)), cluster(name="more")])
    assert [one.name for one in world.server.clusters.clusters()] == ["c", "more"]
    counted = ("cluster_added", "cluster_modified", "cluster_removed", "active_clusters")
    assert [world.value(f"cluster_manager.{name}") for name in counted] == [3, 1, 1, 2]
    assert world.server.stats.find("cluster.unused.membership_total") is None
    world.client()
    world.until(lambda: accepted(second))
    old.send(b"to the first")
    world.until(lambda: found[0].pump() or bytes(found[0].got) == b"to the first")
    for peer in [*found, first, second]:
        peer.close()


def test_a_configuration_that_does_not_load_changes_nothing_and_says_why(new: Callable[..., Reloaded]) -> None:
    world = new()

    def broken() -> Loaded:
        raise ConfigError([Problem("admin", "of the test"), Problem("node", "too")])
    world.reloader = Reloader(world.server, broken)
    assert not world.reloader.reload()
    assert world.value("proxy_core.config_reload_failure") == 1
    assert world.value("proxy_core.config_reload_error") == "admin: of the test; node: too"
    world.echoes(world.client())
    world.reloader = Reloader(world.server, world.load)
    assert world.reloader.reload()
    assert world.value("proxy_core.config_reload_error") == ""


@pytest.mark.parametrize("fields, path", [
    ({"node": {"id": "other"}}, "node"),
    ({"admin": {"address": address(1)}}, "admin"),
    ({"layered_runtime": {"layers": [{"name": "x", "static_layer": {"a": 1}}]}}, "layered_runtime"),
    ({"stats_flush_interval": "1s"}, "stats_flush_interval"),
])
def test_what_only_a_start_can_set_is_refused_by_name(new: Callable[..., Reloaded], fields: Json, path: str) -> None:
    world = new()
    assert not world.reload(listener(says("new")), **fields)
    assert world.value("proxy_core.config_reload_error").startswith(f"{path}: `{path}` can't change while the proxy runs")
    world.echoes(world.client())


def test_one_listener_that_can_not_be_built_or_bound_stops_the_whole_reload(new: Callable[..., Reloaded]) -> None:
    world = new(listener(ECHO), listener(ECHO, name="b"))
    listening = world.server.reactor.watched
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        busy = taken.getsockname()[1]
        assert not world.reload(
            listener(says("new")), listener(ECHO, name="b", stat_prefix="s"), listener(ECHO, name="free"),
            {**listener(ECHO, name="busy"), "address": address(busy)}, clusters=[cluster()],
        )
        expected = f"cannot bind '127.0.0.1:{busy}': Address already in use"
        assert world.value("proxy_core.config_reload_error") == expected
    wrong = network_filter("tcp_proxy", stat_prefix="t", cluster="c", access_log=[
        {"name": "l", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/nowhere/log",
        }},
    ])
    assert not world.reload(listener(says("new")), listener(wrong, name="b"))
    assert "/nowhere/log" in world.value("proxy_core.config_reload_error")
    assert world.server.reactor.watched == listening
    assert (list(world.server.listeners.lists.active), world.server.clusters.clusters()) == (["main", "b"], [])
    for name in ("main", "b"):
        world.echoes(world.client(name))
    assert world.reload(listener(says("new")), listener(ECHO, name="b", stat_prefix="s"))
    assert world.answer() == "new"
