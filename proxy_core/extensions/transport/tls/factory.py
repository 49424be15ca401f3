"""TLS towards clients: from the message to the callable that makes one transport per connection."""

from __future__ import annotations

import hashlib
from typing import Callable, List, Optional, Sequence

from ....errors import ConfigError, Problem
from ....filters.registry import TransportContext
from ....network.tls import TlsTransport
from ....network.transport import Transport
from ....observe import x509
from ....observe.certificates import CertificateSet
from . import config
from .checks import CertificateChecks
from .contexts import ContextMaker, ContextTable, Trust
from .material import Identity, load_authorities, load_identity, name_of
from .policy import ServerPolicy
from .stats import SslStats

# A handshake that `transport_socket_connect_timeout` does not bound is given up after this time. Envoy would wait for ever.
DEFAULT_HANDSHAKE_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT_KEY = "proxy_core.handshake_timeout_ms"


class PreparedServer:
    """Everything that the connections of one filter chain share. Raises ConfigError with all problems of the message."""

    def __init__(self, message: config.DownstreamTlsContext, context: TransportContext) -> None:
        problems: List[Problem] = []
        common = message.common_tls_context or config.CommonTlsContext()
        path = f"{context.path}.common_tls_context"
        identities = _identities(common, path, problems)
        trust = _trust(message, common.validation_context, context.path, problems)
        if problems:
            raise ConfigError(problems)
        contexts = ContextTable(identities, ContextMaker(message, trust, context.path))
        self.contexts = contexts
        checks = CertificateChecks(common.validation_context) if common.validation_context is not None else None
        stats = SslStats(context.scope)
        self.policy = ServerPolicy(contexts, checks if checks is not None and checks.any else None, stats)
        self.connect_timeout = context.connect_timeout or _default_timeout(context)
        self.certificates = _certificate_set(common, identities, trust)
        _tell_expiration(self.certificates, stats)
        context.certificates.add(self.certificates)

    def new_transport(self) -> Transport:
        """The transport of one connection."""
        return TlsTransport(self.contexts.default, self.policy, self.connect_timeout)


def build(message: config.DownstreamTlsContext, context: TransportContext) -> Callable[[], Transport]:
    """Load and check everything now, so that a connection costs one object."""
    return PreparedServer(message, context).new_transport


def _identities(common: config.CommonTlsContext, path: str, problems: List[Problem]) -> List[Identity]:
    if not common.tls_certificates:
        problems.append(Problem(f"{path}.tls_certificates", "No TLS certificates found for server context"))
    identities = []
    for index, one in enumerate(common.tls_certificates):
        where = f"{path}.tls_certificates[{index}]"
        try:
            identity = load_identity(one, where)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        identities.append(identity)
        if len(common.tls_certificates) > 1 and not (identity.leaf.all_names(x509.DNS) or identity.leaf.common_name):
            text = "Invalid TLS context has neither subject CN nor SAN names"
            problems.append(Problem(f"{where}.certificate_chain", text))
    return identities


def _trust(
    message: config.DownstreamTlsContext, validation: Optional[config.CertificateValidationContext], path: str,
    problems: List[Problem],
) -> Optional[Trust]:
    """None when client certificates are not asked for."""
    if validation is None or validation.trusted_ca is None:
        if message.require_client_certificate:
            text = (
                "needs common_tls_context.validation_context.trusted_ca; without it every client would be let in "
                "(as Envoy does)"
            )
            problems.append(Problem(f"{path}.require_client_certificate", text))
        elif validation is not None and validation.demands_certificate:
            text = "checking client certificates without trusted_ca is not supported by proxy_core yet"
            problems.append(Problem(f"{path}.common_tls_context.validation_context", text))
        return None
    where = f"{path}.common_tls_context.validation_context.trusted_ca"
    try:
        authorities = load_authorities(validation.trusted_ca, where)
    except ConfigError as error:
        problems.extend(error.problems)
        return None
    return Trust(authorities, bool(message.require_client_certificate) or validation.demands_certificate)


def _default_timeout(context: TransportContext) -> float:
    milliseconds = context.runtime.integer(HANDSHAKE_TIMEOUT_KEY)
    return DEFAULT_HANDSHAKE_TIMEOUT if milliseconds is None else max(0, milliseconds) / 1000


def _certificate_set(
    common: config.CommonTlsContext, identities: Sequence[Identity], trust: Optional[Trust]
) -> CertificateSet:
    authorities = []
    if trust is not None and common.validation_context is not None and common.validation_context.trusted_ca is not None:
        source = name_of(common.validation_context.trusted_ca)
        authorities = [(source, one) for one in trust.authorities]
    return CertificateSet(authorities, [(identity.source, identity.leaf) for identity in identities])


def _tell_expiration(certificates: CertificateSet, stats: SslStats) -> None:
    """Envoy's gauges. It names a certificate by its secret's name; those that have none share a hash of nothing."""
    nameless = hashlib.sha256(b"").hexdigest()[:8]
    for kind, group in (("cert", certificates.chain), ("ca_cert", certificates.authorities)):
        if group:
            stats.set_expiration(f"unnamed_{kind}_{nameless}", min(one.not_after for _, one in group))
