"""envoy.extensions.transport_sockets.tls.v3, the half that may be delivered as a secret: certificates with their keys, and whom
to trust. Here and not with the TLS transport sockets, because the bootstrap holds secrets too.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Empty, Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Enum, String, UInt32
from ..nested import Nested
from .config_source import ConfigSource, WatchedDirectory
from .core import DataSource
from .matcher import StringMatcher

_PACKAGE = "envoy.extensions.transport_sockets.tls.v3."
_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}")
SHA256_SIZE = 32
ACCEPT_UNTRUSTED = "ACCEPT_UNTRUSTED"


@message(
    _PACKAGE + "TlsCertificate",
    unsupported=("private_key_provider", "ocsp_staple", "signed_certificate_timestamp", "pkcs12"),
)
@dataclass(eq=False, repr=False)
class TlsCertificate(Message):
    """A certificate with its private key, in PEM."""

    certificate_chain: Optional[DataSource] = optional(
        Nested(DataSource), help="The certificate, then those that lead to its CA."
    )
    private_key: Optional[DataSource] = optional(Nested(DataSource))
    password: Optional[DataSource] = optional(Nested(DataSource), help="Of the private key, if it is encrypted.")
    watched_directory: Optional[WatchedDirectory] = optional(
        Nested(WatchedDirectory), help="Of no effect: files that a secret names are watched one by one."
    )


@message(_PACKAGE + "SubjectAltNameMatcher", unsupported=("oid",))
@dataclass(eq=False, repr=False)
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
        "ca_certificate_provider_instance", "match_subject_alt_names",
        "require_signed_certificate_timestamp", "custom_validator_config",
    ),
)
@dataclass(eq=False, repr=False)
class CertificateValidationContext(Message):
    """How the peer's certificate is judged. With SAN matchers or hashes a client must have a certificate."""

    trusted_ca: Optional[DataSource] = optional(Nested(DataSource), help="PEM; its certificates are all trusted.")
    watched_directory: Optional[WatchedDirectory] = optional(
        Nested(WatchedDirectory), help="Of no effect: files that a secret names are watched one by one."
    )
    verify_certificate_spki: List[str] = repeated(
        String(min_len=44, max_bytes=44), help="SHA-256 of the public key (DER) in base64; any of them, or of the hashes."
    )
    verify_certificate_hash: List[str] = repeated(
        String(min_len=64, max_bytes=95), help="SHA-256 of the certificate in hex, with or without colons; any of them."
    )
    match_typed_subject_alt_names: List[SubjectAltNameMatcher] = repeated(
        Nested(SubjectAltNameMatcher), help="One of them must match."
    )
    crl: Optional[DataSource] = optional(
        Nested(DataSource), help="Revocation lists in PEM; every CA of a chain must have one."
    )
    allow_expired_certificate: bool = plain(Bool(), help="Ignore the times of certificates (and of revocation lists).")
    trust_chain_verification: str = plain(
        Enum(VERIFY_TRUST_CHAIN=0, ACCEPT_UNTRUSTED=1), help="ACCEPT_UNTRUSTED: any issuer will do. Upstream only."
    )
    only_verify_leaf_cert_crl: bool = plain(Bool(), help="Look up only the peer's own certificate in `crl`.")
    max_verify_depth: Optional[int] = optional(
        UInt32(lte=100), help="The most intermediate certificates between the peer's and its CA. Python 3.13 on."
    )

    system_root_certs: Optional[Empty] = optional(Nested(Empty), help="Refused: Envoy takes it and verifies nothing.")

    def check(self, report: Report) -> None:
        for index, digest in enumerate(self.verify_certificate_hash):
            if not _HEX_DIGEST.fullmatch(digest):
                report(f"verify_certificate_hash[{index}]", f"Invalid hex-encoded SHA-256 {digest}")
        for index, digest in enumerate(self.verify_certificate_spki):
            if not is_base64_digest(digest):
                report(f"verify_certificate_spki[{index}]", f"Invalid base64-encoded SHA-256 {digest}")

    @property
    def demands_certificate(self) -> bool:
        """Whether a client without a certificate is refused, whatever `require_client_certificate` says."""
        return bool(
            self.verify_certificate_hash or self.verify_certificate_spki or self.match_typed_subject_alt_names
        )


@message(
    _PACKAGE + "Secret", unsupported=("session_ticket_keys", "generic_secret"), required_oneofs=("type",)
)
@dataclass(eq=False, repr=False)
class Secret(Message):
    """A certificate with its key, or a validation context, under a name."""

    name: str = plain(String(), help="What a TLS context asks for.")
    tls_certificate: Optional[TlsCertificate] = optional(Nested(TlsCertificate), oneof="type")
    validation_context: Optional[CertificateValidationContext] = optional(
        Nested(CertificateValidationContext), oneof="type"
    )


@message(_PACKAGE + "SdsSecretConfig")
@dataclass(eq=False, repr=False)
class SdsSecretConfig(Message):
    """A secret by its name: from `sds_config`, else one of the bootstrap's static secrets."""

    name: str = plain(String(min_len=1))
    sds_config: Optional[ConfigSource] = optional(Nested(ConfigSource))


def is_base64_digest(text: str) -> bool:
    """Whether this is the base64 text of a SHA-256."""
    try:
        return len(base64.b64decode(text, validate=True)) == SHA256_SIZE
    except (binascii.Error, ValueError):
        return False
