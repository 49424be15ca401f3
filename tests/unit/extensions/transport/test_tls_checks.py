"""SAN matchers, hashes, the choice of a certificate by server name, and the texts of failures."""

from __future__ import annotations

import base64
import hashlib
import ssl
from typing import Any, Dict, List

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.fields import TypeRegistry
from proxy_core.extensions.transport.tls import config, reasons
from proxy_core.extensions.transport.tls.checks import CertificateChecks
from proxy_core.extensions.transport.tls.contexts import ContextMaker, ContextTable
from proxy_core.extensions.transport.tls.material import Identity, load_identity
from proxy_core.observe.x509 import Certificate, split_pem
from tests.support.tls_end import TlsEnd, client_context, data_source, pem, tls_certificate

CLIENT = Certificate(split_pem(pem("client.crt").encode())[0])
SERVER = Certificate(split_pem(pem("server.crt").encode())[0])


def decoded(message_class: Any, **fields: Any) -> Any:
    context = Context(TypeRegistry())
    message = decode_message(message_class, fields, "", context)
    assert not context.problems
    return message


def checks(**fields: Any) -> CertificateChecks:
    message = decoded(config.CertificateValidationContext, trusted_ca=data_source("ca.crt"), **fields)
    return CertificateChecks(message)


def san(san_type: str, **matcher: Any) -> Dict[str, Any]:
    return {"match_typed_subject_alt_names": [{"san_type": san_type, "matcher": matcher}]}


@pytest.mark.parametrize("fields, passes", [
    (san("DNS", exact="client.test"), True), (san("DNS", exact="CLIENT.test"), True),
    (san("DNS", exact="other.test"), False), (san("URI", exact="client.test"), False),
    (san("URI", prefix="spiffe://test/"), True), (san("URI", suffix="/client"), True),
    (san("URI", contains="TEST", ignore_case=True), True), (san("URI", contains="TEST"), False),
    (san("URI", safe_regex={"regex": "spiffe://[a-z]+/client"}), True),
    (san("URI", safe_regex={"regex": "spiffe"}), False), (san("IP_ADDRESS", exact="10.0.0.1"), True),
    (san("EMAIL", exact="me@client.test"), True), (san("EMAIL", exact="you@client.test"), False),
])
def test_san_matchers(fields: Dict[str, Any], passes: bool) -> None:
    refusal = checks(**fields).refuse(CLIENT)
    assert (refusal is None) == passes
    if refusal is not None:
        assert refusal.stat == "fail_verify_san"
        assert refusal.why == (
            "SAN matcher, certificate SANs are [client.test, spiffe://test/client, 10.0.0.1, me@client.test, upn@test, , ]"
        )


@pytest.mark.parametrize("wanted, passes", [
    ("a.wild.test", True), ("A.WILD.test", True), ("a.b.wild.test", False), ("wild.test", False), ("*.wild.test", True),
])
def test_a_wildcard_in_the_certificate_stands_for_one_label(wanted: str, passes: bool) -> None:
    assert (checks(**san("DNS", exact=wanted)).refuse(SERVER) is None) == passes


def test_an_address_is_compared_by_its_value() -> None:
    assert checks(**san("IP_ADDRESS", exact="0:0:0::1")).refuse(SERVER) is None


def test_one_matcher_of_several_is_enough() -> None:
    two = [{"san_type": "DNS", "matcher": {"exact": "x"}}, {"san_type": "URI", "matcher": {"prefix": "spiffe:"}}]
    assert checks(match_typed_subject_alt_names=two).refuse(CLIENT) is None


def test_hashes_of_the_certificate_or_of_its_key() -> None:
    digest = CLIENT.fingerprint("sha256")
    key = base64.b64encode(hashlib.sha256(CLIENT.public_key).digest()).decode()
    colons = ":".join(digest[at:at + 2] for at in range(0, 64, 2)).upper()
    other = {"verify_certificate_spki": [base64.b64encode(b"x" * 32).decode()]}
    for fields in ({"verify_certificate_hash": [digest]}, {"verify_certificate_hash": ["0" * 64, colons]},
                   {"verify_certificate_spki": [key]}, {"verify_certificate_hash": [digest], **other}):
        assert checks(**fields).refuse(CLIENT) is None
        refusal = checks(**fields).refuse(SERVER)
        assert refusal is not None and refusal.stat == "fail_verify_cert_hash"


def test_nothing_to_check_is_known_beforehand() -> None:
    assert not checks().any and checks(**san("DNS", exact="a")).any


# -- which certificate -------------------------------------------------------------------------------------------------

def identities(*names: str) -> List[Identity]:
    return [load_identity(decoded(config.TlsCertificate, **tls_certificate(name)), "") for name in names]


def table(*names: str) -> ContextTable:
    return ContextTable(identities(*names), ContextMaker(config.DownstreamTlsContext(), None, ""))


@pytest.mark.parametrize("asked, subject", [
    ("alpha.test", "CN=alpha.test"), ("ALPHA.test", "CN=alpha.test"), ("server.test", "CN=server.test"),
    ("x.wild.test", "CN=server.test"), ("by-name.test", "CN=by-name.test"), ("nobody.test", "CN=alpha.test"),
    ("x.y.wild.test", "CN=alpha.test"), ("wild", "CN=alpha.test"), ("", "CN=alpha.test"),
])
def test_the_server_name_chooses_the_certificate(asked: str, subject: str) -> None:
    contexts = table("alpha", "server", "by_name")
    assert contexts.certificate_of(contexts.find(asked)).subject == subject


def shown(contexts: ContextTable, name: str, version: str = "TLSv1.3", ciphers: str = "") -> str:
    """The subject of the certificate that a client is shown."""
    context = client_context(version)
    if ciphers:
        context.set_ciphers(ciphers)
    client = TlsEnd(context, name=name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = contexts.default.wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(4):
        incoming.write(client.take())
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            pass
        client.feed(outgoing.read())
    data = client.session.getpeercert(binary_form=True)
    assert data is not None
    return Certificate(data).key_type if ciphers else Certificate(data).subject


def test_a_client_is_shown_the_chosen_certificate() -> None:
    contexts = table("alpha", "server")
    assert [shown(contexts, name) for name in ("server.test", "alpha.test", "a.wild.test", "else.test")] == [
        "CN=server.test", "CN=alpha.test", "CN=server.test", "CN=alpha.test",
    ]


def test_a_client_is_shown_the_type_of_key_that_it_knows() -> None:
    contexts = table("server", "server_rsa")
    rsa = shown(contexts, "server.test", "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
    ecdsa = shown(contexts, "server.test", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert (rsa, ecdsa) == ("1.2.840.113549.1.1.1", "1.2.840.10045.2.1")


# -- texts -------------------------------------------------------------------------------------------------------------

def error(reason: str, number: int = 1) -> ssl.SSLError:
    made = ssl.SSLError(number, "text")
    made.reason = reason
    return made


@pytest.mark.parametrize("reason, text", [
    ("HTTP_REQUEST", "268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST"),
    ("HTTPS_PROXY_REQUEST", "268435611:SSL routines:OPENSSL_internal:HTTPS_PROXY_REQUEST"),
    ("WRONG_VERSION_NUMBER", "268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"),
    ("UNSUPPORTED_PROTOCOL", "268435696:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL"),
    ("PACKET_LENGTH_TOO_LONG", "268435602:SSL routines:OPENSSL_internal:ENCRYPTED_LENGTH_TOO_LONG"),
    ("SSLV3_ALERT_HANDSHAKE_FAILURE", "268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ("TLSV1_ALERT_UNKNOWN_CA", "268436504:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "268435648:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:"
     "peer did not provide required client certificate"),
    ("NEVER_HEARD_OF", "77:SSL routines:OPENSSL_internal:NEVER_HEARD_OF"),
])
def test_failures_are_named_and_numbered_as_envoy_does(reason: str, text: str) -> None:
    assert reasons.describe(error(reason, 77)) == f"TLS_error:|{text}:TLS_error_end"


@pytest.mark.parametrize("said, text", [
    ("[SSL] tlsv1 alert no application protocol (_ssl.c:1006)",
     "268436576:SSL routines:OPENSSL_internal:TLSV1_ALERT_NO_APPLICATION_PROTOCOL"),
    ("unknown error (_ssl.c:1)", "1:SSL routines:OPENSSL_internal:UNKNOWN_ERROR"),
    ("", "1:SSL routines:OPENSSL_internal:UNKNOWN"),
])
def test_a_reason_that_python_has_no_name_for_is_taken_from_the_words(said: str, text: str) -> None:
    made = ssl.SSLError(1, said)
    made.reason = None  # what it is when Python has no name
    assert reasons.describe(made) == f"TLS_error:|{text}:TLS_error_end"


@pytest.mark.parametrize("code, message, text", [
    (10, "certificate has expired", "certificate has expired"),
    (18, "self-signed certificate", "self signed certificate"),  # OpenSSL 3
    (18, "self signed certificate", "self signed certificate"),
    (26, "unsuitable certificate purpose", "unsupported certificate purpose"),
    (23, "certificate revoked", "certificate revocation check against provided CRLs failed: certificate revoked"),
    (3, "unable to get certificate CRL",
     "certificate revocation check against provided CRLs failed: unable to get certificate CRL"),
])
def test_a_certificate_that_does_not_verify(code: int, message: str, text: str) -> None:
    made = ssl.SSLCertVerificationError(1, "text")
    made.verify_code, made.verify_message = code, message
    assert reasons.describe(made) == (
        "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: "
        f"X509_verify_cert: certificate verification error at depth 0: {text}:TLS_error_end"
    )
