"""Signals: stop at once, drain first, reopen the logs, load the configuration again, dump."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.testing.child import ChildProcess
from tests.support.running import ask, bootstrap, echo_listener, loopback, tcp_listener


def echo(*flags: str, **fields: Any) -> ChildProcess:
    return ChildProcess(["--config-yaml", json.dumps(bootstrap([echo_listener("e", **fields)])), *flags])


def file_log(path: Path) -> List[Dict[str, Any]]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return [{"name": "f", "typed_config": {"@type": kind, "path": str(path)}}]


@pytest.mark.parametrize("number, name", [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_a_stop_signal_ends_with_0_closes_connections_and_writes_their_log_lines(
    number: int, name: str, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    with echo("--file-flush-interval-msec", "3600000", access_log=file_log(log)) as running:
        with running.connect("e") as client:
            assert ask(client, b"hello") == b"hello"
            assert running.stop(number) == 0
            assert client.recv(1) == b""
    assert f"caught {name}" in running.output["stderr"]
    assert "in=5 out=5" in log.read_text()


def test_with_drain_on_exit_the_last_connection_may_finish_and_nobody_new_gets_in() -> None:
    with echo("--drain-on-exit-s", "3600") as running:
        with running.connect("e") as client:
            assert ask(client, b"one") == b"one"
            running.send(signal.SIGTERM)
            running.expect("draining for up to 3600 s; a second signal stops at once")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", running.port("e")), 10)
            assert ask(client, b"two") == b"two"
        assert running.end() == 0


def test_with_drain_on_exit_and_nobody_there_the_end_comes_at_once() -> None:
    with echo("--drain-on-exit-s", "3600") as running:
        running.expect("starting main dispatch loop")
        assert running.stop() == 0


def test_a_second_signal_ends_the_drain() -> None:
    with echo("--drain-on-exit-s", "3600") as running:
        with running.connect("e") as client:
            assert ask(client, b"one") == b"one"
            running.send(signal.SIGTERM)
            running.expect("draining")
            assert running.stop(signal.SIGINT) == 0
            assert client.recv(1) == b""


def test_the_drain_has_an_end_for_connections_that_stay() -> None:
    with echo("--drain-on-exit-s", "1") as running:
        with running.connect("e") as client:
            assert ask(client, b"one") == b"one"
            assert running.stop() == 0
            assert client.recv(1) == b""


def test_sessions_that_look_for_a_drain_are_asked_to_leave() -> None:
    listener = tcp_listener("t", "c", check_drain_close=True)
    with ChildProcess(["--config-yaml", json.dumps(bootstrap([echo_listener("e")]))]) as upstream:
        host = {"endpoint": {"address": loopback(upstream.port("e"))}}
        cluster = {
            "name": "c", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [host]}]},
        }
        config = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        with ChildProcess(["--config-yaml", json.dumps(config), "--drain-on-exit-s", "3600"]) as running:
            with running.connect("t") as client:
                assert ask(client, b"one") == b"one"
                assert running.stop() == 0
                assert client.recv(1) == b""


def test_sigusr1_opens_the_process_log_and_the_access_log_again(tmp_path: Path) -> None:
    log, access = tmp_path / "log", tmp_path / "access.log"
    flags = ["--log-path", str(log), "--base-id-path", "/dev/stdout"]
    with echo(*flags, access_log=file_log(access)) as running:
        running.expect("0", "stdout")  # written when signals are handled
        port = _logged_port(log)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert ask(client, b"hello") == b"hello"
            os.rename(log, tmp_path / "log.1")
            os.rename(access, tmp_path / "access.log.1")
            running.send(signal.SIGUSR1)
            assert ask(client, b"again") == b"again"
            assert running.stop() == 0
    assert "caught SIGUSR1. Reopening access logs." in (tmp_path / "log.1").read_text()
    assert "exiting" in log.read_text()
    assert "exiting" not in (tmp_path / "log.1").read_text()
    assert "in=10 out=10" in access.read_text()


def _logged_port(log: Path) -> int:
    return int(log.read_text().partition("listener 'e' on 127.0.0.1:")[2].partition("\n")[0])


def test_sighup_loads_a_configuration_that_did_not_change_and_nobody_notices() -> None:
    with echo() as running:
        with running.connect("e") as client:
            running.send(signal.SIGHUP)
            running.expect(r"configuration reloaded: 0 listener\(s\) added or changed, 0 removed")
            assert ask(client, b"still here") == b"still here"
            assert running.stop() == 0


def test_sigquit_prints_the_state_of_every_connection_and_ends_with_0() -> None:
    with echo() as running:
        with running.connect("e") as client:
            assert ask(client, b"hello") == b"hello"
            name = client.getsockname()
            assert running.stop(signal.SIGQUIT) == 0
    assert "1 connections\n" in running.output["stderr"]
    line = next(line for line in running.output["stderr"].splitlines() if line.startswith("[C0]"))
    assert f"{name[0]}:{name[1]}" in line
    assert "in=5 out=5" in line


def test_signals_for_others_change_nothing() -> None:
    with echo() as running:
        with running.connect("e") as client:
            running.send(signal.SIGPIPE)
            running.send(signal.SIGCHLD)
            assert ask(client, b"still here") == b"still here"
            assert running.stop() == 0
