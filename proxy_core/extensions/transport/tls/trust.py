"""Whose certificates are accepted: from a CertificateValidationContext to the settings of an `ssl.SSLContext`.

Only what OpenSSL itself judges is here (issuers, times, revocation); names and hashes are `checks`. Mirrors the first half of
Envoy's `DefaultCertValidator`.
"""

from __future__ import annotations

import ssl
import sys
from typing import List, Optional

from ....config.model.core import DataSource
from ....config.model.secret import ACCEPT_UNTRUSTED, CertificateValidationContext
from ....errors import ConfigError, Problem
from ....observe import x509
from .material import as_file, load_authorities, name_of

# X509_V_FLAG_PARTIAL_CHAIN: an intermediate in trusted_ca is trusted by itself. Python names it from 3.10 on.
_PARTIAL_CHAIN = 0x80000
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_CRL_MARK = b"-----BEGIN X509 CRL-----"
_NO_CA_FOR_SAN = "SAN-based verification of peer certificates without trusted CA is insecure and not allowed"


class Trust:
    """What makes a peer's chain of certificates acceptable. required: whether the peer must have a certificate.

    crl: revocation lists in PEM, b"" = none are looked at; flags: X509_V_FLAG_* bits.
    """

    def __init__(
        self, authorities: List[x509.Certificate], required: bool, crl: bytes = b"", flags: int = 0
    ) -> None:
        self.authorities = authorities
        self.required = required
        self._crl = crl
        self._flags = flags | _PARTIAL_CHAIN

    def apply(self, context: ssl.SSLContext) -> None:
        """Have `context` verify its peers so."""
        context.verify_mode = ssl.CERT_REQUIRED if self.required else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags(self._flags)
        context.load_verify_locations(cadata=b"".join(one.der for one in self.authorities))
        if self._crl:
            _load_crl(context, self._crl)


def load_trust(message: CertificateValidationContext, path: str, required: bool) -> Optional[Trust]:
    """Read what a validation context names. None if chains of trust are not to be looked at. Raises ConfigError."""
    problems = _contradictions(message, path)
    if problems:
        raise ConfigError(problems)
    if message.trusted_ca is None or message.trust_chain_verification == ACCEPT_UNTRUSTED:
        return None
    where = f"{path}.trusted_ca"
    data = message.trusted_ca.read(where, allow_empty=False)
    authorities = load_authorities(data, name_of(message.trusted_ca), where)
    crl = data if _CRL_MARK in data else b""  # lists that stand in the CA's own file count, as in Envoy
    if message.crl is not None:
        crl += b"\n" + read_crl(message.crl, f"{path}.crl")
    flags = _NO_CHECK_TIME if message.allow_expired_certificate else 0
    if crl:
        flags |= ssl.VERIFY_CRL_CHECK_LEAF if message.only_verify_leaf_cert_crl else ssl.VERIFY_CRL_CHECK_CHAIN
    return Trust(authorities, required, crl, flags)


def read_crl(source: DataSource, path: str) -> bytes:
    """The revocation lists of a data source in PEM, at least one. Raises ConfigError."""
    data = source.read(path)
    complaint = f"Failed to load CRL from {name_of(source)}"
    if _CRL_MARK not in data:
        raise ConfigError([Problem(path, f"{complaint}: no PEM revocation list in it")])
    try:
        _load_crl(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), data)
    except ssl.SSLError as error:
        raise ConfigError([Problem(path, f"{complaint}: {error.reason or error}")]) from None
    return data


def _load_crl(context: ssl.SSLContext, data: bytes) -> None:
    with as_file(data) as name:  # `cadata` takes certificates only
        context.load_verify_locations(cafile=name)


def _contradictions(message: CertificateValidationContext, path: str) -> List[Problem]:
    found = []
    if message.match_typed_subject_alt_names and message.trusted_ca is None:
        found.append(Problem(f"{path}.match_typed_subject_alt_names", _NO_CA_FOR_SAN))
    if message.system_root_certs is not None:
        text = "is not supported: name the system's file in trusted_ca (Envoy takes this field and verifies nothing)"
        found.append(Problem(f"{path}.system_root_certs", text))
    if message.allow_expired_certificate and message.trusted_ca is None:
        text = "Certificate validity period is always ignored without trusted CA"
        found.append(Problem(f"{path}.allow_expired_certificate", text))
    if message.max_verify_depth is not None and sys.version_info < (3, 13):
        text = "needs Python 3.13 or later: Python's ssl does not tell the verified chain before"
        found.append(Problem(f"{path}.max_verify_depth", text))
    return found
