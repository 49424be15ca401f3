"""The messages of TLS transport sockets, named as Envoy's (`envoy.extensions.transport_sockets.tls.v3`)."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from typing import List, Optional

from ....config.fields import (
    Bool, Enum, Message, Nested, Report, String, message, optional, plain, repeated,
)
from ....config.model.core import DataSource
from ....config.model.matcher import StringMatcher

_PACKAGE = "envoy.extensions.transport_sockets.tls.v3."
PROTOCOL_VERSION = Enum(TLS_AUTO=0, TLSv1_0=1, TLSv1_1=2, TLSv1_2=3, TLSv1_3=4)
_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}")
SHA256_SIZE = 32


@message(_PACKAGE + "TlsParameters", unsupported=("ecdh_curves", "signature_algorithms", "compliance_policies"))
@dataclasses.dataclass(eq=False, repr=False)
class TlsParameters(Message):
    """Which versions and ciphers a handshake may agree on."""

    tls_minimum_protocol_version: str = plain(PROTOCOL_VERSION, help="TLS_AUTO = TLSv1_2.")
    tls_maximum_protocol_version: str = plain(PROTOCOL_VERSION, help="TLS_AUTO = TLSv1_3.")
    cipher_suites: List[str] = repeated(
        String(min_len=1), help="OpenSSL names, best first; of no effect on TLSv1_3. '[A|B]' is taken as A, B."
    )


@message(
    _PACKAGE + "TlsCertificate",
    unsupported=("private_key_provider", "ocsp_staple", "signed_certificate_timestamp", "watched_directory", "pkcs12"),
)
@dataclasses.dataclass(eq=False, repr=False)
class TlsCertificate(Message):
    """A certificate with its private key, in PEM."""

    certificate_chain: Optional[DataSource] = optional(
        Nested(DataSource), help="The certificate, then those that lead to its CA."
    )
    private_key: Optional[DataSource] = optional(Nested(DataSource))
    password: Optional[DataSource] = optional(Nested(DataSource), help="Of the private key, if it is encrypted.")


@message(_PACKAGE + "SubjectAltNameMatcher", unsupported=("oid",))
@dataclasses.dataclass(eq=False, repr=False)
class SubjectAltNameMatcher(Message):
    """A condition on the peer certificate's alternative names of one type."""

    san_type: str = plain(Enum(SAN_TYPE_UNSPECIFIED=0, EMAIL=1, DNS=2, URI=3, IP_ADDRESS=4))
    matcher: Optional[StringMatcher] = optional(Nested(StringMatcher), required=True)

    def check(self, report: Report) -> None:
        if self.san_type == "SAN_TYPE_UNSPECIFIED":
            report("san_type", "value must be one of EMAIL, DNS, URI, IP_ADDRESS")


@message(
    _PACKAGE + "CertificateValidationContext",
    unsupported=(
        "ca_certificate_provider_instance", "system_root_certs", "watched_directory", "match_subject_alt_names",
        "require_signed_certificate_timestamp", "crl", "allow_expired_certificate", "trust_chain_verification",
        "custom_validator_config", "only_verify_leaf_cert_crl", "max_verify_depth",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class CertificateValidationContext(Message):
    """How the peer's certificate is judged. With one of the last three a client must have a certificate."""

    trusted_ca: Optional[DataSource] = optional(Nested(DataSource), help="PEM; its certificates are all trusted.")
    verify_certificate_hash: List[str] = repeated(
        String(min_len=64, max_bytes=95), help="SHA-256 of the certificate in hex, with or without colons; any of them."
    )
    verify_certificate_spki: List[str] = repeated(
        String(min_len=44, max_bytes=44), help="SHA-256 of the public key (DER) in base64; any of them, or of the hashes."
    )
    match_typed_subject_alt_names: List[SubjectAltNameMatcher] = repeated(
        Nested(SubjectAltNameMatcher), help="One of them must match."
    )

    def check(self, report: Report) -> None:
        for index, digest in enumerate(self.verify_certificate_hash):
            if not _HEX_DIGEST.fullmatch(digest):
                report(f"verify_certificate_hash[{index}]", f"Invalid hex-encoded SHA-256 {digest}")
        for index, digest in enumerate(self.verify_certificate_spki):
            if not is_base64_digest(digest):
                report(f"verify_certificate_spki[{index}]", f"Invalid base64-encoded SHA-256 {digest}")
        if self.match_typed_subject_alt_names and self.trusted_ca is None:
            text = "SAN-based verification of peer certificates without trusted CA is insecure and not allowed"
            report("match_typed_subject_alt_names", text, uses=("trusted_ca",))

    @property
    def demands_certificate(self) -> bool:
        """Whether a client without a certificate is refused, whatever `require_client_certificate` says."""
        return bool(
            self.verify_certificate_hash or self.verify_certificate_spki or self.match_typed_subject_alt_names
        )


@message(
    _PACKAGE + "CommonTlsContext",
    unsupported=(
        "tls_certificate_sds_secret_configs", "tls_certificate_provider_instance", "custom_tls_certificate_selector",
        "tls_certificate_certificate_provider", "tls_certificate_certificate_provider_instance",
        "validation_context_sds_secret_config", "combined_validation_context",
        "validation_context_certificate_provider", "validation_context_certificate_provider_instance",
        "custom_handshaker", "key_log",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class CommonTlsContext(Message):
    """What both ends of TLS configure."""

    tls_params: Optional[TlsParameters] = optional(Nested(TlsParameters))
    tls_certificates: List[TlsCertificate] = repeated(
        Nested(TlsCertificate), help="Several: chosen by the server name that the client asks for, else the first."
    )
    validation_context: Optional[CertificateValidationContext] = optional(
        Nested(CertificateValidationContext), oneof="validation_context_type"
    )
    alpn_protocols: List[str] = repeated(String(), help="Best first ('h2', 'http/1.1').")


@message(
    _PACKAGE + "DownstreamTlsContext",
    unsupported=(
        "require_sni", "session_ticket_keys", "session_ticket_keys_sds_secret_config", "session_timeout",
        "ocsp_staple_policy", "full_scan_certs_on_sni_mismatch", "disable_stateful_session_resumption",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class DownstreamTlsContext(Message):
    """TLS towards clients."""

    common_tls_context: Optional[CommonTlsContext] = optional(Nested(CommonTlsContext))
    require_client_certificate: Optional[bool] = optional(
        Bool(), help="Default: a client may have a certificate, and then it must be valid."
    )
    disable_stateless_session_resumption: Optional[bool] = optional(
        Bool(), oneof="session_ticket_keys_type", help="Give out no session tickets."
    )
    prefer_client_ciphers: bool = plain(Bool(), help="TLSv1_2 and before.")


def is_base64_digest(text: str) -> bool:
    """Whether this is the base64 text of a SHA-256."""
    try:
        return len(base64.b64decode(text, validate=True)) == SHA256_SIZE
    except (binascii.Error, ValueError):
        return False
