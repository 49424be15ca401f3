"""A real process says why: a filter that forgot to continue is named in time and logged once, the commands show it, a
connection is ended by its id, and the admin's Unix socket is for its owner alone."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from proxy_core.cli import main
from tests.support.live import ROOT, engine_command, until
from tests.support.peers import Server
from tests.support.running import loopback, tcp_listener

FORGETFUL = """
from proxy_core.filters.api import STOP_ITERATION, NetworkFilter


class Forgetful(NetworkFilter):
    def __init__(self, config):
        pass

    def on_data(self, data, end_stream):
        return STOP_ITERATION  # and nobody will ever continue
"""


class Running:
    """A proxy with a listener "good", one with the forgetful filter, and an admin on a Unix socket."""

    def __init__(self, directory: Path, backend: int) -> None:
        self.admin = str(directory / "admin.sock")
        self._log = directory / "log"
        (directory / "forgetful.py").write_text(FORGETFUL)
        bad = tcp_listener("bad", "c")
        filters = bad["filter_chains"][0]["filters"]
        filters.insert(0, {"name": "forgetful", "typed_config": {"@type": "python:forgetful.Forgetful"}})
        hosts = [{"lb_endpoints": [{"endpoint": {"address": loopback(backend)}}]}]
        config = directory / "config.json"
        config.write_text(json.dumps({
            "admin": {"address": {"pipe": {"path": self.admin}}},
            "static_resources": {
                "listeners": [tcp_listener("good", "c"), bad],
                "clusters": [{"name": "c", "load_assignment": {"cluster_name": "c", "endpoints": hosts}}],
            },
        }))
        command = [*engine_command(), "-c", str(config), "--log-path", str(self._log)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        until(lambda: "starting main dispatch loop" in self.log, "the proxy runs")

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def connect(self, listener: str) -> socket.socket:
        line = next(line for line in self.log.splitlines() if f"listener '{listener}' on " in line)
        client = socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), 10)
        client.settimeout(10)
        return client

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0


@pytest.fixture
def running(tmp_path: Path, backend: Server) -> Iterator[Running]:
    made = Running(tmp_path, backend.port)
    yield made
    made.stop()


def command(capfd: pytest.CaptureFixture[str], running: Running, *arguments: str) -> Tuple[int, str, str]:
    """A command against the running proxy: exit code, output, errors."""
    capfd.readouterr()
    code = main([*arguments, "--admin", running.admin])
    said = capfd.readouterr()
    return code, said.out, said.err


def test_a_filter_that_forgets_to_continue_is_named_within_two_seconds_and_logged_once(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    with running.connect("bad") as client:
        client.sendall(b"PING\r\n")
        until(lambda: "stall: " in command(capfd, running, "why")[1], "the stall is found")
        code, said, _ = command(capfd, running, "why")
        assert code == 0 and said.startswith("stall: filter 'python:forgetful.Forgetful' of C0 (downstream, listener bad, 127.")
        page = command(capfd, running, "connections", "C0")[1]
        assert "STALLED: filter 'python:forgetful.Forgetful' stopped the chain" in page and "PARKED the chain" in page
        listed = json.loads(command(capfd, running, "connections", "--state", "stalled", "--format", "json")[1])
        assert [one["id"] for one in listed["connections"]] == [0]
        client.sendall(b"PING\r\n")
        until(lambda: "in=12" in command(capfd, running, "connections")[1], "the second request is there")
    until(lambda: "closed" in command(capfd, running, "connections", "0")[1], "the client left")
    told = [line for line in running.log.splitlines() if "filter chain is stalled" in line]
    assert len(told) == 1
    assert "[C0] filter chain is stalled: parked by 'python:forgetful.Forgetful' for 1." in told[0]  # seconds


def test_a_connection_is_ended_by_its_id_and_both_ends_see_a_reset(
    running: Running, backend: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    peers: List[Any] = []
    with running.connect("good") as client:
        client.sendall(b"hello")

        def accepted() -> bool:
            peer = backend.try_accept()
            peers.extend([peer] if peer is not None else [])
            return bool(peers)
        until(accepted, "the proxy has connected")
        code, said, _ = command(capfd, running, "connections", "0", "--close")
        assert (code, json.loads(said)) == (0, {"closed": 0, "how": "reset"})
        with pytest.raises(ConnectionResetError):
            client.recv(10)

    def reset() -> bool:
        peers[0].pump()
        return bool(peers[0].was_reset)
    until(reset, "the server saw it")
    peers[0].close()
    page = command(capfd, running, "connections", "0")[1]
    assert "we closed it: admin_delete_connection (DELETE /connections/0)" in page
    code, said, errors = command(capfd, running, "connections", "17")
    assert (code, said) == (1, "") and errors.startswith("error: There is no connection 17: ")
    assert command(capfd, running, "connections", "--state", "half")[0] == 1


def test_the_socket_file_of_the_admin_is_for_its_owner_alone(running: Running) -> None:
    assert stat.S_IMODE(os.stat(running.admin).st_mode) == 0o600


def test_top_without_a_terminal_is_one_picture(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    with running.connect("good") as client:
        client.sendall(b"hello")
        until(lambda: "127.0.0.1" in command(capfd, running, "top", "--once")[1], "the connection is shown")
        code, said, _ = command(capfd, running, "top", "--once")
    lines = said.splitlines()
    assert code == 0 and lines[0].startswith(f"proxy at {running.admin}: ") and lines[1].split()[:3] == ["ID", "SIDE", "STATE"]


def test_top_in_a_terminal_shows_rows_and_leaves_on_q(running: Running) -> None:
    pytest.importorskip("curses")
    with running.connect("good") as client:
        client.sendall(b"hello")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            environment = {**os.environ, "TERM": "xterm", "LINES": "24", "COLUMNS": "100"}
            command_line = [*engine_command(), "top", "--interval", "0.2", "--admin", running.admin]
            os.execve(command_line[0], command_line, environment)
        try:
            assert b"proxy at " in read_until(terminal, b"good")
            os.write(terminal, b"a")
            assert read_until(terminal, b"age)")  # what stays is not drawn again
            os.write(terminal, b"q")
            assert wait_status(pid, terminal) == 0
        finally:
            os.close(terminal)


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 20
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    return seen


def wait_status(pid: int, terminal: int) -> int:
    """Read what it says last, so that it can end; its exit code."""
    while True:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:  # Linux: nobody has the other end any more
                pass
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)


def test_nobody_there_is_an_error_and_not_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["why"], ["connections"], ["top", "--once"]):
        assert main([*arguments, "--admin", str(tmp_path / "none")]) == 1
        assert capfd.readouterr().err.startswith(f"error: no answer from an admin at {tmp_path / 'none'}: ")


@pytest.mark.parametrize("arguments", [
    ["why", "--admin", "a:b"], ["connections", "--close"], ["connections", "3", "--state", "open"], ["top", "--sort", "size"],
])
def test_wrong_usage_is_exit_code_2(arguments: List[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capfd.readouterr().err.startswith("error: ")
