"""What the three kinds of checks say and hear on a connection: every split, every prefix, and what is no protocol at all."""

from __future__ import annotations

import random
from typing import Any, Callable, List, Optional

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.health_check import HttpHealthCheck, Redis, TcpHealthCheck
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.network.address import Address
from proxy_core.observe.stats import Counter
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.testing.splits import splits
from proxy_core.upstream.health.dialogue import Dialogue, InOrder
from proxy_core.upstream.health.http import HttpKind
from proxy_core.upstream.health.outcome import Outcome
from proxy_core.upstream.health.redis import RedisKind
from proxy_core.upstream.health.tcp import TcpKind

INFO = StreamInfo(1, 0.0, 0.0)


class Here:
    """The ends of a connection that does not exist."""

    local = Address.from_ip("127.0.0.1", 4000)
    remote = Address.from_ip("127.0.0.1", 80)


def tcp(**config: Any) -> TcpKind:
    return TcpKind(decode(TcpHealthCheck, config, TypeRegistry()))


def http(**config: Any) -> HttpKind:
    message = decode(HttpHealthCheck, {"path": "/ping", **config}, TypeRegistry())
    return HttpKind(message, "the-cluster", Counter("verified"), "check")


def redis(key: str = "") -> RedisKind:
    return RedisKind(Redis(key=key), Counter("exists"))


def said(outcome: Optional[Outcome]) -> Any:
    if outcome is None:
        return None
    return outcome.failure, outcome.retriable, outcome.status, outcome.degraded, outcome.excluded


def hear(dialogue: Dialogue, pieces: List[bytes], eof: bool = False) -> Any:
    """What a probe comes to that hears these pieces; the rest of them is not heard once there is an outcome."""
    dialogue.begin()
    for piece in pieces:
        outcome = dialogue.receive(piece)
        if outcome is not None:
            return said(outcome)
    return said(dialogue.receive_eof()) if eof else None


def hex_texts(*pieces: bytes) -> List[Any]:
    return [{"text": piece.hex()} for piece in pieces]


PASSED = ("", False, 0, False, False)
FAILED = ("ACTIVE", False, 0, False, False)
LOST = ("NETWORK", False, 0, False, False)
TWO_HUNDRED = ("", False, 200, False, False)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"

Case = Any
# (new dialogue, bytes, outcome, whether the connection may be used again)
WHOLE: List[Case] = [
    (lambda: tcp(receive=hex_texts(b"PONG", b"OK")).new_dialogue("", INFO, Here()), b"xxPONGyyOK", PASSED, True),
    (lambda: tcp(receive=hex_texts(b"aab")).new_dialogue("", INFO, Here()), b"aaaab", PASSED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"+PONG\r\n", PASSED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"+OK\r\n", FAILED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"-NOAUTH Authentication required.\r\n", FAILED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"-MOVED 3999 127.0.0.1:6381\r\n", PASSED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"-ASK 3999 127.0.0.1:6381\r\n", PASSED, True),
    (lambda: redis().new_dialogue("", INFO, Here()), b"-MOVED away\r\n", FAILED, True),
    (lambda: redis("down").new_dialogue("", INFO, Here()), b":0\r\n", PASSED, True),
    (lambda: redis("down").new_dialogue("", INFO, Here()), b":1\r\n", FAILED, True),
    (lambda: redis("down").new_dialogue("", INFO, Here()), b"+PONG\r\n", FAILED, True),
    (lambda: http().new_dialogue("", INFO, Here()), OK, TWO_HUNDRED, True),
    (lambda: http().new_dialogue("", INFO, Here()), b"HTTP/1.1 100 Continue\r\n\r\n" + OK, TWO_HUNDRED, True),
    (lambda: http().new_dialogue("", INFO, Here()),
     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", TWO_HUNDRED, True),
    (lambda: http().new_dialogue("", INFO, Here()),
     b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", TWO_HUNDRED, False),
    (lambda: http().new_dialogue("", INFO, Here()), b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", TWO_HUNDRED, False),
    (lambda: http(method="HEAD").new_dialogue("", INFO, Here()), b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n",
     TWO_HUNDRED, True),
    (lambda: http().new_dialogue("", INFO, Here()), b"HTTP/1.1 503 Ill\r\ncontent-length: 0\r\n\r\n",
     ("ACTIVE", False, 503, False, False), True),
    (lambda: http(receive=hex_texts(b"bo", b"y")).new_dialogue("", INFO, Here()), OK, TWO_HUNDRED, True),
]


@pytest.mark.parametrize(("new", "data", "outcome", "reusable"), WHOLE)
def test_an_answer_means_the_same_however_it_is_cut(
    new: Callable[[], Dialogue], data: bytes, outcome: Any, reusable: bool
) -> None:
    for pieces in splits(data):
        dialogue = new()
        assert hear(dialogue, pieces) == outcome, pieces
        assert dialogue.reusable is reusable, pieces


@pytest.mark.parametrize(("new", "data", "outcome", "reusable"), WHOLE)
def test_an_answer_that_ends_early_is_none(new: Callable[[], Dialogue], data: bytes, outcome: Any, reusable: bool) -> None:
    for end in range(len(data)):
        assert hear(new(), [data[:end]] if end else [], eof=True) == LOST, data[:end]


@pytest.mark.parametrize(("new", "data", "outcome", "reusable"), WHOLE)
def test_a_second_probe_on_the_connection_hears_its_own_answer(
    new: Callable[[], Dialogue], data: bytes, outcome: Any, reusable: bool
) -> None:
    dialogue = new()
    for _ in range(3 if reusable else 1):
        assert hear(dialogue, [data]) == outcome


@pytest.mark.parametrize(("new", "data", "outcome", "reusable"), WHOLE)
def test_damaged_answers_never_do_worse_than_fail(
    new: Callable[[], Dialogue], data: bytes, outcome: Any, reusable: bool
) -> None:
    generator = random.Random(len(data))
    for _ in range(120):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        found = hear(new(), [bytes(damaged)], eof=True)
        assert found[0] in ("", "ACTIVE", "NETWORK")


# -- TCP ---------------------------------------------------------------------------------------------------------------

def test_a_connection_is_all_that_a_tcp_check_without_receive_wants() -> None:
    dialogue = tcp(send={"text": "50"}).new_dialogue("", INFO, Here())
    assert dialogue.begin() == b"" and said(dialogue.connected()) == PASSED and not dialogue.reusable
    assert said(dialogue.receive(b"noise")) is None


def test_what_is_sent_may_be_hexadecimal_or_base64() -> None:
    for send in ({"text": "50494e47"}, {"binary": "UElORw=="}):
        dialogue = tcp(send=send, receive=hex_texts(b"PONG")).new_dialogue("", INFO, Here())
        assert dialogue.connected() is None
        assert dialogue.begin() == b"PING"


def test_pieces_must_come_in_their_order_and_not_overlap() -> None:
    for pieces, stream, found in (
        ((b"ab", b"cd"), b"cdab", False), ((b"aa", b"aa"), b"aaa", False), ((b"aa", b"aa"), b"aaxaa", True),
        ((b"a",) * 4, b"aaa", False), ((), b"", True),
    ):
        for cut in splits(stream) if stream else [[b""]]:
            matcher = InOrder(pieces)
            assert any([matcher.feed(piece) for piece in cut]) is found


def test_a_long_answer_that_never_matches_is_not_kept() -> None:
    matcher = InOrder([b"needle"])
    for _ in range(100):
        assert not matcher.feed(b"x" * 10_000)
    assert len(matcher._tail) == 5


def test_each_probe_of_a_connection_needs_the_whole_answer() -> None:
    dialogue = tcp(receive=hex_texts(b"PONG")).new_dialogue("", INFO, Here())
    assert hear(dialogue, [b"PO"]) is None
    assert hear(dialogue, [b"NG"]) is None


@pytest.mark.parametrize(("version", "header"), [
    ("V1", b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 80\r\n"), ("V2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
])
def test_a_proxy_header_comes_once_and_first(version: str, header: bytes) -> None:
    kind = tcp(send={"text": "50"}, receive=hex_texts(b"x"), proxy_protocol_config={"version": version})
    dialogue = kind.new_dialogue("", INFO, Here())
    assert [dialogue.begin(), dialogue.begin()] == [header + b"P", b"P"]


# -- Redis -------------------------------------------------------------------------------------------------------------

def test_redis_commands_are_arrays_of_bulk_strings() -> None:
    assert redis().new_dialogue("", INFO, Here()).begin() == b"*1\r\n$4\r\nPING\r\n"
    assert redis("maint\u00e9").new_dialogue("", INFO, Here()).begin() == b"*2\r\n$6\r\nEXISTS\r\n$7\r\nmaint\xc3\xa9\r\n"


@pytest.mark.parametrize(("reply", "outcome"), [
    (b"HTTP/1.1 400 Bad Request\r\n", LOST), (b"\r\n", LOST), (b":1x\r\n", LOST), (b"+" + b"x" * 70_000, LOST),
    (b"$4\r\nPONG\r\n", FAILED), (b"*1\r\n+PONG\r\n", FAILED), (b"+PONG\r\n+PONG\r\n", PASSED),
])
def test_after_what_was_not_asked_for_a_redis_connection_is_done(reply: bytes, outcome: Any) -> None:
    dialogue = redis().new_dialogue("", INFO, Here())
    assert hear(dialogue, [reply]) == outcome
    assert not dialogue.reusable


def test_a_key_that_is_there_is_counted() -> None:
    counter = Counter("exists")
    kind = RedisKind(Redis(key="down"), counter)
    for reply in (b":1\r\n", b":0\r\n", b":2\r\n", b"-ERR\r\n"):
        hear(kind.new_dialogue("", INFO, Here()), [reply])
    assert counter.value == 2


# -- HTTP --------------------------------------------------------------------------------------------------------------

def test_the_request_is_envoys_to_the_byte() -> None:
    assert http().new_dialogue("", INFO, Here()).begin() == (
        b"GET /ping HTTP/1.1\r\nhost: the-cluster\r\nuser-agent: Envoy/HC\r\n\r\n"
    )
    assert b"host: configured\r\n" in http(host="configured").new_dialogue("", INFO, Here()).begin()
    assert b"host: endpoint\r\n" in http(host="configured").new_dialogue("endpoint", INFO, Here()).begin()


def test_headers_are_removed_and_added_as_configured() -> None:
    def option(key: str, value: str, **fields: Any) -> Any:
        return {"header": {"key": key, "value": value}, **fields}
    kind = http(
        path="/a?b=c", method="POST", request_headers_to_remove=["User-Agent"],
        request_headers_to_add=[
            option("X-One", "1"), option("x-one", "2"), option("x-two", "a", append_action="ADD_IF_ABSENT"),
            option("x-two", "b", append_action="ADD_IF_ABSENT"), option("x-one", "3", append=False),
            option("x-none", "", append_action="OVERWRITE_IF_EXISTS"), option("x-empty", ""),
            option("x-kept", "", keep_empty_value=True), option("x-flags", "%RESPONSE_FLAGS%"),
        ],
    )
    assert kind.new_dialogue("", INFO, Here()).begin() == (
        b"POST /a?b=c HTTP/1.1\r\nhost: the-cluster\r\nx-one: 3\r\nx-two: a\r\nx-kept: \r\nx-flags: -\r\n"
        b"content-length: 0\r\n\r\n"
    )


def test_a_format_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        http(request_headers_to_add=[{"header": {"key": "a", "value": "%NOT_AN_OPERATOR%"}}])
    assert caught.value.problems[0].path == "check.request_headers_to_add[0].header.value"


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


FAIL = "x-envoy-immediate-health-check-fail: yes"


@pytest.mark.parametrize(("config", "response", "outcome"), [
    ({}, answer(201), ("ACTIVE", False, 201, False, False)),
    ({"expected_statuses": [{"start": 201, "end": 204}]}, answer(203), ("", False, 203, False, False)),
    ({"expected_statuses": [{"start": 201, "end": 204}]}, answer(204), ("ACTIVE", False, 204, False, False)),
    ({"expected_statuses": [{"start": 201, "end": 204}]}, answer(200), ("ACTIVE", False, 200, False, False)),
    ({"retriable_statuses": [{"start": 500, "end": 501}]}, answer(500), ("ACTIVE", True, 500, False, False)),
    ({"retriable_statuses": [{"start": 200, "end": 300}]}, answer(200), ("", False, 200, False, False)),
    ({}, answer(503, FAIL), ("ACTIVE", False, 503, False, True)),
    ({}, answer(200, FAIL), ("", False, 200, False, False)),
    ({}, answer(200, "x-envoy-degraded: "), ("", False, 200, True, False)),
    ({"receive": hex_texts(b"body")}, answer(200, body=b"bod"), ("ACTIVE", False, 200, False, False)),
    ({"receive": hex_texts(b"body")}, answer(200, FAIL, body=b"-"), ("ACTIVE", False, 200, False, True)),
    ({"receive": hex_texts(b"z")}, answer(200, body=b"y" * 1023 + b"z"), ("", False, 200, False, False)),
    ({"receive": hex_texts(b"z")}, answer(200, body=b"y" * 1024 + b"z"), ("ACTIVE", False, 200, False, False)),
    ({"receive": hex_texts(b"z"), "response_buffer_size": 0}, answer(200, body=b"y" * 5000 + b"z"), TWO_HUNDRED),
    ({"receive": hex_texts(b"z"), "response_buffer_size": 1}, answer(200, body=b"yz"), ("ACTIVE", False, 200, False, False)),
    ({"service_name_matcher": {"prefix": "svc"}}, answer(200, "x-envoy-upstream-healthchecked-cluster: svc-1"), TWO_HUNDRED),
    ({"service_name_matcher": {"prefix": "svc"}}, answer(200), ("ACTIVE", False, 200, False, False)),
])
def test_which_answers_are_good(config: Any, response: bytes, outcome: Any) -> None:
    assert hear(http(**config).new_dialogue("", INFO, Here()), [response]) == outcome


def test_looking_at_the_servers_name_is_counted() -> None:
    verified = Counter("verified")
    message = decode(HttpHealthCheck, {"path": "/", "service_name_matcher": {"exact": "a"}}, TypeRegistry())
    kind = HttpKind(message, "c", verified, "")
    for response in (answer(200), answer(503)):
        hear(kind.new_dialogue("", INFO, Here()), [response])
    assert verified.value == 1


def test_an_answer_that_only_the_end_of_the_connection_ends_is_one() -> None:
    dialogue = http(receive=hex_texts(b"end")).new_dialogue("", INFO, Here())
    assert hear(dialogue, [b"HTTP/1.1 200 OK\r\n\r\nthe ", b"end"], eof=True) == TWO_HUNDRED
    assert not dialogue.reusable


@pytest.mark.parametrize("response", [
    b"garbage\r\n\r\n", b"+PONG\r\n", b"HTTP/1.1 20 X\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 90_000 + b"\r\n\r\n",
])
def test_what_is_no_http_is_as_good_as_no_answer(response: bytes) -> None:
    dialogue = http().new_dialogue("", INFO, Here())
    assert hear(dialogue, [response]) == LOST
    assert not dialogue.reusable


def test_bytes_after_the_answer_spoil_the_connection_but_not_the_answer() -> None:
    dialogue = http().new_dialogue("", INFO, Here())
    assert hear(dialogue, [OK + b"more"]) == TWO_HUNDRED
    assert not dialogue.reusable


def test_a_host_that_closes_before_its_first_byte_has_said_nothing() -> None:
    assert hear(http().new_dialogue("", INFO, Here()), [], eof=True) == LOST
