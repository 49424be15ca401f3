"""The strict reading of JSON text: good documents, every sort of broken one, valid ones not allowed."""

from __future__ import annotations

import json
from typing import Any, List, Tuple, Union

import pytest

from proxy_core.config import json_text
from proxy_core.config.json_text import MAX_DEPTH, parse, parse_object
from proxy_core.errors import ConfigError

GOOD = '{"a": [1, 2.5, "é\\u00e9\\ud83d\\ude00", true, null], "b": {"c": {}, "d": []}}'


def problems(data: Union[bytes, str], source: str = "f.json") -> List[Tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        parse(data, source)
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "data", [GOOD, GOOD.encode(), "\ufeff" + GOOD, b"\xef\xbb\xbf" + GOOD.encode(), f" \n{GOOD}\n"]
)
def test_good_json_is_read_as_text_or_utf_8_with_or_without_a_byte_order_mark(
    data: Union[bytes, str],
) -> None:
    assert parse(data, "f.json") == json.loads(GOOD)


def test_every_prefix_of_a_document_is_an_error_with_a_place_and_never_a_crash() -> None:
    data = GOOD.encode()
    for end in range(1, len(data)):
        path, message, _ = problems(data[:end])[0]
        assert path == "" and message.startswith("f.json: not ")


@pytest.mark.parametrize(
    "data, source, message, hint",
    [
        (b"", "f.json", "f.json: the configuration is empty", "the smallest one is {}"),
        (b" \n\t", "f.json", "f.json: the configuration is empty", "the smallest one is {}"),
        (
            b"{ this is not json", "f.json",
            "f.json: not JSON at line 1, column 3: Expecting property name enclosed in double quotes", "",
        ),
        (b'{\n "a": 1 // x\n}', "f.json", "f.json: not JSON at line 2, column 9: Expecting ',' delimiter",
         "JSON has no comments"),
        (b'{"a": 1 # x\n}', "f.json", "f.json: not JSON at line 1, column 9: Expecting ',' delimiter",
         "JSON has no comments"),
        (b"{} {}", "f.json", "f.json: not JSON at line 1, column 4: Extra data", ""),
        (b"node:\n  id: x\n", "f.yaml", "f.yaml: not JSON at line 1, column 1: Expecting value",
         "YAML is not supported: convert the file to JSON"),
        ("node: {}", "--config-yaml", "--config-yaml: not JSON at line 1, column 1: Expecting value",
         "this build reads only JSON there, no other YAML"),
        (b"\x0a\x00", "f.pb", "f.pb: not JSON at line 2, column 1: Expecting value",
         "only JSON is supported"),
        (b'{"a":\n "\xff"}', "f.json", "f.json: not valid UTF-8 at line 2, byte 3: invalid start byte", ""),
        ("{}".encode("utf-16"), "f.json", "f.json: not valid UTF-8 at line 1, byte 1: invalid start byte",
         "save the file as UTF-8"),
        (b"1" * 6000 + b"x", "f.json", None, ""),
    ],
)
def test_what_is_not_json_is_refused_with_line_and_column(
    data: Union[bytes, str], source: str, message: Any, hint: str
) -> None:
    found = problems(data, source)
    assert len(found) == 1 and found[0][0] == ""
    assert message is None or found[0][1:] == (message, hint)


def test_a_comma_too_many_and_single_quotes_have_a_hint_on_every_python() -> None:
    assert problems("{'a': 1}")[0][2] == "JSON takes double quotes only"
    assert problems('{"a": 1,}')[0][1].startswith("f.json: not JSON at line 1, column ")


def test_keys_given_twice_are_named_with_their_place() -> None:
    text = '{"a": {"b": 1, "b": 2, "c": [{"d": 1, "x": 1, "d": 1, "d": 1}]}, "a b": {"e": 1, "e": 1}}'
    assert problems(text) == [
        ("a.b", 'the key "b" is given more than once', ""),
        ("a.c[0].d", 'the key "d" is given more than once', ""),
        ('["a b"].e', 'the key "e" is given more than once', ""),
    ]


def test_numbers_that_are_not_finite_are_refused_at_their_path() -> None:
    text = "expected a finite number, found one that is not (NaN, Infinity, or too large)"
    assert problems('{"a": [NaN, 1, Infinity], "b": {"c": -Infinity, "d": 1e999}}') == [
        ("a[0]", text, ""), ("a[2]", text, ""), ("b.c", text, ""), ("b.d", text, ""),
    ]


def test_an_integer_of_thousands_of_digits_never_crashes() -> None:
    try:
        assert parse("9" * 20_000, "f.json") > 0
    except ConfigError as error:
        assert "too many digits" in str(error)


def test_half_a_surrogate_pair_is_refused_in_values_and_keys() -> None:
    assert [path for path, _, _ in problems('{"a": ["\\ud800"], "\\udc00": 1}')] == ["a[0]", '["\\udc00"]']


def test_nesting_has_protobufs_limit() -> None:
    assert parse(nested(MAX_DEPTH), "f.json") is not None
    assert [message for _, message, _ in problems(nested(MAX_DEPTH + 1))] == ["nested deeper than 100 levels"]
    for depth in (1000, 5000, 200_000):
        assert "nested deeper than 100 levels" in problems(nested(depth))[0][1]
    assert "nested deeper than 100 levels" in problems('{"a":' * 3000 + "1" + "}" * 3000)[0][1]


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_BYTES", 10)
    assert parse(b'{"a": 123}', "f.json") == {"a": 123}
    assert problems(b'{"a": 1234}')[0][1] == "f.json: 11 bytes are more than the limit of 10 (64 MiB)"


@pytest.mark.parametrize("text, shown", [("[]", "[]"), ("null", "null"), ("5", "5"), ('"x"', '"x"')])
def test_a_configuration_must_be_an_object(text: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_object(text, "f.json")
    assert str(caught.value) == f"f.json: expected an object, found {shown}"
    assert parse_object("{}", "f.json") == {}
