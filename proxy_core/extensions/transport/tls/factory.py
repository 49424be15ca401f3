"""TLS towards clients: from the message to the callable that makes one transport per connection."""

from __future__ import annotations

from typing import Callable, List, Optional

from ....config.model.secret import ACCEPT_UNTRUSTED, TlsCertificate
from ....errors import ConfigError, Problem
from ....filters.registry import TransportContext
from ....network.tls import TlsTransport
from ....network.transport import Transport
from ....observe import x509
from . import config
from .contexts import ContextMaker, ContextTable
from .material import Identity
from .not_ready import NotReady
from .policy import ServerPolicy
from .prepared import Prepared, Validation
from .stats import SERVER, SslStats

# A handshake that `transport_socket_connect_timeout` does not bound is given up after this time. Envoy would wait for ever.
DEFAULT_HANDSHAKE_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT_KEY = "proxy_core.handshake_timeout_ms"


class ServerState:
    """What a connection takes with it."""

    __slots__ = ("contexts", "policy")

    def __init__(self, contexts: ContextTable, policy: ServerPolicy) -> None:
        self.contexts = contexts
        self.policy = policy


class PreparedServer(Prepared[ServerState]):
    """Everything that the connections of one filter chain share. Raises ConfigError with all problems of the message."""

    def __init__(self, message: config.DownstreamTlsContext, context: TransportContext) -> None:
        common = message.common_tls_context or config.CommonTlsContext()
        required = bool(message.require_client_certificate)
        super().__init__(common, context, SslStats(context.scope, SERVER), required)
        self._message = message
        self._several = len(common.tls_certificates) + len(common.tls_certificate_sds_secret_configs) > 1
        self._connect_timeout = context.connect_timeout or _default_timeout(context)
        self._load(self._problems())

    def new_transport(self) -> Transport:
        """The transport of one connection."""
        state = self.state
        if state is None:
            self.stats.secrets_not_ready.inc()
            return NotReady()
        return TlsTransport(state.contexts.default, state.policy, self._connect_timeout)

    def load_certificate(self, message: TlsCertificate, path: str) -> Identity:
        """A certificate with its key. Among several it needs a name to be chosen by."""
        identity = super().load_certificate(message, path)
        if self._several and not (identity.leaf.all_names(x509.DNS) or identity.leaf.common_name):
            text = "Invalid TLS context has neither subject CN nor SAN names"
            raise ConfigError([Problem(f"{path}.certificate_chain", text)])
        return identity

    def make(self, identities: List[Identity], validation: Optional[Validation]) -> ServerState:
        """Contexts and policy. Raises ConfigError."""
        problems = self._validation_problems(validation)
        if problems:
            raise ConfigError(problems)
        trust, checks = (validation.trust, validation.checks) if validation is not None else (None, None)
        contexts = ContextTable(identities, ContextMaker(self._message, trust, self._context.path))
        return ServerState(contexts, ServerPolicy(contexts, checks, self.stats))

    def _problems(self) -> List[Problem]:
        common = self._common
        found = []
        if not common.tls_certificates and not common.tls_certificate_sds_secret_configs:
            found.append(Problem(f"{self._path}.tls_certificates", "No TLS certificates found for server context"))
        if self._required and self._validation_is_absent():
            found.append(self._nobody_is_verified())
        return found

    def _validation_is_absent(self) -> bool:
        common = self._common
        return not (
            common.validation_context or common.validation_context_sds_secret_config or common.combined_validation_context
        )

    def _nobody_is_verified(self) -> Problem:
        text = (
            "needs common_tls_context.validation_context.trusted_ca; without it every client would be let in "
            "(as Envoy does)"
        )
        return Problem(f"{self._context.path}.require_client_certificate", text)

    def _validation_problems(self, validation: Optional[Validation]) -> List[Problem]:
        """What `ssl` can't do: ask for a client's certificate without verifying its chain."""
        if validation is None:
            return []
        path = f"{self._path}.validation_context"
        if validation.message.trust_chain_verification == ACCEPT_UNTRUSTED:
            text = "ACCEPT_UNTRUSTED is not supported by proxy_core towards clients: Python's ssl verifies whom it asks"
            return [Problem(f"{path}.trust_chain_verification", text)]
        if validation.trust is None and validation.message.demands_certificate:
            text = (
                "checking client certificates without trusted_ca is not supported by proxy_core: Python's ssl verifies "
                "whom it asks"
            )
            return [Problem(path, text)]
        return [self._nobody_is_verified()] if validation.trust is None and self._required else []


def build(message: config.DownstreamTlsContext, context: TransportContext) -> Callable[[], Transport]:
    """Load and check everything now, so that a connection costs one object."""
    return PreparedServer(message, context).new_transport


def _default_timeout(context: TransportContext) -> float:
    milliseconds = context.runtime.integer(HANDSHAKE_TIMEOUT_KEY)
    return DEFAULT_HANDSHAKE_TIMEOUT if milliseconds is None else max(0, milliseconds) / 1000
