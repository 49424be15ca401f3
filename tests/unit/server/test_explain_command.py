"""`explain` on the command line: the answer on standard output, the verdict in the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.cli import main
from tests.support.running import bootstrap, echo_listener


def listener(name: str, port: int, matches: List[Dict[str, Any]]) -> Dict[str, Any]:
    made = echo_listener(name, port)
    filters = made["filter_chains"][0]["filters"]
    made["filter_chains"] = [
        {"name": f"f{position}", "filter_chain_match": match, "filters": filters} for position, match in enumerate(matches)
    ]
    return made


@pytest.fixture
def path(tmp_path: Path) -> str:
    ranges = [{"address_prefix": "10.0.0.0", "prefix_len": 8}]
    config = bootstrap([listener("a", 7001, [{"source_prefix_ranges": ranges}]), listener("b", 7002, [{}])])
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return str(file)


def test_a_chain_is_exit_code_0_and_none_is_3(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "-c", path, "--dst", "127.0.0.1:7001", "--src", "10.1.1.1"]) == 0
    said = capsys.readouterr()
    assert "\nfilter chain: filter_chains[0] 'f0': " in said.out
    assert said.err == ""
    assert main(["explain", "-c", path, "--listener", "a", "--src", "11.1.1.1"]) == 3
    said = capsys.readouterr()
    assert "\nfilter chain: none: the connection is closed" in said.out
    assert "  not filter_chains[0] 'f0': source_prefix_ranges: wants 10.0.0.0/8, found 11.1.1.1\n" in said.out
    assert said.err == ""


def test_the_answer_as_json(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--listener", "b", "--src", "10.1.1.1:5", "--direct-src", "10.1.1.1:5", "--alpn", "h2", "--format", "json"]
    assert main(["explain", "-c", path, *arguments]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["filter_chain"]["name"] == "f0"
    assert tree["connection"]["source"] == "10.1.1.1:5"
    assert tree["notes"] == ["there is no tls_inspector among the listener filters: nothing is known of its TLS"]


@pytest.mark.parametrize("arguments, words", [
    ([], "which listener? Give dst or listener; the listeners: 'a' on 127.0.0.1:7001; 'b' on 127.0.0.1:7002"),
    (["--dst", "127.0.0.1:7009"], "no listener is on 127.0.0.1:7009"),
    (["--src", "x", "--listener", "a"], "src: expected IP:PORT"),
    (["--transport", "quic"], "transport"),
    (["--dts", "127.0.0.1:7001"], "did you mean '--dst'?"),
])
def test_a_bad_question_is_exit_code_2(
    arguments: List[str], words: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "-c", path, *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.out == ""


def test_a_bad_configuration_is_exit_code_1_and_all_its_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(bootstrap([listener("a", 70000, [{}, {}])])))
    assert main(["explain", "-c", str(file)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "port_value: expected an integer from 0 to 65535" in said.err
    assert "has the same matching rules defined" in said.err
    assert main(["explain", "-c", "/no/such/file"]) == 1
    assert main(["explain"]) == 2


def test_a_configuration_without_listeners_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    assert main(["explain", "-c", str(file)]) == 2
    assert "the listeners: none" in capsys.readouterr().err


def test_what_is_never_found_is_a_warning_of_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(bootstrap([listener("a", 7001, [{"destination_port": 80}])])))
    assert main(["explain", "-c", str(file), "--strict"]) == 1
    assert "no connection can get this filter chain: it is for port 80" in capsys.readouterr().err
