"""The demo: one request, or traffic until Ctrl-C, from a checkout and from the single-file build."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from proxy_core.cli import main
from tests.support.running import Running, ask
from tools import zipapp

WAY = r"C0  listener front -> cluster backends -> host 127\.0\.0\.1:\d+  8 bytes there, 8 back, \d+ ms\n"


def test_once_sends_one_request_through_prints_the_way_it_took_and_ends_with_0() -> None:
    with Running(["demo", "--once"]) as running:
        assert running.end() == 0
        assert re.search(WAY, running.output["stdout"])
        assert running.output["stderr"] == ""


def test_the_demo_shows_its_traffic_and_that_of_others_until_ctrl_c() -> None:
    with Running(["demo", "--port", "0", "--admin-port", "0"]) as running:
        port = int(running.expect(r"listener front on 127\.0\.0\.1:(\d+)", "stdout").group(1))
        running.expect(r"python3 -c .*\n", "stdout")
        running.expect(r"curl http://127\.0\.0\.1:\d+/", "stdout")
        running.expect(WAY, "stdout")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert ask(client, b"mine too") == b"mine too"
        running.expect(r"C3 .* 8 bytes there, 8 back", "stdout")
        assert running.stop(signal.SIGINT) == 0
        assert re.search(r"\d+ of \d+ requests came back unchanged\n$", running.output["stdout"])
        assert running.output["stderr"] == ""


def test_both_backends_are_used_in_turn() -> None:
    with Running(["demo", "--port", "0", "--admin-port", "0"]) as running:
        hosts = running.expect(r"backends: (\S+), (\S+) ", "stdout").groups()
        port = int(running.expect(r"listener front on 127\.0\.0\.1:(\d+)", "stdout").group(1))
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                ask(client, b"x")
        for host in hosts:
            running.expect(rf"-> host {re.escape(host)} ", "stdout")


def test_a_taken_port_is_named_with_the_flag_that_chooses_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = str(owner.getsockname()[1])
        for flag, other in (("--port", "--admin-port"), ("--admin-port", "--port")):
            with Running(["demo", flag, port, other, "0"]) as running:
                assert running.end() == 1
                said = running.output["stderr"]
                assert f"cannot bind '127.0.0.1:{port}'" in said and f"choose another with {flag} N" in said


def test_the_printed_configuration_runs(tmp_path: Path) -> None:
    with Running(["demo", "--print-config", "--port", "10010"]) as running:
        assert running.end() == 0
        text = running.output["stdout"]
    path = tmp_path / "demo.json"
    path.write_text(text)
    front = json.loads(text)["static_resources"]["listeners"][0]
    assert front["address"]["socket_address"]["port_value"] == 10010
    assert main(["validate", "--strict", str(path)]) == 0


def test_the_single_file_build_passes_the_demo_and_finds_its_examples(tmp_path: Path) -> None:
    output = tmp_path / "proxy_core.pyz"
    assert zipapp.main(["-o", str(output)]) == 0
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(output), "demo", "--once"],
        cwd=tmp_path, capture_output=True, timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert re.search(WAY, done.stdout.decode())
