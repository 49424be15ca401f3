"""Redis served through the engine, under pipelining: many small messages in one segment, answers in order."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Callable, Dict

import pytest

from tests.support.live import Engine, require, tcp_bootstrap, until

pytestmark = pytest.mark.live

REQUESTS = 40_000


def calls(port: int) -> Dict[str, int]:
    """How often Redis itself says that it ran each command."""
    done = subprocess.run(
        [require("redis-cli"), "-h", "127.0.0.1", "-p", str(port), "info", "commandstats"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    return {
        name: int(count) for name, count in re.findall(r"cmdstat_(\w+):calls=(\d+)", done.stdout.decode())
    }


def test_redis_benchmark_with_a_pipeline_of_16_runs_every_command_exactly_once(
    engine: Callable[..., Engine], redis: Any
) -> None:
    proxy = engine(tcp_bootstrap(redis.port))
    done = subprocess.run(
        [require("redis-benchmark"), "-h", "127.0.0.1", "-p", str(proxy.port()), "-P", "16", "-c", "50", "-q"]
        + ["-n", str(REQUESTS), "-d", "100", "-t", "set,get,lpush"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    report = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0 and report.count("requests per second") == 3, report
    ran = calls(redis.port)
    assert (ran["set"], ran["get"], ran["lpush"]) == (REQUESTS, REQUESTS, REQUESTS)
    until(lambda: proxy.stat("tcp.main.downstream_cx_active") == 0, "every connection is closed")
    assert proxy.stat("tcp.main.downstream_cx_total") >= 150
