"""Each kind of field by itself: what it reads, what it refuses, how it prints and how its schema says it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_core.config.context import Context, Wrong, found, nearest
from proxy_core.config.fields import (
    Bool, Bytes, Double, Duration, Enum, Int32, Int64, String, Struct, TypeRegistry, UInt32, UInt64, Value,
)
from proxy_core.config.kinds import Kind, seconds_text

CONTEXT = Context(TypeRegistry())
COLOUR = Enum(RED=0, GREEN=1, DARK_BLUE=7)


def read(kind: Kind[Any], value: Any) -> Any:
    result = kind.decode(value, "p", CONTEXT)
    kind.constrain(result)
    return result


@pytest.mark.parametrize(
    "kind, value, expected",
    [
        (String(), "", ""),
        (String(min_len=1), "é", "é"),
        (String(max_bytes=2), "é", "é"),
        (String(choices=("A", "B")), "B", "B"),
        (Bool(), True, True),
        (Bool(), "true", True),
        (Bool(), "FALSE", False),
        (UInt32(), 5, 5),
        (UInt32(), 5.0, 5),
        (UInt32(), 1e3, 1000),
        (UInt32(), "5", 5),
        (UInt32(), "05", 5),
        (UInt32(), "5.0", 5),
        (UInt32(), "5e2", 500),
        (UInt32(), "-0", 0),
        (UInt32(), "4294967295", 4294967295),
        (Int32(), "-2147483648", -2147483648),
        (UInt64(), "18446744073709551615", 2**64 - 1),
        (UInt64(), 18446744073709551615, 2**64 - 1),
        (Int64(), "9007199254740993", 2**53 + 1),
        (Double(), "1.5", 1.5),
        (Double(), 3, 3.0),
        (Double(gte=0, lte=100), 100, 100.0),
        (Duration(), "0s", 0.0),
        (Duration(), "-0s", 0.0),
        (Duration(), "05s", 5.0),
        (Duration(), "1.5s", 1.5),
        (Duration(), "0.000000001s", 1e-9),
        (Duration(gt=0, lt=300), "299.999s", 299.999),
        (Duration(gte=0.001), "0.001s", 0.001),
        (COLOUR, "GREEN", "GREEN"),
        (COLOUR, "dark_blue", "DARK_BLUE"),
        (COLOUR, 7, "DARK_BLUE"),
        (COLOUR, 7.0, "DARK_BLUE"),
        (COLOUR, "7", "DARK_BLUE"),
        (Bytes(), "AQI=", b"\x01\x02"),
        (Bytes(), "AQI", b"\x01\x02"),
        (Bytes(), "-_8=", b"\xfb\xff"),
        (Bytes(), "+/8=", b"\xfb\xff"),
        (Bytes(), "", b""),
        (Struct(), {"a": [None, {}]}, {"a": [None, {}]}),
        (Value(), [1], [1]),
    ],
)
def test_good_values_are_read_by_the_rules_of_proto3_json(kind: Kind[Any], value: Any, expected: Any) -> None:
    result = read(kind, value)
    assert result == expected and type(result) is type(expected)
    assert read(kind, kind.dump(result)) == result


@pytest.mark.parametrize(
    "kind, value, message, hint",
    [
        (String(), 5, "expected a string, found 5", ""),
        (String(min_len=1), "", 'expected a string of at least 1 character, found ""', ""),
        (String(min_len=2), "a", 'expected a string of at least 2 characters, found "a"', ""),
        (String(max_bytes=1), "é", "expected a string of at most 1 bytes, found 2 bytes", ""),
        (String(choices=("AB", "CD")), "AX", 'expected one of AB, CD, found "AX"', ""),
        (Bool(), 1, "expected true or false, found 1", ""),
        (UInt32(lte=65535), 70000, "expected an integer from 0 to 65535, found 70000", ""),
        (UInt32(), 5.5, "expected an integer from 0 to 4294967295, found 5.5", ""),
        (UInt32(), "eighty", 'expected an integer from 0 to 4294967295, found "eighty"', ""),
        (UInt32(), True, "expected an integer from 0 to 4294967295, found true", ""),
        (Double(gte=0, lte=100), 101, "expected a number of at least 0 and at most 100, found 101", ""),
        (Double(), float("inf"), "expected a number, found Infinity", ""),
        (
            Duration(), "5", 'expected a duration such as "1.5s", found "5"',
            'duration must end with a single \'s\': write "5s"',
        ),
        (
            Duration(), 0.25, 'expected a duration such as "1.5s", found 0.25',
            'duration must end with a single \'s\': write "0.25s"',
        ),
        (Duration(), "250ms", 'expected a duration such as "1.5s", found "250ms"', 'write "0.250s"'),
        (Duration(), "2h", 'expected a duration such as "1.5s", found "2h"', 'write "7200s"'),
        (Duration(gt=0), "0s", 'expected a duration such as "1.5s", more than 0s, found 0s', ""),
        (Duration(gte=0.001), "0s", 'expected a duration such as "1.5s", at least 0.001s, found 0s', ""),
        (Duration(lt=300), "300s", 'expected a duration such as "1.5s", less than 300s, found 300s', ""),
        (Duration(), "-1s", 'Invalid duration: Expected positive duration, found "-1s"', ""),
        (COLOUR, "GRENE", 'expected one of RED, GREEN, DARK_BLUE, found "GRENE"', "did you mean `GREEN`?"),
        (COLOUR, 2, "expected one of RED, GREEN, DARK_BLUE, found 2", ""),
        (COLOUR, 0.5, "expected one of RED, GREEN, DARK_BLUE, found 0.5", ""),
        (Bytes(), "a b", 'expected bytes as base64 text, found "a b"', ""),
        (Struct(), [], "expected an object, found []", ""),
    ],
)
def test_bad_values_say_what_was_found_and_what_was_expected(
    kind: Kind[Any], value: Any, message: str, hint: str
) -> None:
    with pytest.raises(Wrong) as caught:
        read(kind, value)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    "value, text",
    [
        ({}, "{}"), ([], "[]"), (None, "null"), ([1, {"a": 1}], "[1, {}]"), ("é", '"é"'),
        ("x" * 100, '"' + "x" * 56 + "..."), (10**80, '"a number of more than 75 digits"'),
    ],
)
def test_what_was_found_is_shown_short(value: Any, text: str) -> None:
    assert found(value) == text


def test_what_was_found_is_cheap_to_show_for_huge_values() -> None:
    assert len(found({str(n) * 99: list(range(1000)) for n in range(1000)})) <= 60
    assert len(found(["y" * 10_000_000] * 1000)) <= 60


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.0, "0s"), (5.0, "5s"), (0.25, "0.250s"), (1.000001, "1.000001s"), (1e-9, "0.000000001s"),
        (3e11, "300000000000s"),
    ],
)
def test_durations_are_printed_with_no_three_six_or_nine_decimals(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_numbers_are_printed_as_envoy_prints_them() -> None:
    assert (UInt32().dump(5), UInt64().dump(5), Int64().dump(-5)) == (5, "5", "-5")
    assert (Double().dump(2.0), Double().dump(1.5), Bytes().dump(b"\x01")) == (2, 1.5, "AQ==")


def test_the_nearest_name_is_found_by_likeness_or_as_a_part() -> None:
    names = ["port_value", "named_port", "address", "stat_prefix"]
    assert nearest("prot_value", names) == "port_value"
    assert nearest("port", names) == "port_value"
    assert nearest("statprefix", names) == "stat_prefix"
    assert nearest("zzz", names) == "" and nearest("po", names) == ""


def test_kinds_without_a_default_can_not_be_plain_fields() -> None:
    for kind in (Duration(), Struct(), Value()):
        with pytest.raises(TypeError):
            kind.zero()
