"""EDS and CDS files that are replaced a hundred times in every way, good and bad, while clients connect without a pause."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from tests.support.live import Engine, until
from tests.support.live_peers import TIMEOUT, Upstream
from tests.support.running import tcp_listener

pytestmark = pytest.mark.live

TYPE = "type.googleapis.com/envoy.config."
NODE = {"id": "n", "cluster": "c"}
REPLACEMENTS = 100
PAUSE = threading.Event()  # nothing sets it: waiting for it is a pause


def greeting(name: str) -> Callable[[socket.socket], None]:
    """A server that says who it is, then echoes."""
    def serve(peer: socket.socket) -> None:
        peer.sendall(name.encode())
        while True:
            data = peer.recv(65536)
            if not data:
                return
            peer.sendall(data)
    return serve


def endpoints(*ports: int) -> Dict[str, Any]:
    members = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports
    ]
    return {"cluster_name": "c", "endpoints": [{"lb_endpoints": members}]}


def eds(version: str, *ports: int) -> str:
    resource = {"@type": f"{TYPE}endpoint.v3.ClusterLoadAssignment", **endpoints(*ports)}
    return json.dumps({"version_info": version, "resources": [resource]})


def cds(version: str, *ports: int) -> str:
    resource = {
        "@type": f"{TYPE}cluster.v3.Cluster", "name": "from_cds", "type": "STATIC", "load_assignment": endpoints(*ports),
        "connect_timeout": f"{2 + len(version)}.5s",
    }
    return json.dumps({"version_info": version, "resources": [resource]})


class Clients:
    """Threads that connect, say hello and expect it back, one connection after the other."""

    def __init__(self, *ports: int) -> None:
        self.done = 0
        self.failures: List[str] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for port in ports]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int) -> None:
        while not self._stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
                    sock.sendall(b"hello")
                    answer = b""
                    while not answer.endswith(b"hello"):
                        data = sock.recv(100)
                        if not data:
                            raise OSError(f"ended after {answer!r}")
                        answer += data
                self.done += 1
            except OSError as error:
                self.failures.append(f"{port}: {error!r}")

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT)


def replace(path: Path, good: str, how: str, number: int, rng: random.Random) -> None:
    """Put something at `path`."""
    fresh = path.with_suffix(".fresh")
    if how == "in place, in two halves":
        with open(path, "w") as file:
            file.write(good[:len(good) // 2])
            file.flush()
            PAUSE.wait(0.02)
            file.write(good[len(good) // 2:])
        return
    if how == "a link to another file":
        target = path.with_name(f"{path.name}.{number}")
        target.write_text(good)
        os.symlink(target, fresh)
    else:
        text = {"moved": good, "cut off": good[:rng.randrange(len(good))], "invalid": good.replace("127.0", "nowhere")}
        fresh.write_text(text[how])
    os.replace(fresh, path)


WAYS = ("moved", "cut off", "a link to another file", "in place, in two halves", "invalid")


def test_files_replaced_in_every_way_cost_no_connection(engine: Callable[..., Engine], tmp_path: Path) -> None:
    paths = [tmp_path / "eds.json", tmp_path / "cds.json"]
    writers = [eds, cds]
    rng = random.Random(11)
    with Upstream(greeting("one")) as one, Upstream(greeting("two")) as two, Upstream(greeting("three")) as three:
        servers = [one.port, two.port, three.port]
        for path, write in zip(paths, writers):
            path.write_text(write("0", one.port))
        source = {"eds_config": {"path_config_source": {"path": str(paths[0])}}}
        proxy = engine({
            "node": NODE,
            "static_resources": {
                "listeners": [tcp_listener("eds", "c"), tcp_listener("cds", "from_cds")],
                "clusters": [{"name": "c", "type": "EDS", "eds_cluster_config": source}],
            },
            "dynamic_resources": {"cds_config": {"path_config_source": {"path": str(paths[1])}}},
        })
        ports = [proxy.port("eds"), proxy.port("cds")]
        old = [socket.create_connection(("127.0.0.1", port), TIMEOUT) for port in ports]
        assert [sock.recv(100) for sock in old] == [b"one", b"one"]
        clients = Clients(*ports, *ports)
        for number in range(REPLACEMENTS):
            chosen = rng.sample(servers, rng.randrange(1, 4))
            for path, write in zip(paths, writers):
                replace(path, write(str(number), *chosen), rng.choice(WAYS), number, rng)
            PAUSE.wait(0.03)
        for path, write in zip(paths, writers):
            replace(path, write("last", three.port), "moved", REPLACEMENTS, rng)
        for prefix in ("cluster.c", "cluster_manager.cds"):
            until(lambda: f'{prefix}.version_text: "last"' in proxy.admin("/stats"), f"{prefix} has the last version")
        clients.stop()
        assert clients.failures == [] and clients.done > 100
        for sock in old:  # they keep the server that is no host any more
            with sock:
                sock.sendall(b"still there?")
                assert sock.recv(100) == b"still there?"
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
                assert sock.recv(100) == b"three"
        assert "proxy_core.handler_exceptions: 0" in proxy.admin("/stats")
