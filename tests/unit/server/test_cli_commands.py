"""The program in this process: commands, streams, exit codes. Nothing here listens."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core import __version__
from proxy_core.cli import COMMANDS, main
from proxy_core.server.demo_stage import example
from tests.support.running import bootstrap, echo_listener, tcp_listener

EXAMPLES = Path(__file__).parents[3] / "proxy_core" / "examples"


def write(path: Path, config: Any) -> str:
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return str(path)


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/proxy_core"])


@pytest.mark.parametrize("command", ["validate FILE", "--mode validate -c FILE"])
def test_a_good_configuration_is_ok_on_standard_output(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", bootstrap([echo_listener("e", 1)]))
    assert main(command.replace("FILE", path).split()) == 0
    assert capsys.readouterr() == (f"configuration '{path}' OK\n", "")


def test_the_path_in_the_verdict_is_empty_for_an_inline_configuration(
    capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--mode", "validate", "--config-yaml", "{}"]) == 0
    assert capsys.readouterr().out == "configuration '' OK\n"


@pytest.mark.parametrize("arguments", [
    ["validate", "FILE"], ["--mode", "validate", "-c", "FILE"], ["-c", "FILE"],
])
def test_every_problem_of_a_bad_configuration_is_one_line_on_standard_error(
    arguments: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = echo_listener("e", 70000)
    listener["nmae"] = listener.pop("name")
    path = write(tmp_path / "a.json", bootstrap([listener]))
    assert main([argument.replace("FILE", path) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"error initializing configuration '{path}': 2 problems",
        "  static_resources.listeners[0].address.socket_address.port_value: "
        "expected an integer from 0 to 65535, found 70000",
        "  static_resources.listeners[0].nmae: unknown field `nmae` (did you mean `name`?)",
    ]


def test_what_a_file_holds_can_not_move_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", {"bad\u001b[2J\nname": 1})
    assert main(["validate", path]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("content, words", [
    ("", "empty"), ("{", "not JSON"), ("[]", "expected an object"), ("{'a': 1}", "double quotes"),
    ('{"static_resources": {"listeners": 5}}', "static_resources.listeners"),
])
def test_a_file_that_is_no_configuration_is_exit_code_1_and_one_sentence(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", write(tmp_path / "a.json", content)]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_missing_file_is_told_as_envoy_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "/no/such/file.json"]) == 1
    assert "Invalid path: /no/such/file.json" in capsys.readouterr().err


def test_without_any_configuration_the_way_to_the_demo_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "demo" in capsys.readouterr().err
    assert main(["-l", "info"]) == 1
    assert "At least one of --config-path or --config-yaml" in capsys.readouterr().err


def test_an_unknown_cluster_is_a_warning_and_with_strict_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", bootstrap([tcp_listener("t", "ghost")]))
    assert main(["validate", path]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("warning: ") and "unknown cluster 'ghost'" in said.err
    assert said.out == f"configuration '{path}' OK\n"
    assert main(["validate", path, "--strict"]) == 1
    assert "unknown cluster 'ghost'" in capsys.readouterr().err
    assert main(["-c", path, "--strict"]) == 1
    assert "unknown cluster 'ghost'" in capsys.readouterr().err


def test_unknown_fields_can_be_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.json", {"frobnicate": True})
    assert main(["validate", path]) == 1
    assert main(["validate", path, "--allow-unknown-static-fields"]) == 0
    assert "warning: frobnicate" in capsys.readouterr().err


def test_warnings_about_deprecated_fields_can_be_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = echo_listener("e", 1)
    listener["reuse_port"] = True
    path = write(tmp_path / "a.json", bootstrap([listener]))
    assert main(["validate", path]) == 0
    assert "deprecated" in capsys.readouterr().err
    assert main(["validate", path, "--skip-deprecated-logs", "--strict"]) == 0
    assert capsys.readouterr().err == ""


def test_the_inline_configuration_is_merged_over_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", bootstrap([echo_listener("a", 1)]))
    more = json.dumps(bootstrap([echo_listener("b", 1)]))
    assert main(["validate", path, "--config-yaml", more]) == 1  # two listeners on one address: lists append
    assert "duplicate address" in capsys.readouterr().err


def test_the_verdict_as_json_holds_problems_and_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", {"admn": {}})
    assert main(["validate", "--format", "json", path]) == 1
    said = capsys.readouterr()
    verdict = json.loads(said.out)
    assert verdict["ok"] is False and verdict["path"] == path and verdict["warnings"] == []
    assert verdict["problems"] == [
        {"path": "admn", "message": "unknown field `admn`", "hint": "did you mean `admin`?"}
    ]
    assert said.err == ""
    path = write(tmp_path / "b.json", bootstrap([tcp_listener("t", "g")]))
    assert main(["validate", "--format", "json", path]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["ok"] is True and len(verdict["warnings"]) == 1


def file_log(path: Path) -> List[Dict[str, Any]]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return [{"name": "f", "typed_config": {"@type": kind, "path": str(path)}}]


def test_validation_creates_no_file_and_binds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "logs"
    place.mkdir()
    socket_path = place / "socket"
    listener = echo_listener("e", access_log=file_log(place / "access.log"))
    listener["address"] = {"pipe": {"path": str(socket_path)}}
    path = write(tmp_path / "a.json", bootstrap([listener]))
    flags = ["--log-path", str(place / "log"), "--admin-address-path", str(place / "a")]
    flags += ["--base-id-path", str(place / "b")]
    assert main(["--mode", "validate", "-c", path, *flags]) == 0
    assert os.listdir(place) == []
    assert main(["validate", path]) == 0
    assert os.listdir(place) == []


@pytest.mark.parametrize("place, reason", [
    ("", "Is a directory"), ("no/such/dir/log", "No such file or directory"), ("file/log", "Not a directory"),
])
def test_validation_finds_a_log_file_that_could_not_be_opened(
    place: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    listener = echo_listener("e", 1, access_log=file_log(tmp_path / place))
    assert main(["validate", write(tmp_path / "a.json", bootstrap([listener]))]) == 1
    assert reason in capsys.readouterr().err


def test_a_log_file_that_can_not_be_opened_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config-yaml", "{}", "--log-path", str(tmp_path / "no" / "log")]) == 1
    assert "failed to open log file" in capsys.readouterr().err


def test_with_a_log_file_configuration_errors_are_told_in_both_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    assert main(["--config-yaml", '{"admn": {}}', "--log-path", str(log)]) == 1
    assert "unknown field `admn`" in capsys.readouterr().err
    assert "unknown field `admn`" in log.read_text()


@pytest.mark.parametrize("name", sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.json")))
def test_every_example_is_valid_without_a_warning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(EXAMPLES / name)
    assert main(["validate", "--strict", path]) == 0
    assert capsys.readouterr() == (f"configuration '{path}' OK\n", "")
    assert example(name) == json.loads((EXAMPLES / name).read_text())


def test_the_schema_describes_the_bootstrap_and_the_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["title"] == "envoy.config.bootstrap.v3.Bootstrap"
    assert "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy" in text


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"proxy_core  version: proxy_core/{__version__}/") and said.err == ""
    assert main(["version"]) == 0
    assert capsys.readouterr().out == said.out
    assert main(["version", "more"]) == 2
    assert main(["--hot-restart-version"]) == 0
    assert capsys.readouterr().err.endswith("11.104\n")


@pytest.mark.parametrize("word, hint", [
    ("valdate", "did you mean 'validate'?"), ("dmeo", "did you mean 'demo'?"),
    ("xyzzy", "unknown command 'xyzzy'\n"),
])
def test_an_unknown_command_is_exit_code_2_with_the_nearest_name(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    said = capsys.readouterr()
    assert hint in said.err and "--help" in said.err and said.out == ""


def test_a_file_where_a_command_should_be_is_told_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.json", {})
    assert main([path]) == 2
    assert f"proxy_core -c {path}" in capsys.readouterr().err


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["help"], ["help", "nosuch"], ["serve", "--help"]):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert all(f"  {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("name", ["validate", "schema", "demo", "tcp"])
def test_each_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: proxy_core {name}")
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("arguments", [
    ["validate"], ["validate", "a", "b"], ["validate", "a", "--format", "xml"], ["schema", "x"], ["tcp"],
    ["tcp", ":1"],
    ["demo", "--port", "x"], ["demo", "-l", "loud"], ["demo", "again"], ["tcp", ":1", ":2", "-l", "loud"],
])
def test_wrong_arguments_of_a_command_are_exit_code_2(
    arguments: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ")


def test_a_reader_that_left_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["schema"]) == 1


@pytest.mark.parametrize("argv0, shown", [
    ("/x/proxy_core/__main__.py", "python3 -m proxy_core"), ("/usr/bin/proxy_core", "proxy_core"),
    ("./proxy_core.pyz", "python3 ./proxy_core.pyz"), ("-m", "python3 -m proxy_core"),
])
def test_the_program_is_called_what_the_user_typed(
    argv0: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [argv0])
    main(["--version"])
    assert capsys.readouterr().out.startswith(f"{shown}  version: ")
