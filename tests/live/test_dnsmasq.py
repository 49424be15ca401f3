"""DNS clusters with a real name server: names that come, change, vanish and fail while clients connect."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.config.load import decode_bootstrap
from proxy_core.network.close import NO_FLUSH
from proxy_core.server.extensions import Extensions
from proxy_core.server.options import Options
from proxy_core.server.server import Server
from tests.support.dns_client import NameServer
from tests.support.live import free_port, require, until
from tests.support.running import bootstrap, tcp_listener

pytestmark = pytest.mark.live


class Dnsmasq:
    """A dnsmasq that knows the names of a hosts file, and nobody else."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._hosts = directory / "hosts"
        self._hosts.write_text("")
        self._program = require("dnsmasq", "/usr/sbin", "/sbin")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([
            self._program, "--keep-in-foreground", f"--port={self.port}", "--listen-address=127.0.0.1",
            "--bind-interfaces", "--no-resolv", "--no-hosts", f"--addn-hosts={self._hosts}", "--local=/test/",
            "--conf-file=/dev/null", "--pid-file=", "--user=root", "--local-ttl=0",
        ], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self._answers(), "dnsmasq answers")

    def _answers(self) -> bool:
        try:
            NameServer(self.port, 0.2)("missing.test", socket.AF_INET)
        except socket.gaierror as error:
            return error.errno == socket.EAI_NONAME
        return False

    def say(self, *lines: str) -> None:
        """The hosts file, from now on."""
        self._hosts.write_text("".join(f"{line}\n" for line in lines))
        self.process.send_signal(1)  # SIGHUP: read it again

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Greeter:
    """Listens on one port of several loopback addresses; each says its address and goes."""

    def __init__(self, *addresses: str) -> None:
        self.port = free_port()
        self._sockets: List[socket.socket] = []
        for address in addresses:
            sock = socket.create_server((address, self.port), backlog=64)
            self._sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock, address), daemon=True).start()

    def _serve(self, sock: socket.socket, address: str) -> None:
        while True:
            try:
                peer, _ = sock.accept()
            except OSError:
                return
            with peer:
                peer.sendall(address.encode())

    def close(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class Proxy:
    """A server of this process, its loop in a thread."""

    def __init__(self, config: Dict[str, Any], look_up: NameServer) -> None:
        extensions = Extensions()
        loaded = decode_bootstrap(config, extensions.types(), False, extensions.is_terminal)
        self.server = Server(loaded, Options(), extensions, look_up=look_up)
        self.server.start()
        self._thread = threading.Thread(target=self.server.reactor.run)
        self._thread.start()

    def ask(self, listener: str) -> str:
        """What the upstream says; "" when there is none."""
        found = next(one for one in self.server.listeners.listeners if one.name == listener)
        with socket.create_connection(("127.0.0.1", found.local_addresses()[0].port), 10) as sock:
            return sock.recv(100).decode()

    def stat(self, name: str) -> int:
        found: Any = self.server.stats.find(name)
        return int(found.value)

    def close(self) -> None:
        def end() -> None:
            self.server.stop_listening()
            for connection in self.server.table.live():
                connection.close(NO_FLUSH, "test over")
            self.server.quit()
        self.server.wakeup.post(end)
        self._thread.join()
        self.server.close()


@pytest.fixture
def dnsmasq(tmp_path: Path) -> Iterator[Dnsmasq]:
    found = Dnsmasq(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    found = Greeter("127.0.0.1", "127.0.0.2", "127.0.0.3")
    yield found
    found.close()


@pytest.fixture
def proxy(dnsmasq: Dnsmasq, greeter: Greeter) -> Iterator[Proxy]:
    def cluster(kind: str) -> Dict[str, Any]:
        address = {"socket_address": {"address": "hosts.test", "port_value": greeter.port}}
        return {
            "name": kind.lower(), "type": kind, "dns_lookup_family": "V4_ONLY", "dns_refresh_rate": "0.1s",
            "dns_failure_refresh_rate": {"base_interval": "0.05s", "max_interval": "0.2s"},
            "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
        }
    dnsmasq.say("127.0.0.1 hosts.test")
    until(lambda: looked_up(dnsmasq) == ["127.0.0.1"], "dnsmasq knows the name")
    names = ["strict_dns", "logical_dns"]
    config = bootstrap([tcp_listener(name, name) for name in names])
    config["static_resources"]["clusters"] = [cluster(name.upper()) for name in names]
    found = Proxy(config, NameServer(dnsmasq.port, 0.3))
    until(lambda: found.server.running, "the clusters have their first hosts")
    yield found
    found.close()


def looked_up(dnsmasq: Dnsmasq) -> List[str]:
    try:
        return sorted(NameServer(dnsmasq.port)("hosts.test", socket.AF_INET))
    except socket.gaierror:
        return []


def test_hosts_follow_the_name_and_survive_a_name_server_that_dies(dnsmasq: Dnsmasq, proxy: Proxy) -> None:
    assert {proxy.ask("strict_dns"), proxy.ask("logical_dns")} == {"127.0.0.1"}

    dnsmasq.say("127.0.0.2 hosts.test", "127.0.0.3 hosts.test")
    until(lambda: {proxy.ask("strict_dns") for _ in range(4)} == {"127.0.0.2", "127.0.0.3"}, "both are used")
    until(lambda: proxy.ask("logical_dns") in ("127.0.0.2", "127.0.0.3"), "one of them is used")
    assert proxy.stat("cluster.strict_dns.membership_total") == 2
    assert proxy.stat("cluster.logical_dns.membership_total") == 1

    dnsmasq.stop()
    until(lambda: proxy.stat("cluster.strict_dns.update_failure") > 2, "look-ups fail")
    assert proxy.ask("strict_dns") and proxy.ask("logical_dns")

    dnsmasq.start()
    dnsmasq.say()
    until(lambda: proxy.ask("strict_dns") == "", "a name that is gone has no hosts")
    assert proxy.ask("logical_dns") in ("127.0.0.2", "127.0.0.3")  # keeps its last address

    dnsmasq.say("127.0.0.1 hosts.test")
    until(lambda: proxy.ask("strict_dns") == proxy.ask("logical_dns") == "127.0.0.1", "the name is back")


def test_a_name_that_flaps_while_clients_connect_costs_no_connection_of_the_logical_cluster(
    dnsmasq: Dnsmasq, proxy: Proxy
) -> None:
    for turn in range(12):
        dnsmasq.say(*([] if turn % 2 else [f"127.0.0.{turn // 2 % 3 + 1} hosts.test"]))
        before = proxy.stat("cluster.logical_dns.update_attempt")
        answers = [proxy.ask("logical_dns") for _ in range(10)]
        assert "" not in answers
        until(lambda: proxy.stat("cluster.logical_dns.update_attempt") > before + 1, "asked again")
    assert proxy.server.reactor.failures == 0
    assert proxy.server.resolving.threads <= 2
