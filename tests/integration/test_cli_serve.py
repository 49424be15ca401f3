"""The program as a process: start, ports, files, streams, and what it says when it can't."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.server.startup import version_text
from proxy_core.testing.child import ChildProcess
from tests.support.running import ROOT, ask, bootstrap, echo_listener, loopback, tcp_listener


def inline(config: Dict[str, Any], *more: str) -> List[str]:
    return ["--config-yaml", json.dumps(config), *more]


def test_it_serves_says_where_on_standard_error_and_nothing_on_standard_output() -> None:
    with ChildProcess(inline(bootstrap([echo_listener("e")]))) as running:
        with running.connect("e") as client:
            assert ask(client, b"hello") == b"hello"
        running.expect(r"downstream connection limit: \d+ \(.+\)")
        assert running.stop() == 0
        assert running.output["stdout"] == ""


def test_the_admins_address_is_in_the_file_once_it_listens_and_options_and_version_are_told(
    tmp_path: Path
) -> None:
    place = tmp_path / "admin"
    config = bootstrap([], admin={"address": loopback()})
    flags = ["--admin-address-path", str(place), "--base-id-path", str(tmp_path / "base")]
    with ChildProcess(inline(config, *flags, "--service-node", "n1", "--drain-time-s", "9")) as running:
        address = running.expect(r"admin address: (127\.0\.0\.1:\d+)\n").group(1)
        running.expect("starting main dispatch loop")
        assert place.read_text() == address
        assert (tmp_path / "base").read_text() == "0"
        assert sorted(os.listdir(tmp_path)) == ["admin", "base"]
        client = http.client.HTTPConnection(address, timeout=10)
        client.request("GET", "/server_info")
        info = json.loads(client.getresponse().read())
        client.close()
        assert info["version"] == version_text()
        assert info["node"]["id"] == "n1"
        assert info["command_line_options"]["drain_time"] == "9s"
        assert running.stop() == 0


def test_an_admin_address_file_that_can_not_be_written_is_an_error_line_and_no_end(tmp_path: Path) -> None:
    config = bootstrap([echo_listener("e")], admin={"address": loopback()})
    with ChildProcess(inline(config, "--admin-address-path", str(tmp_path / "no" / "file"))) as running:
        running.expect("cannot open admin address output file .* for writing: No such file")
        with running.connect("e") as client:
            assert ask(client, b"x") == b"x"


def test_without_an_admin_the_address_file_is_a_warning(tmp_path: Path) -> None:
    with ChildProcess(inline(bootstrap([]), "--admin-address-path", str(tmp_path / "a"))) as running:
        running.expect("the configuration has no admin")
        running.expect("starting main dispatch loop")
        assert not (tmp_path / "a").exists()


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        listeners = [echo_listener("free"), echo_listener("taken", port)]
        with ChildProcess(inline(bootstrap(listeners), "-l", "off")) as running:
            assert running.end() == 1
            assert running.output == {
                "stdout": "", "stderr": f"error: cannot bind '127.0.0.1:{port}': Address already in use\n",
            }
        with ChildProcess(inline(bootstrap(listeners), "--log-path", str(log))) as running:
            assert running.end() == 1
            assert "cannot bind" in running.output["stderr"]
        assert "[critical][main] cannot bind" in log.read_text()


def test_with_a_log_file_standard_error_stays_empty(tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = bootstrap([], admin={"address": loopback()})
    arguments = inline(config, "--log-path", str(log), "--config-yaml", json.dumps(config))
    with ChildProcess([*arguments, "--admin-address-path", "/dev/stdout"]) as running:
        running.expect(r"127\.0\.0\.1:\d+", "stdout")
        assert running.stop() == 0
        assert running.output["stderr"] == ""
    assert "starting main dispatch loop" in log.read_text()
    assert "exiting" in log.read_text()


def test_warnings_of_the_configuration_and_of_the_flags_are_logged() -> None:
    with ChildProcess(inline(bootstrap([tcp_listener("t", "ghost")]), "--restart-epoch", "2")) as running:
        running.expect(r"\[warning\]\[config\] .*unknown cluster 'ghost'")
        running.expect(r"\[warning\]\[main\] --restart-epoch 2: there is no hot restart")
        assert running.stop() == 0


def test_levels_and_format_of_the_log_are_as_asked_for() -> None:
    flags = ["-l", "error", "--component-log-level", "config:info", "--log-format", "json"]
    with ChildProcess(inline(bootstrap([echo_listener("e")]), *flags)) as running:
        running.expect("listener 'e' on")
        assert running.stop() == 0
        records = [json.loads(line) for line in running.output["stderr"].splitlines()]
    assert {record["component"] for record in records} == {"config"}


def test_the_program_runs_isolated_with_nothing_but_the_standard_library() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from proxy_core import cli; cli.main(['version'])"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    assert version_text().encode() in done.stdout


def test_forwarding_needs_no_configuration_file() -> None:
    with ChildProcess(inline(bootstrap([echo_listener("e")]))) as upstream:
        port = upstream.port("e")
        with ChildProcess(["tcp", ":0", f"127.0.0.1:{port}"]) as running:
            found = running.expect(rf"^127\.0\.0\.1:(\d+) -> 127\.0\.0\.1:{port}\n", "stdout")
            running.expect("reached from this machine only", "stdout")
            with socket.create_connection(("127.0.0.1", int(found.group(1))), 10) as client:
                assert ask(client, b"through") == b"through"
            running.expect(r"\[C0\] tcp .*in=7 out=7", "stdout")
            assert running.stop(signal.SIGINT) == 0
            assert running.output["stderr"].count("\n") == 1  # "caught SIGINT"


def test_forwarding_between_unix_sockets(tmp_path: Path) -> None:
    if len(str(tmp_path)) > 80:
        pytest.skip("the temporary directory's path is too long for a socket")
    front, back = str(tmp_path / "front"), str(tmp_path / "back")
    listener = echo_listener("e")
    listener["address"] = {"pipe": {"path": back}}
    with ChildProcess(inline(bootstrap([listener]))) as upstream:
        upstream.expect("starting main dispatch loop")
        with ChildProcess(["tcp", f"unix:{front}", f"unix:{back}", "-q"]) as running:
            running.expect(f"{front} -> unix:{back}", "stdout")
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(front)
                assert ask(client, b"through") == b"through"
            assert running.stop() == 0
            assert "in=" not in running.output["stdout"]


def test_forwarding_to_a_taken_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        with ChildProcess(["tcp", f":{port}", ":1"]) as running:
            assert running.end() == 1
            assert f"cannot bind '127.0.0.1:{port}'" in running.output["stderr"]
