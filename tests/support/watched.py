"""One cluster whose hosts are watched, under simulated time; the hosts are sockets of the test."""

from __future__ import annotations

import json
import random
from typing import Any, Callable, Dict, List, Mapping, Optional

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.model.health_check import HEALTH_CHECK_TYPES
from proxy_core.config.registry import TypeRegistry
from proxy_core.event.reactor import Reactor
from proxy_core.network.settings import ConnectionSettings
from proxy_core.network.table import ConnectionTable
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.host import Host
from proxy_core.upstream.manager import ClusterManager
from proxy_core.upstream.monitoring import Monitors
from tests.support.engine import Json, KeptLines, address, cluster
from tests.support.peers import Peer, Server

MOST_TURNS = 400
WALL = 1_700_000_000.0  # what the wall clock shows when the simulated one shows 0
REDIS = {
    "name": "redis",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis"},
}


def check(**fields: Any) -> Json:
    """A health check with every interval 1 s, timeout 0.5 s, thresholds 1 (healthy) and 2 (unhealthy)."""
    return {
        "timeout": "0.5s", "interval": "1s", "no_traffic_interval": "1s", "healthy_threshold": 1, "unhealthy_threshold": 2,
        "event_log_path": "/events", **fields,
    }


class Backend:
    """A host: it accepts whom comes, and `answer` decides what is sent for what was received (None = nothing yet)."""

    def __init__(self, answer: Optional[Callable[[bytes], Optional[bytes]]] = None, port: int = 0) -> None:
        self.server: Optional[Server] = Server(address=("127.0.0.1", port))
        self.port = self.server.port
        self.answer = answer
        self.peers: List[Peer] = []

    def pump(self) -> None:
        """Accept, read, answer."""
        peer = self.server.try_accept() if self.server is not None else None
        while peer is not None:
            self.peers.append(peer)
            peer = self.server.try_accept() if self.server is not None else None
        for peer in self.peers:
            peer.pump()
            reply = self.answer(bytes(peer.got)) if self.answer is not None and peer.got and not peer.over else None
            if reply is not None:
                peer.got.clear()
                peer.send(reply)

    @property
    def open_peers(self) -> List[Peer]:
        """Those that have not ended."""
        return [peer for peer in self.peers if not peer.over]

    def down(self) -> None:
        """Refuse, and drop who is there."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for peer in self.peers:
            peer.close()
        self.peers = []

    def up(self) -> None:
        """Listen again where it was."""
        self.server = Server(address=("127.0.0.1", self.port))


class Watched:
    """See the module docstring. backends: hosts that the test plays; fields: of the cluster."""

    def __init__(
        self, *backends: Backend, seed: int = 1, runtime: Optional[Mapping[str, int]] = None, start: bool = True,
        ports: Any = (), outlier_log: bool = True, edit: Optional[Callable[[Json], None]] = None, **fields: Any,
    ) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.stats = StatsStore(self.clock)
        self.table = ConnectionTable()
        self.sinks: Any = KeptLines()
        keys = dict(runtime or {})
        self.monitors = Monitors(
            self.reactor, self.table, self.sinks, random.Random(seed), lambda: WALL + self.clock.now, keys.get
        )
        if outlier_log:
            self.monitors._outlier_sink = self.sinks
        self.manager = ClusterManager(self.stats, ConnectionSettings(), random.Random(seed), monitors=self.monitors)
        self.backends = list(backends)
        every = [backend.port for backend in backends] + list(ports)
        config = cluster(*[address(port) for port in every], **fields)
        if edit is not None:
            edit(config)
        message = decode(ClusterConfig, config, TypeRegistry(list(HEALTH_CHECK_TYPES)))
        self.cluster: Cluster = self.manager.add(message, "clusters[0]")
        self.ready: List[float] = []
        if start:
            self.manager.start(lambda: self.ready.append(self.clock.now))

    @property
    def hosts(self) -> List[Host]:
        """The members."""
        return self.cluster.hosts

    @property
    def flags(self) -> List[str]:
        """What /clusters says of each host."""
        return [host.health_flags() for host in self.hosts]

    @property
    def events(self) -> List[Dict[str, Any]]:
        """The events that were logged."""
        return [json.loads(line) for line in self.sinks.lines]

    def names(self) -> List[str]:
        """The names of the health check events."""
        return [key for event in self.events for key in event if key.endswith(("_event", "_host"))]

    def value(self, name: str) -> int:
        """A stat of the cluster."""
        stat: Any = self.stats.find(f"cluster.c.{name}")
        assert stat is not None, name
        return int(stat.value)

    def turn(self, count: int = 6) -> None:
        """Turn without letting time pass."""
        for _ in range(count):
            self.reactor.turn(0)
            for backend in self.backends:
                backend.pump()

    def until(self, true: Callable[[], Any]) -> None:
        """Turn until something holds."""
        for _ in range(MOST_TURNS):
            if true():
                return
            for backend in self.backends:
                backend.pump()
            self.reactor.turn(0.002)
        raise AssertionError(f"not so after {MOST_TURNS} turns")

    def advance(self, seconds: float) -> None:
        """Let time pass, and everybody act on it."""
        self.clock.advance(seconds)
        self.turn()

    def attempts(self, count: int) -> None:
        """Turn until so many probes were answered."""
        self.until(lambda: self.value("health_check.success") + self.value("health_check.failure") >= count)

    def close(self) -> None:
        """Give everything back; nothing of the cluster may be left in the loop."""
        self.manager.close()
        self.reactor.turn(0)
        for backend in self.backends:
            backend.down()
        left = len(self.reactor.timers), self.reactor.watched
        self.reactor.close()
        assert left == (0, 0), f"timers and descriptors left behind: {left}"
        assert self.errors == []
