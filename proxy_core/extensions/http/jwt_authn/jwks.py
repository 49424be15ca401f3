"""A set of keys (RFC 7517), and checking a token's signature with them. Mirrors `google::jwt_verify::Jwks` and `verifyJwt`.

A key checks only what its kind can sign: a public key is never taken for the secret of an HMAC.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Callable, Dict, Final, FrozenSet, List, NamedTuple, Tuple

from . import ecdsa, ed25519, rsa
from .status import Status
from .token import Token, from_base64url, parse_json

Verify = Callable[[str, bytes, bytes], bool]

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_HMAC: Final = frozenset({"HS256", "HS384", "HS512"})
_EDDSA: Final = frozenset({"EdDSA"})
_CURVES: Final[Dict[str, Tuple[ecdsa.Curve, str]]] = {
    "P-256": (ecdsa.P256, "ES256"), "P-384": (ecdsa.P384, "ES384"), "P-521": (ecdsa.P521, "ES512"),
}
_HASHES: Final = {"256": "sha256", "384": "sha384", "512": "sha512"}
_NO_KEYS: Final = Status.NO_VALID_KEYS.text
_BAD_EC: Final = "Jwks EC [x] and [y] fields have a parse error."


class Key(NamedTuple):
    """One key. algorithms: those it can check; alg: the only one it is meant for, "" for any. verify: called with algorithm,
    signed bytes and signature."""

    kid: str
    alg: str
    algorithms: FrozenSet[str]
    verify: Verify


class Jwks:
    """Keys that can be used."""

    __slots__ = ("_keys",)

    def __init__(self, keys: List[Key]) -> None:
        self._keys = keys

    def check(self, token: Token) -> Status:
        """Whether one of the keys has signed this token. OK if so."""
        matched = False
        for key in self._keys:
            if token.kid and key.kid and key.kid != token.kid:
                continue
            if key.alg and key.alg != token.algorithm:
                continue
            matched = True
            if token.algorithm in key.algorithms and key.verify(token.algorithm, token.signed, token.signature):
                return Status.OK
        if not matched:
            return Status.NO_MATCHING_KEY
        wrong_length = token.algorithm == "EdDSA" and len(token.signature) != ed25519.SIGNATURE_BYTES
        return Status.ED25519_LENGTH if wrong_length else Status.VERIFICATION_FAILS


def parse_jwks(data: bytes) -> Jwks:
    """Read a JSON Web Key Set. Keys of unknown kinds are left out. Raises ValueError with Envoy's sentence if none is left."""
    try:
        value = parse_json(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("Jwks is an invalid JSON")
    if "keys" not in value:
        raise ValueError("Jwks does not have [keys] field")
    if not isinstance(value["keys"], list):
        raise ValueError("[keys] in Jwks is not an array")
    keys, why = [], _NO_KEYS
    for one in value["keys"]:
        try:
            if isinstance(one, dict):
                keys.append(_key(one))
        except ValueError as error:
            why = str(error)
    if not keys:
        raise ValueError(why)
    return Jwks(keys)


def _key(jwk: Dict[str, Any]) -> Key:
    kind = jwk.get("kty")
    if kind is None:
        raise ValueError("[kty] is missing in [keys]")
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise ValueError("[kty] is not supported in [keys]")
    kid, alg = jwk.get("kid", ""), jwk.get("alg", "")
    kid, alg = kid if isinstance(kid, str) else "", alg if isinstance(alg, str) else ""
    algorithms, verify = make(jwk, alg)
    return Key(kid, alg, algorithms, verify)


def _rsa_key(jwk: Dict[str, Any], alg: str) -> Tuple[FrozenSet[str], Verify]:
    if alg and alg[:2] not in ("RS", "PS"):
        raise ValueError("[alg] is not started with [RS] or [PS] for an RSA key")
    bad = "Jwks RSA [n] or [e] field is missing or has a parse error"
    key = rsa.PublicKey(_number(jwk, "n", bad), _number(jwk, "e", bad))
    if not key.is_sound:
        raise ValueError(bad)

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        check = rsa.verify_pss if algorithm.startswith("PS") else rsa.verify_pkcs1
        return check(key, _HASHES[algorithm[2:]], signed, signature)
    return _RSA, verify


def _ec_key(jwk: Dict[str, Any], alg: str) -> Tuple[FrozenSet[str], Verify]:
    if alg and not alg.startswith("ES"):
        raise ValueError("[alg] is not started with [ES] for an EC key")
    curve, algorithm_of_curve = _CURVES.get(jwk.get("crv", ""), (None, ""))
    if curve is None:
        raise ValueError(_BAD_EC if "crv" not in jwk else "[crv] field in Jwks is not supported")
    key = _ec_public_key(curve, jwk)

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        return key.verify(_HASHES[algorithm[2:]], signed, signature)
    return frozenset({algorithm_of_curve}), verify


def _ec_public_key(curve: ecdsa.Curve, jwk: Dict[str, Any]) -> ecdsa.PublicKey:
    x, y = (_number(jwk, name, "Jwks EC [x] or [y] field is an invalid Base64.") for name in ("x", "y"))
    try:
        return ecdsa.PublicKey(curve, x, y)
    except ValueError:
        raise ValueError(_BAD_EC) from None


def _okp_key(jwk: Dict[str, Any], alg: str) -> Tuple[FrozenSet[str], Verify]:
    if alg and alg != "EdDSA":
        raise ValueError("[alg] is not [EdDSA] for an OKP key")
    if jwk.get("crv") != "Ed25519":
        raise ValueError("[crv] field set is not supported for an OKP key")
    data = _bytes(jwk, "x", "Jwks OKP [x] field is an invalid Base64.")
    if len(data) != ed25519.KEY_BYTES:
        raise ValueError("Jwks OKP [x] field is wrong length.")
    key = ed25519.PublicKey(data)

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        return key.verify(signed, signature)
    return _EDDSA, verify


def _oct_key(jwk: Dict[str, Any], alg: str) -> Tuple[FrozenSet[str], Verify]:
    if alg and not alg.startswith("HS"):
        raise ValueError("[alg] does not start with [HS] for an HMAC key")
    if "k" not in jwk:
        raise ValueError("[k] field is missing for an HMAC key")
    secret = _bytes(jwk, "k", "Jwks Oct key is an invalid Base64")

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        digest = hmac.new(secret, signed, getattr(hashlib, _HASHES[algorithm[2:]])).digest()
        return hmac.compare_digest(digest, signature)
    return _HMAC, verify


def _bytes(jwk: Dict[str, Any], name: str, bad: str) -> bytes:
    """A field that holds base64url. Raises ValueError(bad) for anything else, and for nothing."""
    text = jwk.get(name)
    try:
        data = from_base64url(text) if isinstance(text, str) else b""
    except ValueError:
        data = b""
    if not data:
        raise ValueError(bad)
    return data


def _number(jwk: Dict[str, Any], name: str, bad: str) -> int:
    return int.from_bytes(_bytes(jwk, name, bad), "big")


_KINDS: Final = {"RSA": _rsa_key, "EC": _ec_key, "OKP": _okp_key, "oct": _oct_key}
