"""The `network.tls.Policy` of a filter chain: counts handshakes, applies the checks, names failures, gathers facts.

Which failure goes where is Envoy's: a certificate that does not verify counts as fail_verify_*, everything else as
connection_error; a client that leaves during the handshake counts as nothing.
"""

from __future__ import annotations

import ssl
from typing import Any, Dict, Optional

from . import reasons
from .checks import CertificateChecks
from .contexts import ContextTable
from .facts import local_facts, parse, session_facts
from .stats import SslStats

_UNREADABLE = "the certificate is not in strict DER, so its names and hashes can't be checked"


class ServerPolicy:
    """Of one downstream TLS context."""

    def __init__(self, contexts: ContextTable, checks: Optional[CertificateChecks], stats: SslStats) -> None:
        """checks: None when there is nothing to check beyond the chain of trust."""
        self._contexts = contexts
        self._checks = checks
        self._stats = stats

    def established(self, session: ssl.SSLObject) -> str:
        """Judge and count a handshake that OpenSSL is content with."""
        data = session.getpeercert(binary_form=True)
        refusal = self._check(data) if data and self._checks is not None else ""
        if refusal:
            return refusal
        stats = self._stats
        stats.handshake.value += 1
        if session.session_reused:
            stats.session_reused.value += 1
        if not data:
            stats.no_certificate.value += 1
        cipher = session.cipher()
        stats.count_session(session.version() or "", cipher[0] if cipher is not None else "")
        return ""

    def _check(self, data: bytes) -> str:
        assert self._checks is not None
        certificate = parse(data)
        if certificate is None:
            self._stats.fail_verify_error.inc()
            return reasons.verify_text(_UNREADABLE)
        refusal = self._checks.refuse(certificate)
        if refusal is None:
            return ""
        getattr(self._stats, refusal.stat).inc()
        return reasons.verify_text(refusal.why)

    def failed(self, error: ssl.SSLError) -> str:
        """Count a failure and name it."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self._stats.fail_verify_error.inc()
        elif error.reason == reasons.NO_CERTIFICATE:
            self._stats.fail_verify_no_cert.inc()
        else:
            self._stats.connection_error.inc()
        return reasons.describe(error)

    def facts(self, session: ssl.SSLObject) -> Dict[str, Any]:
        """A new dict for one session."""
        facts = local_facts(self._contexts.certificate_of(session.context))
        facts.update(session_facts(session))
        return facts
