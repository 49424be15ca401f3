"""One token, taken apart (RFC 7515, RFC 7519). Mirrors `google::jwt_verify::Jwt`.

Nothing in a `Token` is to be trusted before its signature is checked, which `jwks` does.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Dict, Final, List, NamedTuple, NoReturn, Tuple

from .status import Status

ALGORITHMS: Final = frozenset({
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}\Z")
_MOST_NUMBER: Final = 2**64
_MOST_DEPTH: Final = 100  # of objects in objects, as protobuf's JSON parser
_BLANKS: Final = {ord(character): None for character in " \t\r\n"}


class BadToken(Exception):
    """What is wrong with it. status: in the client's words."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.text)
        self.status = status


class Token(NamedTuple):
    """signed: the bytes that the signature is of. payload_text: as it stands in the token. Times in seconds since the epoch, 0
    where there is none."""

    algorithm: str
    kid: str
    issuer: str
    subject: str
    audiences: Tuple[str, ...]
    not_before: int
    expires: int
    signed: bytes
    signature: bytes
    payload_text: str
    header: Dict[str, Any]
    payload: Dict[str, Any]

    def time_status(self, now: float, skew: float) -> Status:
        """Whether it is valid at this time, give or take `skew` seconds. OK if so."""
        if now + skew < self.not_before:
            return Status.NOT_YET_VALID
        if self.expires and now > self.expires + skew:
            return Status.EXPIRED
        return Status.OK


def parse(text: str) -> Token:
    """Read a token in compact form. text: characters of the wire. Raises `BadToken`."""
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise BadToken(Status.BAD_FORMAT)
    header = _object(parts[0], Status.HEADER_BASE64, Status.HEADER_JSON)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise BadToken(Status.HEADER_ALG)
    if algorithm not in ALGORITHMS:
        raise BadToken(Status.HEADER_ALG_UNKNOWN)
    kid = _text(header, "kid", Status.HEADER_KID)
    payload = _object(parts[1], Status.PAYLOAD_BASE64, Status.PAYLOAD_JSON)
    issuer, subject = _text(payload, "iss", Status.ISS), _text(payload, "sub", Status.SUB)
    _time(payload, "iat", Status.IAT, Status.IAT_RANGE)
    not_before = _time(payload, "nbf", Status.NBF, Status.NBF_RANGE)
    expires = _time(payload, "exp", Status.EXP, Status.EXP_RANGE)
    _text(payload, "jti", Status.JTI)
    audiences = _audiences(payload)
    try:
        signature = from_base64url(parts[2])
    except ValueError:
        raise BadToken(Status.SIGNATURE_BASE64) from None
    signed = f"{parts[0]}.{parts[1]}".encode("latin-1")
    return Token(
        algorithm, kid, issuer, subject, audiences, not_before, expires, signed, signature, parts[1], header, payload,
    )


def from_base64url(text: str) -> bytes:
    """RFC 4648, section 5, with or without padding; blanks don't count. Raises ValueError."""
    text = text.translate(_BLANKS)
    if not _BASE64URL.match(text) or len(text.rstrip("=")) % 4 == 1 or ("=" in text and len(text) % 4):
        raise ValueError("invalid base64url")
    text = text.rstrip("=")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parse_json(data: bytes) -> Any:
    """Strict JSON: UTF-8, each key once, no number beyond those of a double, not too deep. Raises ValueError."""
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_double,
        )
    except RecursionError:
        raise ValueError("too deep") from None
    _check_depth(value, _MOST_DEPTH)
    return value


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise ValueError("too deep")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        _check_depth(one, left - 1)


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _integer(text: str) -> int:
    _double(text)
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _object(text: str, bad_base64: Status, bad_json: Status) -> Dict[str, Any]:
    try:
        data = from_base64url(text)
    except ValueError:
        raise BadToken(bad_base64) from None
    try:
        value = parse_json(data)
    except ValueError:
        raise BadToken(bad_json) from None
    if not isinstance(value, dict):
        raise BadToken(bad_json)
    return value


def _text(claims: Dict[str, Any], name: str, bad: Status) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise BadToken(bad)
    return value


def _time(claims: Dict[str, Any], name: str, bad: Status, out_of_range: Status) -> int:
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadToken(bad)
    if not 0 <= value < _MOST_NUMBER:
        raise BadToken(out_of_range)
    return int(value)


def _audiences(claims: Dict[str, Any]) -> Tuple[str, ...]:
    value = claims.get("aud", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise BadToken(Status.AUD)
    return tuple(values)
