"""The `network.tls.Policy` of a filter chain or a cluster: counts handshakes, applies the checks, names failures, gathers facts.

Which failure goes where is Envoy's: a certificate that does not verify counts as fail_verify_*, everything else as
connection_error; a peer that leaves during the handshake counts as nothing.
"""

from __future__ import annotations

import copy
import ssl
from typing import Any, Dict, Optional, Sequence

from ....network.sockets import ConnectionLost
from ....observe import x509
from . import reasons
from .checks import CertificateChecks
from .contexts import ContextTable
from .facts import FactsOfPeer, local_facts, parse, session_facts
from .stats import SslStats

_UNREADABLE = "the certificate is not in strict DER, so its names and hashes can't be checked"


class Policy:
    """What both sides have in common."""

    def __init__(self, checks: Optional[CertificateChecks], stats: SslStats) -> None:
        """checks: None when there is nothing to check beyond the chain of trust."""
        self._checks = checks
        self._stats = stats

    def established(self, session: ssl.SSLObject) -> str:
        """Judge and count a handshake that OpenSSL is content with."""
        data = session.getpeercert(binary_form=True)
        refusal = self._check(data, session) if data and self._checks is not None else ""
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

    def _check(self, data: bytes, session: ssl.SSLObject) -> str:
        assert self._checks is not None
        certificate = parse(data)
        if certificate is None:
            self._stats.fail_verify_error.inc()
            return reasons.verify_text(_UNREADABLE)
        refusal = self._checks.refuse(certificate) or self._checks.refuse_chain(session)
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

    def lost(self, lost: ConnectionLost) -> str:
        """The socket broke during the handshake: named, not counted."""
        return reasons.reset_text() if lost.reset else ""


class ServerPolicy(Policy):
    """Of one downstream TLS context."""

    def __init__(self, contexts: ContextTable, checks: Optional[CertificateChecks], stats: SslStats) -> None:
        super().__init__(checks, stats)
        self._contexts = contexts

    def facts(self, session: ssl.SSLObject) -> Dict[str, Any]:
        """A new dict for one session."""
        facts = local_facts(self._contexts.certificate_of(session.context))
        facts.update(session_facts(session))
        return facts


class ClientPolicy(Policy):
    """Of one upstream TLS context. certificate: our own, if we have one."""

    def __init__(
        self, certificate: Optional[x509.Certificate], checks: Optional[CertificateChecks], stats: SslStats
    ) -> None:
        super().__init__(checks, stats)
        self._local = local_facts(certificate) if certificate is not None else {}
        self._peers = FactsOfPeer()

    def expecting(self, names: Sequence[str], override: bool) -> ClientPolicy:
        """The same policy for a connection whose server must have one of these names.

        override: they come from a filter and are asked for besides the configured ones; else they replace them.
        """
        policy = copy.copy(self)
        policy._checks = (self._checks or CertificateChecks(None)).expecting(tuple(names), override)
        return policy

    def established(self, session: ssl.SSLObject) -> str:
        """Judge and count. A server that shows no certificate can't have the names or hashes that are asked for."""
        if self._checks is not None and not session.getpeercert(binary_form=True):
            self._stats.fail_verify_no_cert.inc()
            return reasons.failure_text(reasons.NO_CERTIFICATE)
        return super().established(session)

    def facts(self, session: ssl.SSLObject) -> Dict[str, Any]:
        """A new dict for one session."""
        facts = dict(self._local)
        facts.update(session_facts(session, self._peers))
        facts["server_name"] = session.server_hostname
        return facts
