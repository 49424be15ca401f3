"""Tokens taken apart: what is one, and Envoy's words for what is none."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from proxy_core.extensions.http.jwt_authn.provider import claim_text, plain_audience
from proxy_core.extensions.http.jwt_authn.query import decoded_parameters, without_parameter
from proxy_core.extensions.http.jwt_authn.status import Status
from proxy_core.extensions.http.jwt_authn.token import BadToken, from_base64url, parse, parse_json
from tests.unit.extensions.http.jwt_authn.jwt_kit import b64, sign, token

HEADER = b'{"alg":"HS256"}'
H, P = b64(HEADER), b64(b'{"iss":"iss"}')


def status_of(text: str) -> Status:
    try:
        parse(text)
    except BadToken as bad:
        return bad.status
    return Status.OK


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"{H}.{P}.AA", Status.OK), (f"{H}.{P}.AA==", Status.OK), (f" {H}.{P}.AA", Status.OK),
        ("", Status.BAD_FORMAT), ("a.b", Status.BAD_FORMAT), ("a.b.c.d", Status.BAD_FORMAT), ("...", Status.BAD_FORMAT),
        ("a..b", Status.BAD_FORMAT),
        ("a.b.c", Status.HEADER_BASE64), (f"{H}=.{P}.AA", Status.HEADER_BASE64), (f"{b64(b'[]')}.{P}.AA", Status.HEADER_JSON),
        (f"{b64(HEADER[:-1])}.{P}.AA", Status.HEADER_JSON), (f"{b64(b'{}')}.{P}.AA", Status.HEADER_ALG),
        (f"{b64(b'{0}')}.{P}.AA", Status.HEADER_JSON),
        (f"{H}.e3=0.AA", Status.PAYLOAD_BASE64), (f"{H}.{b64(b'[1]')}.AA", Status.PAYLOAD_JSON),
        (f"{H}.{P}.A*", Status.SIGNATURE_BASE64),
        (f"{H}.{P}.A", Status.SIGNATURE_BASE64), (f"{H}.{P}.é", Status.SIGNATURE_BASE64),
        (f"{H}.{P}.AA, x", Status.SIGNATURE_BASE64),
    ],
)
def test_the_three_parts(text: str, status: Status) -> None:
    assert status_of(text) is status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"alg": 1}, Status.HEADER_ALG), ({"alg": "none"}, Status.HEADER_ALG_UNKNOWN),
        ({"alg": "hs256"}, Status.HEADER_ALG_UNKNOWN),
        ({"alg": "HS256", "kid": 1}, Status.HEADER_KID), ({"alg": "HS256", "kid": None}, Status.HEADER_KID),
        ({"alg": "ES512", "kid": "a"}, Status.OK),
    ],
)
def test_the_header(header: Any, status: Status) -> None:
    assert status_of(sign(json.dumps(header).encode(), b"{}")) is status


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iss": 1}, Status.ISS), ({"sub": []}, Status.SUB), ({"iat": "x"}, Status.IAT), ({"iat": -1}, Status.IAT_RANGE),
        ({"iat": 1.5}, Status.OK),
        ({"nbf": "x"}, Status.NBF), ({"nbf": -1}, Status.NBF_RANGE), ({"exp": "1"}, Status.EXP),
        ({"exp": -0.5}, Status.EXP_RANGE),
        ({"exp": 1e30}, Status.EXP_RANGE), ({"exp": None}, Status.EXP), ({"exp": True}, Status.EXP),
        ({"exp": 2**64}, Status.EXP_RANGE),
        ({"jti": 1}, Status.JTI), ({"aud": 1}, Status.AUD), ({"aud": ["a", 1]}, Status.AUD), ({"aud": "x"}, Status.OK),
        ({"aud": []}, Status.OK),
    ],
)
def test_the_claims(claims: Any, status: Status) -> None:
    assert status_of(token(**claims)) is status


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"a","iss":"b"}', b'{"x":NaN}', b'{"x":-Infinity}', b'{"x":"\xff"}', b'{"x":1}x', b"{'x':1}", b'{"x":1e999}',
        b'{"x":' + b"9" * 400 + b"}", b'{"x":' + b"9" * 5000 + b"}", b'{"x":' + b"[" * 300 + b"]" * 300 + b"}", b"[" * 100_000, b"",
    ],
)
def test_what_two_parsers_might_read_differently_is_no_json(payload: bytes) -> None:
    text = sign(HEADER, payload)
    assert status_of(text) is (Status.PAYLOAD_JSON if payload else Status.BAD_FORMAT)


def test_the_time_with_some_skew() -> None:
    text = parse(token(nbf=1000, exp=2000))
    expected = {939.9: Status.NOT_YET_VALID, 940.0: Status.OK, 2060.0: Status.OK, 2060.1: Status.EXPIRED}
    assert {now: text.time_status(now, 60) for now in expected} == expected
    assert parse(token(exp=0)).time_status(1e12, 0) is Status.OK, "0 is no expiration, as in Envoy"


def test_every_prefix_and_mutation_of_a_token_is_read_or_refused() -> None:
    rng, text = random.Random(1), token(aud=["a"], exp=5)
    for end in range(len(text)):
        status_of(text[:end])
    for _ in range(2000):
        broken = list(text)
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] = chr(rng.randrange(1, 256))
        status_of("".join(broken))


def test_base64url_is_read_as_it_is_written() -> None:
    for size in range(20):
        data = bytes(range(251, 251 - size, -1))
        assert from_base64url(b64(data)) == data
    for bad in ("A", "AAAAA", "A+", "A/", "A=", "AA=", "AAA==", "=", "AA\0"):
        with pytest.raises(ValueError, match="base64url"):
            from_base64url(bad)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("me", "me"), ("", ""), (None, ""), (True, "true"), (False, "false"), (42, "42"), (0, "0"), (1.0, "1"),
        (1e15, "1000000000000000"),
        (9007199254740993, "9007199254740992"), (-5, "-5.000000"), (1.5, "1.500000"), (1e20, "100000000000000000000.000000"),
        (2**64 - 1, "18446744073709551616.000000"), ([], "W10="), ({}, "e30="), ({"k": [1, "é"]}, "eyJrIjpbMSwiw6kiXX0="),
        ("\ud800", "\ud800"),
    ],
)
def test_claims_as_text(value: Any, text: str) -> None:
    assert claim_text(value) == text


@pytest.mark.parametrize(("text", "plain"), [("a", "a"), ("a/", "a"), ("http://a/", "a"), ("https://a", "a"), ("ftp://a", "ftp://a"), ("", ""), ("/", "")])
def test_audiences_are_compared_without_scheme_and_slash(text: str, plain: str) -> None:
    assert plain_audience(text) == plain


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/", "/"), ("/?t=1", "/"), ("/?a=%20b+c&t=1&d", "/?a=%20b+c&d"), ("/?%74=1&a", "/?a"), ("/?t", "/"),
        ("/?tt=1", "/?tt=1"), ("/p?t=1&t=2", "/p"),
        ("/t=1", "/t=1"), ("/?a#?t=1", "/?a#?t=1"), ("/?t=1#f", "/#f"),
    ],
)
def test_a_parameter_is_taken_out_and_the_others_stay_as_they_are(path: str, left: str) -> None:
    assert without_parameter(path, "t") == left


def test_parameters_are_decoded() -> None:
    assert decoded_parameters("/?a=%41%zz&%62&c=1=2") == [("a", "A%zz"), ("b", ""), ("c", "1=2")]


def test_json_that_is_good() -> None:
    assert parse_json(b' {"a": [1, 2.5, null, true, "\\u00e9"]} ') == {"a": [1, 2.5, None, True, "é"]}
