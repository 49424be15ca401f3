"""Envoy's flags: each lands in its option; what can't be is refused with Envoy's sentence and exit code 2."""

from __future__ import annotations

import argparse
from typing import Any, List

import pytest

from proxy_core.server.arguments import Parser, port_number, seconds, suggestion, whole_number
from proxy_core.server.flags import _HARMLESS, filter_directories, parse_options
from proxy_core.server.options import Options

PROG = "prog"


@pytest.mark.parametrize("arguments, field, value", [
    (["-c", "a.json"], "config_path", "a.json"),
    (["--config-path", "a.json"], "config_path", "a.json"),
    (["--config-path=a.json"], "config_path", "a.json"),
    (["--config-yaml", "{}"], "config_yaml", "{}"),
    (["--mode", "validate"], "mode", "validate"),
    (["--mode", "serve"], "mode", "serve"),
    (["-l", "debug"], "log_level", "debug"),
    (["--log-level", "warn"], "log_level", "warn"),
    (["--log-level", "off"], "log_level", "off"),
    (["--component-log-level", "upstream:debug,http:off"], "component_log_level", "upstream:debug,http:off"),
    (["--log-format", "%v"], "log_format", "%v"),
    (["--log-path", "/x/y"], "log_path", "/x/y"),
    (["--admin-address-path", "/x"], "admin_address_path", "/x"),
    (["--drain-time-s", "7"], "drain_time_s", 7),
    (["--drain-strategy", "immediate"], "drain_strategy", "immediate"),
    (["--parent-shutdown-time-s", "9"], "parent_shutdown_time_s", 9),
    (["--drain-on-exit-s", "3"], "drain_on_exit_s", 3),
    (["--concurrency", "1"], "concurrency", 1),
    (["--concurrency", "0"], "concurrency", 1),
    (["--service-cluster", "c"], "service_cluster", "c"),
    (["--service-node", "n"], "service_node", "n"),
    (["--service-zone", "z"], "service_zone", "z"),
    (["--base-id", "4294967295"], "base_id", 4294967295),
    (["--use-dynamic-base-id"], "use_dynamic_base_id", True),
    (["--base-id-path", "/b"], "base_id_path", "/b"),
    (["--restart-epoch", "1"], "restart_epoch", 1),
    (["--disable-hot-restart"], "disable_hot_restart", True),
    (["--file-flush-interval-msec", "50"], "file_flush_interval_msec", 50),
    (["--file-flush-min-size-kb", "1"], "file_flush_min_size_kb", 1),
    (["--allow-unknown-static-fields"], "allow_unknown_static_fields", True),
    (["--allow-unknown-fields"], "allow_unknown_static_fields", True),
    (["--strict"], "strict", True),
    (["--skip-deprecated-logs"], "skip_deprecated_logs", True),
    (["--filter-path", "/a", "--filter-path", "/b"], "filter_path", ["/a", "/b"]),
])
def test_each_flag_sets_its_option_and_leaves_the_others(
    arguments: List[str], field: str, value: Any
) -> None:
    expected = Options()
    setattr(expected, field, value)
    assert parse_options(PROG, arguments) == expected


@pytest.mark.parametrize("name, takes_value", _HARMLESS)
def test_a_flag_about_what_does_not_exist_here_is_accepted_and_changes_nothing(
    name: str, takes_value: bool
) -> None:
    assert parse_options(PROG, [name, "a:b", name, "c:d"] if takes_value else [name]) == Options()


@pytest.mark.parametrize("arguments, message", [
    (["-l", "loud"], "error: invalid log level specified 'loud'"),
    (["-l", ""], "error: invalid log level specified ''"),
    (["--component-log-level", "nosuch:debug"], "error: invalid component specified 'nosuch'"),
    (["--component-log-level", "config"], "error: component log level not correctly specified 'config'"),
    (["--component-log-level", "config:loud"], "error: invalid log level specified 'loud'"),
    (["--mode", "bogus"], "error: unknown mode 'bogus'"),
    (["--mode", "init_only"], "error: --mode init_only is not supported"),
    (["--drain-strategy", "bogus"], "error: unknown drain-strategy 'bogus'"),
    (["--concurrency", "2"], "error: --concurrency 2 is not supported"),
    (["--concurrency", "-1"], "error: --concurrency: expected"),
    (["--drain-time-s", "1.5"],
     "error: --drain-time-s: expected a whole number from 0 to 4294967295, found '1.5'"),
    (["--drain-time-s", "4294967296"], "found '4294967296'"),
    (["--drain-time-s", ""], "found ''"),
    (["--drain-time-s"], "expected one argument"),
    (["--log-levl", "info"], "error: unknown option '--log-levl'; did you mean '--log-level'?"),
    (["--log-levl=info"], "error: unknown option '--log-levl'; did you mean '--log-level'?"),
    (["--conf", "a.json"], "error: unknown option '--conf'"),
    (["--bogus-thing"], "error: unknown option '--bogus-thing'\n"),
    (["-c", "a.json", "b.json"], "error: unexpected argument 'b.json'"),
])
def test_a_wrong_command_line_is_told_in_one_sentence_with_exit_code_2(
    arguments: List[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_options(PROG, arguments)
    said = capsys.readouterr()
    assert end.value.code == 2
    assert said.out == ""
    assert message in said.err
    assert "--help" in said.err


def test_an_abbreviation_of_a_flag_is_not_taken_for_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(PROG, ["--service-clu", "x"])
    assert "did you mean '--service-cluster'?" in capsys.readouterr().err


def test_filters_of_ones_own_are_looked_for_in_the_given_places_before_the_directory_of_the_file() -> None:
    options = Options(config_path="/etc/proxy/a.json", filter_path=["/one", "two"])
    assert filter_directories(options) == ["/one", "two", "/etc/proxy"]
    assert filter_directories(Options(config_yaml="{}")) == []


def test_the_options_are_shown_with_envoys_names_and_formats() -> None:
    shown = Options(drain_time_s=5, file_flush_interval_msec=50, drain_strategy="immediate").to_json()
    assert shown["drain_time"] == "5s"
    assert shown["file_flush_interval"] == "0.05s"
    assert shown["drain_strategy"] == "Immediate"
    assert shown["mode"] == "Serve"
    assert shown["base_id"] == "0"


@pytest.mark.parametrize("text, value", [("0", 0), ("65535", 65535), ("00080", 80)])
def test_ports_that_are_ports(text: str, value: int) -> None:
    assert port_number(text) == value


@pytest.mark.parametrize("kind, text", [
    (port_number, "65536"), (port_number, "-1"), (port_number, ""), (port_number, "\u0661"),
    (port_number, "8 0"),
    (whole_number, "1e3"), (whole_number, "99999999999999999999"), (whole_number, "\u00b2"),
    (whole_number, "+1"),
    (seconds, "0"), (seconds, "nan"), (seconds, "inf"), (seconds, "soon"), (seconds, "-1"),
    (seconds, "86401"),
])
def test_values_that_are_no_values(kind: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        kind(text)


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert suggestion("--zzz", ["--mode", "--strict"]) == ""
    assert suggestion("--strct", ["--mode", "--strict"]) == "; did you mean '--strict'?"


def test_help_ends_with_exit_code_0_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Parser("prog", description="What it is.").parse(["--help"])
    assert end.value.code == 0
    assert "What it is." in capsys.readouterr().out


def test_the_help_names_every_flag_of_envoy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(PROG, ["--help"])
    text = capsys.readouterr().out
    envoys = """
        --stats-tag --enable-core-dump --socket-mode --socket-path --disable-extensions --cpuset-threads
        --enable-mutex-tracing --disable-hot-restart --mode --parent-shutdown-time-s
        --drain-strategy --drain-time-s
        --file-flush-min-size-kb --file-flush-interval-msec --service-zone --service-node --service-cluster
        --hot-restart-version --restart-epoch --log-path --enable-fine-grain-logging
        --log-format-escaped --log-format
        --component-log-level --log-level --local-address-ip-version --admin-address-path
        --log-stacktrace-single-entry --skip-deprecated-logs --ignore-unknown-dynamic-fields
        --reject-unknown-dynamic-fields --allow-unknown-static-fields --allow-unknown-fields --config-yaml
        --config-path --concurrency --base-id-path --skip-hot-restart-parent-stats
        --skip-hot-restart-on-no-parent
        --use-dynamic-base-id --base-id --version --help
    """.split()
    assert [flag for flag in envoys if flag not in text] == []
