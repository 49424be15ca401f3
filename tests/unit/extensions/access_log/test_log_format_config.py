"""`log_format` of the access loggers: each way to give a format, and formats that can't be had."""

from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.core import SubstitutionFormatString
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.extensions.access_log.registry import compile_format
from proxy_core.observe.access_log.format import FormatCompiler
from proxy_core.observe.access_log.values import LogContext
from proxy_core.observe.stream_info import StreamInfo


def message(**fields: Any) -> SubstitutionFormatString:
    return decode(SubstitutionFormatString, fields, TypeRegistry([]))


def line(config: Any) -> str:
    formatter = compile_format(config, FormatCompiler(), "a.typed_config")
    return formatter.format(StreamInfo(4, 0.0, 0.0), LogContext("NotSet", 0.0, 0.0))


def test_each_way_to_give_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "format"
    file.write_text("file %CONNECTION_ID%\n")
    monkeypatch.setenv("LOG_FORMAT", "env %CONNECTION_ID%")
    cases: List[Dict[str, Any]] = [
        {"text_format": "text %CONNECTION_ID%"},
        {"text_format_source": {"inline_string": "inline %CONNECTION_ID%"}},
        {"text_format_source": {"filename": str(file)}},
        {"text_format_source": {"environment_variable": "LOG_FORMAT"}},
        {"json_format": {"id": "%CONNECTION_ID%"}},
        {"text_format": "[%UPSTREAM_HOST%]", "omit_empty_values": True},
    ]
    assert [line(message(**case)) for case in cases] == [
        "text 4", "inline 4", "file 4\n", "env 4", '{"id":4}\n', "[]",
    ]


def test_no_format_is_the_line_made_for_tcp() -> None:
    assert "[C4]" in line(None)


def test_a_format_file_that_is_not_there_is_a_problem_with_its_path(tmp_path: Path) -> None:
    config = message(text_format_source={"filename": str(tmp_path / "no")})
    with pytest.raises(ConfigError) as caught:
        line(config)
    assert caught.value.problems[0].path == "a.typed_config.log_format.text_format_source.filename"


def test_an_unknown_operator_is_refused_with_envoys_sentence() -> None:
    with pytest.raises(ValueError, match="Not supported field in StreamInfo: BOGUS"):
        line(message(text_format="%BOGUS%"))
