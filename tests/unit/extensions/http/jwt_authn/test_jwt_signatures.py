"""Signatures of all kinds: vectors of RFC 7515, RFC 8032, RFC 8037 and of openssl; and what is nearly a signature."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any, Dict, List

import pytest

from proxy_core.extensions.http.jwt_authn import ecdsa, ed25519, rsa
from proxy_core.extensions.http.jwt_authn.jwks import Jwks, parse_jwks
from proxy_core.extensions.http.jwt_authn.status import Status
from proxy_core.extensions.http.jwt_authn.token import Token, from_base64url, parse
from tests.unit.extensions.http.jwt_authn.jwt_kit import VECTORS, b64, jwks, sign

TOKENS: Dict[str, str] = VECTORS["tokens"]
KEYS: List[Dict[str, Any]] = VECTORS["jwks"]["keys"]
CURVES = {"ES256": ecdsa.P256, "ES384": ecdsa.P384, "ES512": ecdsa.P521}


def keys(*some: Any) -> Jwks:
    return parse_jwks(jwks(*some).encode())


def changed(text: str, signature: bytes) -> Token:
    return parse(f"{text.rpartition('.')[0]}.{b64(signature)}")


def signature_of(text: str) -> bytes:
    return parse(text).signature


@pytest.mark.parametrize("name", sorted(VECTORS["rfc"]))
def test_the_examples_of_rfc_7515(name: str) -> None:
    vector = VECTORS["rfc"][name]
    assert keys(vector["jwk"]).check(parse(vector["token"])) is Status.OK


@pytest.mark.parametrize("algorithm", sorted(TOKENS))
def test_signatures_that_openssl_made(algorithm: str) -> None:
    found = keys(*KEYS)
    assert found.check(parse(TOKENS[algorithm])) is Status.OK
    good = bytearray(signature_of(TOKENS[algorithm]))
    for at in (0, len(good) // 2, len(good) - 1):
        good[at] ^= 1
        assert found.check(changed(TOKENS[algorithm], bytes(good))) is Status.VERIFICATION_FAILS
        good[at] ^= 1
    head, payload, signature = TOKENS[algorithm].split(".")
    other = b64(from_base64url(payload).replace(b"iss", b"isr", 1))
    assert found.check(parse(f"{head}.{other}.{signature}")) is Status.VERIFICATION_FAILS


@pytest.mark.parametrize(
    ("key", "message", "signature"),
    [
        ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
        ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
        (from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").hex(), b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".hex(),
         from_base64url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg").hex()),
    ],
)
def test_the_examples_of_rfc_8032_and_8037(key: str, message: str, signature: str) -> None:
    public = ed25519.PublicKey(bytes.fromhex(key))
    good = bytes.fromhex(signature)
    assert public.verify(bytes.fromhex(message), good) and not public.verify(bytes.fromhex(message) + b"x", good)
    # The same S beyond the group's order is another signature for the same text: refused (RFC 8032, section 5.1.7).
    order = 2**252 + 27742317777372353535851937790883648493
    more = int.from_bytes(good[32:], "little") + order
    assert not public.verify(bytes.fromhex(message), good[:32] + more.to_bytes(32, "little"))


@pytest.mark.parametrize("encoded", [b"", b"x" * 31, (2**255 - 19).to_bytes(32, "little"), (2).to_bytes(32, "little"), (1 + 2**255).to_bytes(32, "little")])
def test_what_is_no_ed25519_key(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="point"):
        ed25519.PublicKey(encoded)


# -- ECDSA -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", sorted(CURVES))
def test_r_and_s_must_be_in_range_and_of_the_curves_size(algorithm: str) -> None:
    curve, good, found = CURVES[algorithm], signature_of(TOKENS[algorithm]), keys(*KEYS)
    size = curve.size
    r, s = good[:size], good[size:]
    order, zero = curve.n.to_bytes(size, "big"), bytes(size)
    for bad in (b"", r, good + b"\0", b"\0" + good, zero + s, r + zero, zero + zero, order + s, r + order, b"\xff" * (2 * size)):
        status = found.check(changed(TOKENS[algorithm], bad)) if bad else Status.VERIFICATION_FAILS
        assert status is Status.VERIFICATION_FAILS
    if (int.from_bytes(r, "big") + curve.n).bit_length() <= 8 * size:
        more = (int.from_bytes(r, "big") + curve.n).to_bytes(size, "big")
        assert found.check(changed(TOKENS[algorithm], more + s)) is Status.VERIFICATION_FAILS


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_the_group_of_a_curve(curve: ecdsa.Curve) -> None:
    """n times the generator is nothing, and n - 1 times it is its mirror image."""
    key = ecdsa.PublicKey(curve, curve.gx, curve.gy)
    assert key._sum(curve.n, 0)[2] == 0 and key._sum(1, curve.n - 1)[2] == 0
    x, y, z = key._sum(0, curve.n - 1)
    assert (x * pow(z, -2, curve.p) % curve.p, y * pow(z, -3, curve.p) % curve.p) == (curve.gx, curve.p - curve.gy)


def test_signatures_that_are_made_here_with_a_known_secret() -> None:
    rng = random.Random(3)
    curve = ecdsa.P256
    generator = ecdsa.PublicKey(curve, curve.gx, curve.gy)

    def point(scalar: int) -> List[int]:
        x, y, z = generator._sum(scalar, 0)
        return [x * pow(z, -2, curve.p) % curve.p, y * pow(z, -3, curve.p) % curve.p]

    for _ in range(5):
        secret, nonce, message = rng.randrange(1, curve.n), rng.randrange(1, curve.n), rng.randbytes(40)
        public = ecdsa.PublicKey(curve, *point(secret))
        r = point(nonce)[0] % curve.n
        s = pow(nonce, -1, curve.n) * (int.from_bytes(hashlib.sha256(message).digest(), "big") + r * secret) % curve.n
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        assert public.verify("sha256", message, signature) and not public.verify("sha384", message, signature)
        assert not generator.verify("sha256", message, signature)


def test_a_point_that_is_not_on_the_curve_is_no_key() -> None:
    curve = ecdsa.P256
    for x, y in ((curve.gx, curve.gy + 1), (0, 0), (curve.gx + curve.p, curve.gy), (curve.gx, -curve.gy)):
        with pytest.raises(ValueError, match="curve"):
            ecdsa.PublicKey(curve, x, y)


# -- RSA ---------------------------------------------------------------------------------------------------------------


def _prime(bits: int, rng: random.Random) -> int:
    while True:
        number = rng.getrandbits(bits) | 1 | 1 << bits - 1 | 1 << bits - 2
        if all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11)) and (number - 1) % 65537:
            return number


@pytest.fixture(scope="module")
def pair() -> Any:
    """modulus, secret exponent, key; 1030 bits, so that the first byte of a signature is not full."""
    rng = random.Random(7)
    one, other = _prime(515, rng), _prime(515, rng)
    modulus, exponent = one * other, 65537
    return modulus, pow(exponent, -1, (one - 1) * (other - 1)), rsa.PublicKey(modulus, exponent)


def signed_as(pair: Any, encoded: bytes) -> bytes:
    modulus, secret, _ = pair
    size = (modulus.bit_length() + 7) // 8
    return pow(int.from_bytes(encoded, "big"), secret, modulus).to_bytes(size, "big")  # type: ignore[no-any-return]


def test_only_the_exact_encoding_of_pkcs_1_is_good(pair: Any) -> None:
    size = (pair[0].bit_length() + 7) // 8
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"text").digest()
    no_null = bytes.fromhex("302f300b0609608648016503040201") + info[17:]
    padding = size - len(info) - 3

    def check(encoded: bytes) -> bool:
        return rsa.verify_pkcs1(pair[2], "sha256", b"text", signed_as(pair, encoded))

    assert check(b"\0\1" + b"\xff" * padding + b"\0" + info)
    bad = [
        b"\0\2" + b"\xff" * padding + b"\0" + info, b"\0\1" + b"\xff" * (padding - 1) + b"\xfe\0" + info,
        b"\0\1" + b"\xff" * 8 + b"\0" + info + b"\xff" * (padding - 8),  # Bleichenbacher 2006: garbage behind the digest
        b"\0\1" + b"\xff" * (padding + 2) + b"\0" + no_null, b"\0\1" + b"\xff" * padding + b"\1" + info,
        b"\0\0" + b"\xff" * padding + b"\0" + info, bytes(size),
    ]
    assert not any(check(encoded[:size]) for encoded in bad)
    good = signed_as(pair, b"\0\1" + b"\xff" * padding + b"\0" + info)
    beyond = int.from_bytes(good, "big") + pair[0]
    assert not rsa.verify_pkcs1(pair[2], "sha256", b"text", good + b"\0") and not rsa.verify_pkcs1(pair[2], "sha256", b"text", good[1:])
    assert beyond.bit_length() > 8 * size or not rsa.verify_pkcs1(pair[2], "sha256", b"text", beyond.to_bytes(size, "big"))


def pss(pair: Any, salt: bytes, trailer: int = 0xBC, spoil_padding: bool = False, spoil_top: bool = False) -> bytes:
    bits = pair[0].bit_length() - 1
    size = (bits + 7) // 8
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(b"text").digest() + salt).digest()
    block = bytearray(size - 33)
    block[-len(salt) - 1:] = b"\1" + salt
    if spoil_padding:
        block[1] = 1
    mask = b"".join(hashlib.sha256(digest + counter.to_bytes(4, "big")).digest() for counter in range(9))
    masked = bytearray(one ^ other for one, other in zip(block, mask))
    masked[0] &= 0xFF >> (8 * size - bits)
    if spoil_top:
        masked[0] |= 0x80
    return signed_as(pair, bytes(masked) + digest + bytes([trailer]))


def test_only_the_exact_encoding_of_pss_is_good(pair: Any) -> None:
    def check(signature: bytes) -> bool:
        return rsa.verify_pss(pair[2], "sha256", b"text", signature)

    assert check(pss(pair, b"s" * 32))
    assert not check(pss(pair, b"s" * 31)) and not check(pss(pair, b"s" * 33)), "another length of the salt"
    assert not check(pss(pair, b"s" * 32, trailer=0xCC)) and not check(pss(pair, b"s" * 32, spoil_padding=True))
    assert not check(pss(pair, b"s" * 32, spoil_top=True)) and not check(b"") and not check(b"\0" * 129)


@pytest.mark.parametrize(("bits", "odd", "exponent"), [(1, 0, 3), (2048, 0, 65537), (511, 1, 1), (511, 1, 2), (400, 1, 3), (20000, 1, 3)])
def test_numbers_that_can_be_no_key(bits: int, odd: int, exponent: int) -> None:
    assert not rsa.PublicKey(2**bits + odd, exponent).is_sound


# -- sets of keys ------------------------------------------------------------------------------------------------------


def test_kid_and_alg_choose_the_key() -> None:
    text = TOKENS["RS256"]
    rsa_key = {name: value for name, value in KEYS[0].items() if name != "kid"}
    assert keys(rsa_key).check(parse(text)) is Status.OK
    assert keys({**rsa_key, "alg": "RS256"}).check(parse(text)) is Status.OK
    assert keys({**rsa_key, "alg": "RS512"}).check(parse(text)) is Status.NO_MATCHING_KEY
    assert keys(KEYS[1], rsa_key).check(parse(text)) is Status.OK
    assert keys(KEYS[1]).check(parse(text)) is Status.VERIFICATION_FAILS


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    """The known attack: an HMAC token signed with the bytes of the RSA key."""
    for key in KEYS:
        for secret in (json.dumps(key).encode(), str(key.get("n", key.get("x"))).encode(), from_base64url(str(key.get("n", key.get("x"))))):
            forged = sign(b'{"alg":"HS256"}', b'{"iss":"iss"}', secret)
            assert keys(key).check(parse(forged)) is Status.VERIFICATION_FAILS


def test_an_ed25519_key_does_not_stand_in_the_way_of_others() -> None:
    """In Envoy a token of another algorithm fails with "wrong length" as soon as such a key comes before its own."""
    assert keys(KEYS[4], *KEYS[:4]).check(parse(TOKENS["RS256"])) is Status.OK
    assert keys(KEYS[4]).check(changed(TOKENS["EdDSA"], b"short")) is Status.ED25519_LENGTH


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "Jwks is an invalid JSON"), ("[]", "Jwks is an invalid JSON"), ("{}", "Jwks does not have [keys] field"),
        ('{"keys":1}', "[keys] in Jwks is not an array"), ('{"keys":[]}', "Jwks doesn't have any valid public key"),
        ('{"keys":["x"]}', "Jwks doesn't have any valid public key"), (jwks({}), "[kty] is missing in [keys]"),
        (jwks({"kty": "oct"}), "[k] field is missing for an HMAC key"),
        (jwks({"kty": "oct", "k": ""}), "Jwks Oct key is an invalid Base64"),
        (jwks({"kty": "oct", "k": "a+/b"}), "Jwks Oct key is an invalid Base64"),
        (jwks({"kty": "oct", "k": "aa", "alg": "RS256"}), "[alg] does not start with [HS] for an HMAC key"),
        (jwks({"kty": "RSA", "n": "!!", "e": "AQAB"}), "Jwks RSA [n] or [e] field is missing or has a parse error"),
        (jwks({"kty": "RSA", "n": "AQ", "e": "AQAB"}), "Jwks RSA [n] or [e] field is missing or has a parse error"),
        (jwks({**KEYS[1], "crv": "P-384"}), "Jwks EC [x] and [y] fields have a parse error."),
        (jwks({**KEYS[1], "y": KEYS[1]["x"]}), "Jwks EC [x] and [y] fields have a parse error."),
        (jwks({**KEYS[1], "x": "*"}), "Jwks EC [x] or [y] field is an invalid Base64."),
        (jwks({"kty": "OKP", "crv": "Ed25519", "x": "aa"}), "Jwks OKP [x] field is wrong length."),
    ],
)
def test_sets_without_a_key_that_can_be_used(data: str, why: str) -> None:
    with pytest.raises(ValueError, match="^" + why.replace("[", "\\[").replace("]", "\\]").replace(".", "\\.") + "$"):
        parse_jwks(data.encode())


def test_keys_that_nobody_knows_are_left_out() -> None:
    assert keys({"kty": "new"}, {"kty": 1}, {"kty": "OKP", "crv": "X25519", "x": "aa"}, KEYS[0]).check(parse(TOKENS["RS256"])) is Status.OK
