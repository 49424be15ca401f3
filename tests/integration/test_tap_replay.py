"""Recorded through a running proxy, replayed to a live port by the tool, and through filters in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.testing import ChainHarness, Proxy
from proxy_core.testing.replay import recording, replay

ROOT = Path(__file__).resolve().parent.parent.parent
TYPE = "type.googleapis.com/"
ECHO = {"name": "echo", "typed_config": {"@type": TYPE + "envoy.extensions.filters.network.echo.v3.Echo"}}
LATE = {"name": "late", "typed_config": {
    "@type": TYPE + "proxy_core.filters.network.fault.v1.Fault", "name": "late",
    "toxics": [{"type": "slicer", "attributes": {"average_size": 3}}],
}}
OTHER = {"name": "other", "typed_config": {
    "@type": TYPE + "envoy.extensions.filters.network.direct_response.v3.Config", "response": {"inline_string": "no"},
}}


def config(*filters: Dict[str, Any]) -> Dict[str, Any]:
    listener = {
        "name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": list(filters)}],
    }
    return {"static_resources": {"listeners": [listener]}}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two questions and their answers."""
    file = tmp_path / "tap.jsonl"
    tap = {"@type": TYPE + "proxy_core.filters.network.tap.v1.Tap", "name": "t", "path": str(file)}
    with Proxy(config({"name": "tap", "typed_config": tap}, ECHO)) as proxy:
        client = proxy.connect()
        for question in (b"one\n", b"two\n"):
            client.sendall(question)
            answer = b""
            while len(answer) < 4:
                answer += client.recv(4)
        client.close()
        proxy.assert_closed(how="FIN")
    return file


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: List[str] = [sys.executable, str(ROOT / "tools" / "replay.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_a_running_proxy_recorded_runs_again_in_memory(recorded: Path) -> None:
    whole = recording(recorded)
    assert [(one.direction, one.data) for one in whole.chunks if one.data] == [
        ("in", b"one\n"), ("out", b"one\n"), ("in", b"two\n"), ("out", b"two\n"),
    ]
    harness: ChainHarness = replay(recorded, [])
    assert harness.onward == harness.sent == b"one\ntwo\n"


@pytest.mark.parametrize("fast", [[], ["--fast"]], ids=["real time", "fast"])
def test_the_tool_plays_the_client_and_finds_the_answers_the_same(recorded: Path, fast: List[str]) -> None:
    with Proxy(config(LATE, ECHO)) as proxy:
        done = tool(str(recorded), f"127.0.0.1:{proxy.port}", *fast)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the same 8 bytes were answered to connection ")


def test_the_tool_says_where_answers_differ(recorded: Path) -> None:
    with Proxy(config(OTHER)) as proxy:
        done = tool(str(recorded), f"127.0.0.1:{proxy.port}", "--fast", "--patience", "1")
    assert done.returncode == 1
    assert done.stdout.startswith("the answers differ at byte 0: recorded b'one\\ntwo\\n', got b'no'; 8 bytes were recorded, 2")


def test_a_bad_file_or_address_is_an_error_of_its_own(recorded: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("not a record\n")
    for arguments in ([str(bad), "127.0.0.1:1"], [str(tmp_path / "none"), "127.0.0.1:1"], [str(recorded), "127.0.0.1:x"],
                      [str(recorded), "127.0.0.1:1", "--connection", "999"]):
        done = tool(*arguments)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
