"""Tokens and keys for the tests of jwt_authn: HMAC ones made here, others from `jwt_vectors.json`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

VECTORS: Dict[str, Any] = json.loads((Path(__file__).parent / "jwt_vectors.json").read_text(encoding="utf-8"))
TYPE = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3."
SECRET = b"0123456789abcdef0123456789abcdef"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


OCT = {"kty": "oct", "k": b64(SECRET)}


def sign(header: bytes, payload: bytes, secret: bytes = SECRET, algorithm: str = "sha256") -> str:
    """A token of exactly these texts."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), algorithm).digest())}"


def token(header: Any = None, **claims: Any) -> str:
    """A good token of the issuer "iss", unless the claims say otherwise."""
    return sign(json.dumps({"alg": "HS256", **(header or {})}).encode(), json.dumps({"iss": "iss", **claims}).encode())


def spoilt(text: str) -> str:
    """The same token with another signature."""
    head, _, signature = text.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def jwks(*keys: Any) -> str:
    return json.dumps({"keys": list(keys)})


def provider(*keys: Any, **fields: Any) -> Dict[str, Any]:
    return {"issuer": "iss", "local_jwks": {"inline_string": jwks(*(keys or (OCT,)))}, **fields}


def authn(requires: Any = None, providers: Any = None, **fields: Any) -> Dict[str, Any]:
    """The filter. requires: of all requests; by default a token of "p"."""
    rules = [{"match": {"prefix": "/"}, "requires": requires or {"provider_name": "p"}}]
    config = {"@type": f"{TYPE}JwtAuthentication", "providers": providers or {"p": provider()}, "rules": rules, **fields}
    return {"name": "jwt_authn", "typed_config": config}


def bearer(text: str) -> List[Tuple[str, str]]:
    return [("authorization", f"Bearer {text}")]
