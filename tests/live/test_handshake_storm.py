"""Handshakes by the thousand with a tenth broken, and clients that dribble: nothing is lost, nothing stays behind.

The engine ends TLS behind a tls_inspector and echoes. Every connection must be found again in exactly the counters that
are meant for it, every good client must have its echo, and afterwards the process is as it was before.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import socket
import subprocess
import sys
from typing import Any, Callable, Counter, Dict, List

import pytest

from tests.support.handshake_storm import MUTUAL, OPEN
from tests.support.live import ROOT, Engine, address, bootstrap, until
from tests.support.live_peers import receive_exactly
from tests.support.tls_end import TlsEnd, client_context, data_source, transport_socket

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files through /proc"),
]

OTHER_ENGINE = "PROXY_CORE_TEST_ENGINE" in os.environ
Start = Callable[..., Engine]
TYPES = "type.googleapis.com/envoy.extensions.filters."
CA = {"trusted_ca": data_source("ca.crt")}
PROCESSES = 3
HANDSHAKES = 3000
TIMEOUT = "2s"  # of the listener phase, and again of a handshake
MEMORY_LIMIT_KIB = 1024  # 0.4 KiB for ever from each good connection would break it
DRIBBLERS = 200


def terminating(inspected: bool = True) -> Dict[str, Any]:
    """An echo behind TLS: for MUTUAL with a client certificate, for every other name without."""
    echo = {"name": "envoy.filters.network.echo", "typed_config": {"@type": f"{TYPES}network.echo.v3.Echo"}}
    common = {"filters": [echo], "transport_socket_connect_timeout": TIMEOUT}
    mutual = {**common, "transport_socket": transport_socket(validation=CA, require_client_certificate=True)}
    chains = [{**common, "name": OPEN, "transport_socket": transport_socket()}]
    listener: Dict[str, Any] = {"name": "main", "stat_prefix": "main", "address": address(0), "filter_chains": chains}
    if inspected:
        chains.append({**mutual, "name": MUTUAL, "filter_chain_match": {"server_names": [MUTUAL]}})
        inspector = {"@type": f"{TYPES}listener.tls_inspector.v3.TlsInspector"}
        listener["listener_filters"] = [{"name": "tls_inspector", "typed_config": inspector}]
        listener["listener_filters_timeout"] = TIMEOUT
    return bootstrap([listener], [])


def served(proxy: Engine) -> None:
    """One good client."""
    with client_context().wrap_socket(proxy.connect(), server_hostname=OPEN) as client:
        client.sendall(b"still there?")
        assert receive_exactly(client, 12) == b"still there?"


def stats(proxy: Engine) -> Counter[str]:
    """The listener's counters and gauges, by their names below `listener.main.`; and those of the inspector."""
    found: Counter[str] = collections.Counter()
    for line in proxy.admin("/stats").splitlines():
        name, _, value = line.partition(": ")
        if name.startswith(("listener.main.", "tls_inspector.")) and value.isdigit():
            found[name.replace("listener.main.", "")] = int(value)
    return found


def all_gone(proxy: Engine) -> None:
    """Wait until nothing is left of any connection."""
    for gauge in ("downstream_cx_active", "downstream_pre_cx_active"):
        until(lambda: proxy.stat(f"listener.main.{gauge}") == 0, f"{gauge} is back to 0", 30.0)
    if not OTHER_ENGINE:
        connections = json.loads(proxy.admin("/connections?format=json"))["connections"]
        assert [one for one in connections if one.get("listener") == "main"] == []


# -- a storm -----------------------------------------------------------------------------------------------------------

def storm(proxy: Engine) -> Dict[str, int]:
    """HANDSHAKES from several processes at once; how many there were of each kind."""
    command = [sys.executable, "-m", "tests.support.handshake_storm", str(proxy.port()), str(HANDSHAKES // PROCESSES)]
    pipes: Dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    clients = [subprocess.Popen([*command, str(seed)], cwd=ROOT, **pipes) for seed in range(PROCESSES)]
    try:
        said = [client.communicate(timeout=120) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.wait()
    results = [json.loads(output) if output else pytest.fail(errors.decode()) for output, errors in said]
    print(f"{HANDSHAKES / max(result['seconds'] for result in results):.0f} connections/s")
    assert [failure for result in results for failure in result["failures"]] == []
    tally: Counter[str] = collections.Counter()
    for result in results:
        tally.update(result["tally"])
    return tally


def expected(tally: Dict[str, int]) -> Dict[str, int]:
    """Where each kind of client must be found again."""
    before_chain = tally["truncated"] + tally["stalled_hello"]
    connections = sum(tally.values()) - before_chain
    no_tls = tally["plaintext"] + tally["garbage"]
    return {
        "downstream_cx_total": connections,
        "downstream_cx_destroy": connections,
        "downstream_listener_filter_remote_close": tally["truncated"],
        "downstream_pre_cx_timeout": tally["stalled_hello"],
        "downstream_cx_transport_socket_connect_timeout": tally["stalled_handshake"],
        "ssl.handshake": tally["good"],
        "ssl.connection_error": no_tls,
        "ssl.fail_verify_no_cert": tally["nameless"],
        "ssl.fail_verify_error": 0,
        "no_filter_chain_match": 0,
        "downstream_cx_overflow": 0,
        "tls_inspector.tls_found": connections - no_tls,
        "tls_inspector.tls_not_found": no_tls,
    }


def test_thousands_of_handshakes_with_a_tenth_broken_are_all_accounted_for_and_leave_nothing_behind(engine: Start) -> None:
    proxy = engine(terminating())
    served(proxy)  # what the engine makes once is made now
    all_gone(proxy)
    files = proxy.settled_descriptors()
    memory: List[int] = []
    for _ in range(2):
        before = stats(proxy)
        tally = storm(proxy)
        all_gone(proxy)
        after, wanted = stats(proxy), expected(tally)
        assert sum(tally.values()) == HANDSHAKES and tally["good"] == HANDSHAKES * 9 // 10
        assert {name: after[name] - before[name] for name in wanted} == wanted
        until(lambda: proxy.descriptors() <= files, f"no more than {files} files are open")
        memory.append(proxy.resident_kib())
    print(f"resident after each round: {memory} KiB")
    assert memory[1] - memory[0] < MEMORY_LIMIT_KIB
    served(proxy)


# -- slowloris ---------------------------------------------------------------------------------------------------------

class Dribbler:
    """A client that sends what it has to say byte by byte, with all the time in the world."""

    def __init__(self, sock: socket.socket, says: bytes) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self._says = iter(says[:-1])  # never all of it

    def dribble(self) -> bool:
        """One byte more; False when the engine has ended the connection."""
        try:
            for byte in itertools.islice(self._says, 1):
                self._sock.send(bytes((byte,)))
            if self._sock.recv(65536):
                return True  # an alert: the end comes next
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        self._sock.close()
        return False


# 12 KB of names of applications that the server does not know: it lasts longer than the timeout.
LONG = client_context(alpn=[f"{number:0200}" for number in range(60)])


def in_the_hello(proxy: Engine) -> Dribbler:
    """Begins with the first byte."""
    return Dribbler(proxy.connect(), TlsEnd(LONG, name=OPEN).take())


def in_the_second_flight(proxy: Engine) -> Dribbler:
    """A proper ClientHello, then the rest of the handshake, with a certificate that makes it long."""
    sock = proxy.connect()
    tls = TlsEnd(client_context("TLSv1.3", certificate="client"), name=MUTUAL)
    sock.sendall(tls.take())
    while not tls.shaken:
        tls.feed(sock.recv(65536))
    return Dribbler(sock, tls.take())


@pytest.mark.parametrize("inspected, dribbler, gauge, counter", [
    (True, in_the_hello, "downstream_pre_cx_active", "downstream_pre_cx_timeout"),
    (False, in_the_hello, "downstream_cx_active", "downstream_cx_transport_socket_connect_timeout"),
    (True, in_the_second_flight, "downstream_cx_active", "downstream_cx_transport_socket_connect_timeout"),
])
def test_two_hundred_clients_that_dribble_keep_nobody_out_and_are_gone_after_the_timeout(
    engine: Start, inspected: bool, dribbler: Callable[[Engine], Dribbler], gauge: str, counter: str
) -> None:
    proxy = engine(terminating(inspected))
    served(proxy)
    all_gone(proxy)
    files = proxy.settled_descriptors()
    crowd = [dribbler(proxy) for _ in range(DRIBBLERS)]
    until(lambda: proxy.stat(f"listener.main.{gauge}") == DRIBBLERS, "all are there")
    welcome = 0
    while len(crowd) == DRIBBLERS:
        served(proxy)
        welcome += 1
        crowd = [one for one in crowd if one.dribble()]
    while crowd:
        crowd = [one for one in crowd if one.dribble()]
    all_gone(proxy)
    assert proxy.stat(f"listener.main.{counter}") == DRIBBLERS
    assert proxy.stat("listener.main.downstream_cx_total") == welcome + 1 + (DRIBBLERS if gauge == "downstream_cx_active" else 0)
    until(lambda: proxy.descriptors() <= files, f"no more than {files} files are open")
    served(proxy)
