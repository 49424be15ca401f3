"""`new-filter`: what it writes works, nothing is overwritten, and it says what comes next."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

import proxy_core
from proxy_core.cli import main
from proxy_core.server.extensions import Extensions
from proxy_core.server.forward import decode
from proxy_core.server.new_filter import names_of
from tests.support.running import bootstrap, echo_listener

ROOT = Path(proxy_core.__file__).parents[1]


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/proxy_core"])


@pytest.mark.parametrize("name, module, class_name", [
    ("redact", "redact", "Redact"),
    ("rate-by-token", "rate_by_token", "RateByToken"),
    ("rate_by_token", "rate_by_token", "RateByToken"),
    ("RateByToken", "rate_by_token", "RateByToken"),
    ("HTTPGuard", "http_guard", "HTTPGuard"),
    ("tls13", "tls13", "Tls13"),
])
def test_a_name_becomes_a_module_and_a_class(name: str, module: str, class_name: str) -> None:
    assert names_of(name) == {"module": module, "class_name": class_name}


@pytest.mark.parametrize("name, reason", [
    ("9lives", "expected letters, digits, - and _"),
    ("a.b", "expected letters"),
    ("../a", "expected letters"),
    ("größe", "expected letters"),
    ("", "expected letters"),
    ("class", "a word of Python's own"),
    ("test-it", "taken for a test"),
    ("Test", "taken for a test"),
    ("json", "there is a module 'json' already"),
])
def test_a_name_that_cannot_be_is_refused_with_the_reason(
    name: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-filter", name, "--dir", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [[], ["--http"]])
def test_the_filter_and_its_test_pass(kind: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "of my own"
    for name in ("rate-by-token", "HTTPGuard"):
        assert main(["new-filter", *kind, name, "--dir", str(directory)]) == 0
    out, err = capsys.readouterr()
    assert f"wrote {directory}/rate_by_token.py and {directory}/test_rate_by_token.py" in out and err == ""
    flags = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(directory)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(directory)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, timeout=120,
    )
    assert run.returncode == 0 and b"6 passed" in run.stdout, run.stdout.decode()


def test_the_snippet_that_it_prints_is_a_valid_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-filter", "redact-words", "--dir", str(tmp_path)]) == 0
    snippet = re.search(r"^ *(\{.*\})$", capsys.readouterr().out, re.MULTILINE)
    assert snippet is not None
    listener = echo_listener("e")
    listener["filter_chains"][0]["filters"].insert(0, json.loads(snippet[1]))
    try:
        loaded = decode(bootstrap([listener]), Extensions([str(tmp_path)]))
    finally:
        sys.modules.pop("redact_words", None)
    assert loaded.warnings == []


def test_so_is_the_one_of_an_http_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-filter", "--http", "key-keeper", "--dir", str(tmp_path)]) == 0
    snippet = re.search(r"^ *(\{.*\})$", capsys.readouterr().out, re.MULTILINE)
    assert snippet is not None
    kind = "type.googleapis.com/envoy.extensions.filters"
    listener = echo_listener("e")
    listener["filter_chains"][0]["filters"] = [{"name": "hcm", "typed_config": {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web", "route_config": {},
        "http_filters": [
            json.loads(snippet[1]), {"name": "router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}},
        ],
    }}]
    try:
        loaded = decode(bootstrap([listener]), Extensions([str(tmp_path)]))
    finally:
        sys.modules.pop("key_keeper", None)
    assert loaded.warnings == []


@pytest.mark.parametrize("there", ["redact.py", "test_redact.py"])
def test_nothing_is_overwritten(there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / there).write_text("mine")
    assert main(["new-filter", "redact", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / there} exists already, nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "mine"


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "redact.py").symlink_to(tmp_path / "elsewhere.py")
    assert main(["new-filter", "redact", "--dir", str(tmp_path)]) == 1
    assert not (tmp_path / "elsewhere.py").exists()


def test_a_directory_that_cannot_be_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["new-filter", "hide-words", "--dir", str(tmp_path / "file" / "x")]) == 1
    assert capsys.readouterr().err.startswith(f"error: can't write {tmp_path}/file")
