"""The demo: one request, or traffic until Ctrl-C, from a checkout and from the single-file build."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import List

import pytest

from proxy_core.cli import main
from proxy_core.testing.child import ChildProcess
from tests.support.running import ask
from tools import zipapp

WAY = r"C0  listener front -> cluster backends -> host 127\.0\.0\.1:\d+  8 bytes there, 8 back, \d+ ms\n"


def test_once_sends_one_request_through_prints_the_way_it_took_and_ends_with_0() -> None:
    with ChildProcess(["demo", "--once"]) as running:
        assert running.end() == 0
        assert re.search(WAY, running.output["stdout"])
        assert running.output["stderr"] == ""


def test_the_demo_shows_its_traffic_and_that_of_others_until_ctrl_c() -> None:
    with ChildProcess(["demo", "--port", "0", "--admin-port", "0"]) as running:
        port = int(running.expect(r"listener front on 127\.0\.0\.1:(\d+)", "stdout").group(1))
        running.expect(r"python3 -c .*\n", "stdout")
        running.expect(r"curl http://127\.0\.0\.1:\d+/", "stdout")
        running.expect(WAY, "stdout")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert ask(client, b"my line") == b"my line"
        running.expect(r"C\d+ .* 7 bytes there, 7 back", "stdout")
        assert running.stop(signal.SIGINT) == 0
        assert re.search(r"(\d+) of \1 requests came back unchanged\n$", running.output["stdout"])
        assert running.output["stderr"] == ""


def test_the_slow_reader_fills_the_buffer_the_pause_reaches_the_source_and_it_drains_again() -> None:
    with ChildProcess(["demo", "--slow", "--speed", "8", "--port", "0", "--admin-port", "0"]) as running:
        admin = running.expect(r"  (http://127\.0\.0\.1:\d+)/ui ", "stdout").group(1)
        running.expect(r" s  #+-*\|-*\|-* +\d+ KiB wait for the client\n", "stdout")
        running.expect(
            r"HIGH watermark: reading from the source \(C1\) is paused by: (.+)\n(?s:.*)"
            r"the source can't send any more(?s:.*)the client reads 2048 KiB/s from now on(?s:.*)LOW watermark: ", "stdout",
        )
        with urllib.request.urlopen(f"{admin}/ui", timeout=10) as page:
            assert b"<title>proxy_core</title>" in page.read()
        assert running.stop(signal.SIGINT) == 0
        rounds = re.search(r"times that the buffer filled and drained: (\d+)\n$", running.output["stdout"])
        assert rounds is not None and int(rounds.group(1)) >= 1
        assert running.output["stderr"] == ""


def test_the_stall_is_in_the_log_once_and_in_the_answer_to_why_while_other_traffic_goes_on() -> None:
    with ChildProcess(["demo", "--stall", "--port", "0", "--admin-port", "0"]) as running:
        why = running.expect(r"  curl (http://127\.0\.0\.1:\d+/why)\n", "stdout").group(1)
        number = running.expect(r"\[C(\d+)\] filter chain is stalled: parked by '\S+\.Forgetful'").group(1)
        said = running.expect(r"/why says:\n  (.*)\n", "stdout").group(1)
        assert "Forgetful" in said and f"C{number} " in said
        with urllib.request.urlopen(why, timeout=10) as answer:
            assert b"Forgetful" in answer.read()
        running.expect(WAY.replace("C0", r"C\d+"), "stdout")
        assert running.stop(signal.SIGINT) == 0
        assert running.output["stderr"].count("stalled") == 1
        assert re.search(r"(\d+) of \1 normal requests came back unchanged\n$", running.output["stdout"])


def test_both_backends_are_used_in_turn() -> None:
    with ChildProcess(["demo", "--port", "0", "--admin-port", "0"]) as running:
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
            with ChildProcess(["demo", flag, port, other, "0"]) as running:
                assert running.end() == 1
                said = running.output["stderr"]
                assert f"cannot bind '127.0.0.1:{port}'" in said and f"choose another with {flag} N" in said


def test_the_printed_configuration_runs(tmp_path: Path) -> None:
    with ChildProcess(["demo", "--print-config", "--port", "10010"]) as running:
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


def test_the_configuration_of_a_lesson_is_printed_and_right(tmp_path: Path) -> None:
    with ChildProcess(["demo", "--print-config", "--stall"]) as running:
        assert running.end() == 0
    path = tmp_path / "lesson.json"
    path.write_text(running.output["stdout"])
    assert main(["validate", "--strict", str(path)]) == 0


@pytest.mark.parametrize("arguments", [
    ["--slow", "--stall"], ["--slow", "--once"], ["--slow", "--speed", "0"], ["--speed", "x"],
    ["--slow", "--print-config"],
])
def test_what_makes_no_sense_is_refused_with_2(arguments: List[str]) -> None:
    with ChildProcess(["demo", *arguments]) as running:
        assert running.end() == 2
        assert running.output["stderr"]


def test_a_lesson_runs_from_the_single_file_build(tmp_path: Path) -> None:
    """Its filter is named by the path of a module inside the file."""
    output = tmp_path / "proxy_core.pyz"
    assert zipapp.main(["-o", str(output)]) == 0
    command = [sys.executable, "-I", "-S", str(output), "demo", "--stall", "--port", "0", "--admin-port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"Forgetful" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(20) == 0
