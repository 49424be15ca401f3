"""A filter that forgets to continue, under a real load: found, named and shown within two seconds, and in the log once."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.support.live import Engine, require, static_cluster, tcp_listener, until
from tests.support.live import bootstrap as bootstrap_of

pytestmark = pytest.mark.live

NAME = "python:forgetful.Forgetful"
FORGETFUL = '''
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, NetworkFilter

class Forgetful(NetworkFilter):
    """Lets a thousand pieces through, of all its connections, and stops one for good."""
    seen = 0

    def __init__(self, config):
        pass

    def on_data(self, data, end_stream):
        Forgetful.seen += 1
        return STOP_ITERATION if Forgetful.seen == 1000 else CONTINUE
'''


@pytest.fixture
def forgetful(engine: Callable[..., Engine], redis: Any, tmp_path: Path) -> Engine:
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    main = tcp_listener("main", "backend")
    main["filter_chains"][0]["filters"].insert(0, {"name": "forgetful", "typed_config": {"@type": NAME}})
    return engine(bootstrap_of([main], [static_cluster("backend", redis.port)]), "--filter-path", str(tmp_path))


@pytest.fixture
def load(forgetful: Engine) -> Iterator["subprocess.Popen[bytes]"]:
    """Ten clients that ask for more than they will get: one of them waits for ever."""
    command = [require("redis-benchmark"), "-h", "127.0.0.1", "-p", str(forgetful.port())]
    command += ["-c", "10", "-n", "5000", "-t", "set", "-q"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def rows(engine: Engine, state: str) -> List[Dict[str, Any]]:
    """The connections in a state."""
    found: List[Dict[str, Any]] = json.loads(engine.admin(f"/connections?format=json&state={state}"))["connections"]
    return found


def why(engine: Engine) -> Dict[str, Any]:
    """The stall that /why tells of, {} if it tells of none."""
    found = json.loads(engine.admin("/why?format=json"))["findings"]
    return next((one for one in found if one["kind"] == "stall"), {})


def picture(engine: Engine) -> Dict[str, Any]:
    """The first picture of the live page."""
    admin = http.client.HTTPConnection(engine._address_file.read_text().strip(), timeout=10)
    try:
        admin.request("GET", "/ui/events")
        reply = admin.getresponse()
        while True:
            line = reply.readline()
            assert line, "the stream ended"
            if line.startswith(b"data: "):
                found: Dict[str, Any] = json.loads(line[len(b"data: "):])
                return found
    finally:
        admin.close()


def test_a_filter_that_forgets_to_continue_under_redis_benchmark_is_named_within_two_seconds_shown_and_logged_once(
    forgetful: Engine, load: "subprocess.Popen[bytes]"
) -> None:
    parked = until(lambda: rows(forgetful, "parked"), "the chain stops", 30)
    began = time.monotonic() - parked[0]["parked_s"]
    one = until(lambda: why(forgetful), "/why names it")
    assert time.monotonic() - began < 2.0
    assert (one["filter"], one["connection"], one["listener"]) == (NAME, parked[0]["id"], "main")

    row = next(row for row in picture(forgetful)["connections"] if row["id"] == parked[0]["id"])
    assert (row["state"], row["parked_by"], row["filters"][0]) == ("stalled", NAME, NAME)
    assert picture(forgetful)["chains"][0]["parked"] == {NAME: 1}

    assert load.poll() is None, "its tenth client waits"
    load.kill()
    until(lambda: forgetful.stat("tcp.main.downstream_cx_active") == 0, "the connections end")
    logged = [line for line in forgetful.stderr().splitlines() if "stalled" in line]
    assert len(logged) == 1 and f"[C{parked[0]['id']}]" in logged[0] and f"'{NAME}'" in logged[0]
