"""PostgreSQL served through the engine: listener -> filter chain -> tcp_proxy -> cluster -> PostgreSQL."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.support.live import Engine, log_records, require, tcp_bootstrap, until

pytestmark = pytest.mark.live

CLIENTS = 8
TRANSACTIONS = 200


def pgbench(port: int, user: str, *arguments: str) -> str:
    """Runs pgbench against 127.0.0.1 and returns its report."""
    program = require("pgbench", "/usr/lib/postgresql/*/bin")
    command = [program, "-h", "127.0.0.1", "-p", str(port), "-U", user, *arguments, "postgres"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    report = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, report
    return report


def test_pgbench_has_no_failed_transaction_and_the_access_log_says_how_each_connection_ended(
    engine: Callable[..., Engine], postgres: Any, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    proxy = engine(tcp_bootstrap(postgres.port, log))
    pgbench(proxy.port(), postgres.user, "-i", "-q")
    report = pgbench(proxy.port(), postgres.user, "-c", str(CLIENTS), "-t", str(TRANSACTIONS), "-j", "2")
    assert f"transactions actually processed: {CLIENTS * TRANSACTIONS}/{CLIENTS * TRANSACTIONS}" in report
    failed = re.search(r"number of failed transactions: (\d+)", report)  # not printed before PostgreSQL 15
    assert failed is None or failed.group(1) == "0", report

    until(lambda: proxy.stat("tcp.main.downstream_cx_active") == 0, "every connection is closed")
    connections = proxy.stat("tcp.main.downstream_cx_total")
    assert connections >= CLIENTS + 1
    assert proxy.stat("cluster.backend.upstream_cx_connect_fail") == 0
    proxy.stop()

    records = log_records(log)
    assert len(records) == connections
    assert len({record["id"] for record in records}) == connections
    for record in records:
        assert record["down_close"] == "Normal" and record["up_close"] == "Normal", record
        assert record["flags"] == "-" and int(record["in"]) > 0 and int(record["out"]) > 0, record


def test_bytes_of_the_access_log_are_the_bytes_of_the_statistics(
    engine: Callable[..., Engine], postgres: Any, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    proxy = engine(tcp_bootstrap(postgres.port, log))
    pgbench(proxy.port(), postgres.user, "-i", "-q")
    pgbench(proxy.port(), postgres.user, "-c", "2", "-t", "20", "-S")
    until(lambda: proxy.stat("tcp.main.downstream_cx_active") == 0, "every connection is closed")
    received = proxy.stat("tcp.main.downstream_cx_rx_bytes_total")
    sent = proxy.stat("tcp.main.downstream_cx_tx_bytes_total")
    proxy.stop()
    records = log_records(log)
    assert sum(int(record["in"]) for record in records) == received
    assert sum(int(record["out"]) for record in records) == sent
