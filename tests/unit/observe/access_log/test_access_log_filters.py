"""Access-log filters over configuration messages (as plain objects with Envoy's field names)."""

from __future__ import annotations

from types import SimpleNamespace as Message
from typing import Any, Optional

import pytest

from proxy_core.observe.access_log.filters import Sources, compile_filter
from proxy_core.observe.access_log.values import LogContext
from proxy_core.observe.stream_info import StreamInfo


def passes(
    message: Any, info: Optional[StreamInfo] = None, log_type: str = "TcpConnectionEnd", draw: float = 0.5,
    **runtime: Any,
) -> bool:
    info = info or StreamInfo(1, 0.0, 10.0)
    return compile_filter(message, Sources(lambda: draw, runtime.get))(info, LogContext(log_type, 0.0, 10.2))


def comparison(op: str, number: int) -> Message:
    return Message(comparison=Message(op=op, value=Message(default_value=number, runtime_key="k")))


@pytest.mark.parametrize(
    ("op", "number", "expected"),
    [
        ("EQ", 200, True),
        ("EQ", 199, False),
        ("GE", 200, True),
        ("GE", 201, False),
        ("LE", 200, True),
        ("LE", 199, False),
        ("NE", 0, True),
        ("NE", 200, False),
    ],
)
def test_duration_compares_milliseconds(op: str, number: int, expected: bool) -> None:
    assert passes(Message(duration_filter=comparison(op, number))) is expected


def test_the_status_code_of_a_tcp_connection_is_zero() -> None:
    assert passes(Message(status_code_filter=comparison("EQ", 0)))
    assert not passes(Message(status_code_filter=comparison("GE", 400)))


def test_response_flags_any_of_or_any_at_all() -> None:
    info = StreamInfo(1, 0.0, 0.0)
    some, at_all = Message(response_flag_filter=Message(flags=["UF", "UH"])), Message(
        response_flag_filter=Message(flags=[])
    )
    assert not passes(some, info) and not passes(at_all, info)
    info.add_flag("DC")
    assert not passes(some, info) and passes(at_all, info)
    info.add_flag("UF")
    assert passes(some, info)


def test_an_unknown_response_flag_is_refused() -> None:
    with pytest.raises(ValueError, match="no response flag 'XX'"):
        compile_filter(Message(response_flag_filter=Message(flags=["UF", "XX"])))


def test_log_types_in_and_out() -> None:
    message = Message(types=["TcpConnectionStart", "TcpPeriodic"], exclude=False)
    assert passes(Message(log_type_filter=message), log_type="TcpPeriodic")
    assert not passes(Message(log_type_filter=message))
    message.exclude = True
    assert passes(Message(log_type_filter=message))


def test_a_share_of_lines() -> None:
    message = sampled(Message(numerator=50, denominator="HUNDRED"))
    assert passes(message, draw=0.49) and not passes(message, draw=0.5)
    assert not passes(sampled(Message(numerator=50, denominator="MILLION")), draw=0.49)
    assert not passes(sampled(None), draw=0.0)


def sampled(percent: Optional[Message]) -> Message:
    return Message(runtime_filter=Message(runtime_key="k", percent_sampled=percent))


@pytest.mark.parametrize(
    ("value", "draw", "expected"),
    [(0, 0.0, False), (100, 0.99, True), (30, 0.29, True), (30, 0.31, False), ("no number", 0.49, True), (None, 0.49, True),
     ({"numerator": 5, "denominator": "TEN_THOUSAND"}, 0.001, False), ({"numerator": 5}, 0.04, True)],
)
def test_the_runtime_key_of_a_share_wins_over_the_configured_one(value: Any, draw: float, expected: bool) -> None:
    assert passes(sampled(Message(numerator=50, denominator="HUNDRED")), draw=draw, k=value) is expected


def test_the_runtime_key_of_a_comparison_wins_over_its_default() -> None:
    assert passes(Message(duration_filter=comparison("GE", 100_000)), k=100)
    assert not passes(Message(duration_filter=comparison("GE", 1)), k="100000")


def test_nothing_is_traceable_where_nothing_is_traced() -> None:
    assert not passes(Message(traceable_filter=Message()))


def test_and_or_nest() -> None:
    yes = Message(not_health_check_filter=Message())
    no = Message(status_code_filter=comparison("EQ", 5))
    assert not passes(Message(and_filter=Message(filters=[yes, no])))
    assert passes(Message(or_filter=Message(filters=[no, Message(and_filter=Message(filters=[yes, yes]))])))


def metadata(value: Message, invert: bool = False, without: Optional[bool] = None) -> Message:
    matcher = Message(filter="ns", path=[Message(key="a"), Message(key="b")], value=value, invert=invert)
    return Message(metadata_filter=Message(matcher=matcher, match_if_key_not_found=without))


def string(**kinds: Any) -> Message:
    return Message(string_match=Message(**kinds))


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [
        (string(exact="x"), "x", True),
        (string(exact="x"), 1, False),
        (string(prefix="AB", ignore_case=True), "abc", True),
        (string(suffix="c"), "abc", True),
        (string(contains="z"), "abc", False),
        (string(safe_regex=Message(regex="a.c")), "abc", True),
        (string(safe_regex=Message(regex="a.")), "abc", False),
        (Message(bool_match=False), False, True),
        (Message(bool_match=True), 1, False),
        (Message(double_match=Message(exact=2.0)), 2, True),
        (Message(double_match=Message(range=Message(start=1, end=2))), 2, False),
        (Message(double_match=Message(exact=1.0)), True, False),
        (Message(present_match=True), "any", True),
        (Message(null_match=Message()), None, True),
        (Message(null_match=Message()), 0, False),
        (Message(list_match=Message(one_of=string(exact="x"))), ["y", "x"], True),
        (Message(or_match=Message(value_matchers=[string(exact="p"), string(exact="q")])), "q", True),
    ],
)
def test_metadata_values(value: Message, found: Any, expected: bool) -> None:
    info = StreamInfo(1, 0.0, 0.0)
    info.dynamic_metadata = {"ns": {"a": {"b": found}}}
    assert passes(metadata(value), info) is expected
    assert passes(metadata(value, invert=True), info) is not expected


def test_missing_metadata_passes_unless_told_otherwise() -> None:
    value = string(exact="x")
    assert passes(metadata(value))
    assert not passes(metadata(value, without=False))
    assert not passes(Message(metadata_filter=Message(matcher=None, match_if_key_not_found=False)))


class Request:
    def request_header(self, name: str) -> Optional[str]:
        return {"x-n": "15"}.get(name)


def header(**fields: Any) -> Message:
    return Message(header_filter=Message(header=Message(**{"name": "X-N", "invert_match": False, **fields})))


@pytest.mark.parametrize(
    ("message", "with_http", "tcp"),
    [
        (header(), True, False),
        (header(invert_match=True), False, True),
        (header(present_match=False), False, True),
        (header(string_match=Message(exact="15")), True, False),
        (header(exact_match="16", invert_match=True), True, False),
        (header(range_match=Message(start=10, end=16)), True, False),
        (header(safe_regex_match=Message(regex=r"\d+")), True, False),
        (header(string_match=Message(exact=""), treat_missing_header_as_empty=True), False, True),
    ],
)
def test_headers_and_their_absence_on_tcp(message: Message, with_http: bool, tcp: bool) -> None:
    info = StreamInfo(1, 0.0, 0.0)
    assert passes(message, info) is tcp
    info.http = Request()
    assert passes(message, info) is with_http


@pytest.mark.parametrize(
    "message",
    [
        Message(),
        Message(extension_filter=Message()),
        metadata(Message()),
        metadata(string()),
        metadata(string(safe_regex=Message(regex="("))),
    ],
)
def test_an_empty_or_unsupported_filter_is_refused(message: Message) -> None:
    with pytest.raises(ValueError):
        compile_filter(message)
