"""Clusters that find their hosts, under simulated time: names are answered when the test says so."""

from __future__ import annotations

import random
import socket
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.model.discovery import EdsClusterConfig
from proxy_core.event.background import Background, Done, Task
from proxy_core.event.reactor import Reactor
from proxy_core.network.settings import ConnectionSettings
from proxy_core.observe.stats import Scope, StatsStore
from proxy_core.server.extensions import Extensions
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.discovery.eds import Receive
from proxy_core.upstream.discovery.factory import Discoveries
from proxy_core.upstream.manager import ClusterManager
from proxy_core.upstream.resolver import Resolver

Json = Dict[str, Any]
NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
UNREACHABLE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class Names:
    """A name server: what it says about a name is addresses, or an error. Keeps the questions."""

    def __init__(self) -> None:
        self.known: Dict[str, Union[Sequence[str], Exception]] = {}
        self.asked: List[Tuple[str, int]] = []

    def __call__(self, name: str, family: int) -> Sequence[str]:
        self.asked.append((name, family))
        answer = self.known.get(name, NO_SUCH_NAME)
        if isinstance(answer, Exception):
            raise answer
        found = [ip for ip in answer if (":" in ip) == (family == socket.AF_INET6)]
        if not found:
            raise NO_SUCH_NAME
        return found


class Held(Background):
    """A background whose work is done when the test says so, in the same thread."""

    def __init__(self) -> None:
        super().__init__(lambda callback: callback())
        self.tasks: List[Task] = []

    def run(self, work: Callable[[], Any], done: Done) -> Task:
        task = Task(work, done)
        self.tasks.append(task)
        return task

    def finish(self) -> int:
        """Do all that waits; how much that was."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            result: Any = None
            failure: Optional[Exception] = None
            try:
                result = task.work()
            except Exception as error:
                failure = error
            if task.done is not None:
                task.done(result, failure)
        return len(tasks)


class Delivery:
    """A subscription to assignments that the test makes up. first: delivered at the start."""

    def __init__(self, name: str, receive: Receive) -> None:
        self.name = name
        self.receive = receive
        self.first: Any = None
        self.started = self.closed = False

    def start(self) -> None:
        self.started = True
        if self.first is not None:
            self.receive(self.first)

    def close(self) -> None:
        self.closed = True


class Found:
    """A cluster manager with all kinds of discovery."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.store = StatsStore(self.clock)
        self.names = Names()
        self.background = Held()
        self.deliveries: List[Delivery] = []
        self.resolver = Resolver(self.background, self.names)
        discoveries = Discoveries(self.reactor, self.resolver, random.Random(seed), self._subscribe)
        self.manager = ClusterManager(self.store, ConnectionSettings(), random.Random(seed), discoveries=discoveries)
        self.types = Extensions().types()

    def _subscribe(
        self, config: EdsClusterConfig, name: str, scope: Scope, receive: Receive, path: str
    ) -> Delivery:
        delivery = Delivery(name, receive)
        self.deliveries.append(delivery)
        return delivery

    def config(self, tree: Json) -> ClusterConfig:
        """A decoded cluster."""
        return decode(ClusterConfig, tree, self.types)

    def add(self, tree: Json) -> Cluster:
        """A cluster of the bootstrap, which is started."""
        cluster = self.manager.add(self.config(tree))
        self.manager.start(lambda: None)
        return cluster

    def advance(self, seconds: float) -> None:
        """Let time pass, then answer the questions that were asked."""
        self.clock.advance(seconds)
        self.reactor.turn(0)
        self.background.finish()

    def value(self, name: str) -> int:
        """A counter or gauge by its full name."""
        stat: Any = self.store.find(name)
        assert stat is not None, f"there is no stat {name}"
        return int(stat.value)


def endpoint(host: str, port: int = 80, **fields: Any) -> Json:
    """An entry of an assignment."""
    hostname = {"hostname": fields.pop("hostname")} if "hostname" in fields else {}
    return {
        "endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}, **hostname}, **fields,
    }


def assignment(name: str, *entries: Json, **fields: Any) -> Json:
    """An assignment with one group of entries; none without entries."""
    groups = [{"lb_endpoints": list(entries)}] if entries else []
    return {"cluster_name": name, "endpoints": groups, **fields}


def named(kind: str, *entries: Json, name: str = "c", **fields: Any) -> Json:
    """A cluster of a type with an assignment."""
    return {"name": name, "type": kind, "load_assignment": assignment(name, *entries), **fields}


def addresses(cluster: Cluster) -> List[str]:
    """Its hosts as text."""
    return [host.address.text for host in cluster.hosts]
