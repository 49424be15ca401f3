#!/usr/bin/env python3
"""Count what is lost while a listener changes: connections are made without a pause, and LDS changes their
listener.

    python3 tools/update_storm.py                                  10000 connections, 50 updates
    python3 tools/update_storm.py --engine /path/to/envoy          the same with Envoy

Each connection sends a question to an echo filter and waits for the answer. The updates take turns: a filter
chain changes (in place), the stat prefix (a new listener on the same socket), the keepalive (a new socket),
the name (another listener that takes the address over). A few connections stay open all the time and ask
again and again.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0  # seconds
TYPE = "type.googleapis.com/envoy."
KINDS = ("chain", "prefix", "keepalive", "name")


def listener(port: int, turns: Dict[str, int]) -> Dict[str, Any]:
    """The listener after each kind of update had so many turns."""
    echo = {"name": "echo", "typed_config": {"@type": TYPE + "extensions.filters.network.echo.v3.Echo"}}
    return {
        "@type": TYPE + "config.listener.v3.Listener", "name": f"storm{turns['name']}", "stat_prefix": f"s{turns['prefix']}",
        "address": address(port), "tcp_keepalive": {"keepalive_time": 100 + turns["keepalive"]},
        "filter_chains": [{"name": f"c{turns['chain']}", "filters": [echo]}],
    }


def address(port: int) -> Dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def free_ports(count: int) -> List[int]:
    """Ports that nobody has at this moment."""
    found = [socket.socket() for _ in range(count)]
    for sock in found:
        sock.bind(("127.0.0.1", 0))
    ports = [int(sock.getsockname()[1]) for sock in found]
    for sock in found:
        sock.close()
    return ports


class Engine:
    """The proxy under test, in a process of its own."""

    def __init__(self, command: str, directory: Path) -> None:
        self.port, self.admin_port = free_ports(2)
        self._lds = directory / "lds.json"
        self._version = 0
        self.turns = dict.fromkeys(KINDS, 0)
        self.put()
        source = {"path_config_source": {"path": str(self._lds)}, "resource_api_version": "V3"}
        bootstrap = {
            "node": {"id": "storm", "cluster": "storm"}, "admin": {"address": address(self.admin_port)},
            "dynamic_resources": {"lds_config": source},
        }
        config = directory / "bootstrap.json"
        config.write_text(json.dumps(bootstrap), encoding="utf-8")
        program = [sys.executable, "-m", "proxy_core"] if command == "proxy_core" else [command]
        arguments = ["-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
        self.process = subprocess.Popen(program + arguments, cwd=ROOT)

    def put(self) -> None:
        """Move a new file in."""
        self._version += 1
        content = {"version_info": str(self._version), "resources": [listener(self.port, self.turns)]}
        fresh = self._lds.with_suffix(".new")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        os.replace(fresh, self._lds)

    def stat(self, name: str) -> int:
        """A counter, 0 as long as the admin does not answer."""
        url = f"http://127.0.0.1:{self.admin_port}/stats?filter=%5E{name}$"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
                return int(reply.read().decode().split(":")[1])
        except (OSError, IndexError):
            return 0

    def wait_for(self, name: str, value: int) -> None:
        """Until a counter has reached a value."""
        deadline = time.monotonic() + PATIENCE
        while self.stat(name) < value:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{name} did not reach {value}")
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


class Clients:
    """Threads that make connections; `outcomes` counts how they ended."""

    def __init__(self, port: int, connections: int, threads: int, seconds: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._pause = seconds * threads / connections
        self._left = connections
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        due = time.monotonic()
        while self._take():
            outcome = self._one()
            with self._lock:
                self.outcomes[outcome] += 1
            due += self._pause
            time.sleep(max(0.0, due - time.monotonic()))

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _one(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as sock:
                return ask(sock)
        except OSError as error:
            return type(error).__name__


def ask(sock: socket.socket) -> str:
    """One question; "ok" when the answer is right."""
    question = os.urandom(16)
    answer = b""
    try:
        sock.sendall(question)
        while len(answer) < len(question):
            data = sock.recv(64)
            if not data:
                return "closed"
            answer += data
    except OSError as error:
        return type(error).__name__
    return "ok" if answer == question else "wrong answer"


def storm(engine: Engine, connections: int, updates: int, threads: int, seconds: float, say: Callable[[str], None]) -> bool:
    """Run it; whether nothing was lost."""
    engine.wait_for("listener_manager.listener_create_success", 1)
    lasting = [socket.create_connection(("127.0.0.1", engine.port), PATIENCE) for _ in range(20)]
    lasting_outcomes: Counter[str] = Counter(ask(sock) for sock in lasting)
    clients = Clients(engine.port, connections, threads, seconds)
    clients.start()
    began = time.monotonic()
    for number in range(updates):
        engine.turns[KINDS[number % len(KINDS)]] += 1
        engine.put()
        engine.wait_for("listener_manager.lds.update_success", number + 2)
        lasting_outcomes.update(ask(sock) for sock in lasting)
        time.sleep(max(0.0, began + (number + 1) * seconds / updates - time.monotonic()))
    took = time.monotonic() - began
    clients.join()
    say(f"{updates} updates in {took:.1f} s; all connections after {time.monotonic() - began:.1f} s")
    say(f"connections: {dict(clients.outcomes)}")
    say(f"questions on {len(lasting)} lasting connections: {dict(lasting_outcomes)}")
    for name in ("listener_added", "listener_modified", "listener_in_place_updated", "listener_removed"):
        say(f"listener_manager.{name}: {engine.stat(f'listener_manager.{name}')}")
    for sock in lasting:
        sock.close()
    return set(clients.outcomes) == {"ok"} and set(lasting_outcomes) == {"ok"}


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description="Connections that are lost while their listener changes.")
    parser.add_argument("--engine", default="proxy_core", help="proxy_core, or the path of an Envoy binary")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=25.0, help="over which connections and updates are spread")
    values = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(values.engine, Path(directory))
        try:
            kept = storm(engine, values.connections, values.updates, values.threads, values.seconds, print)
        finally:
            engine.stop()
    print("nothing was lost" if kept else "SOMETHING WAS LOST")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
