"""TLS towards upstreams: from the message to the callable that makes one transport per connection. Mirrors
`ClientSslSocketFactory`.

Filters in front may decide a connection's server name, the names that the server's certificate must have, and the application
protocols, by putting them into the filter state under Envoy's keys.
"""

from __future__ import annotations

from typing import Any, Callable, Final, List, Optional

from ....errors import ConfigError, Problem
from ....filters.registry import UpstreamTransportContext
from ....network.tls_client import TlsClientTransport
from ....network.transport import Transport
from ....observe.filter_state import APPLICATION_PROTOCOLS_FALLBACK
from ....observe.stream_info import StreamInfo
from . import config
from .client_contexts import ClientContexts
from .material import Identity
from .not_ready import NotReady
from .parameters import Parameters
from .policy import ClientPolicy
from .prepared import Prepared, Validation
from .stats import CLIENT, SslStats

SERVER_NAME: Final = "envoy.network.upstream_server_name"
ALTERNATIVE_NAMES: Final = "envoy.network.upstream_subject_alt_names"
PROTOCOLS: Final = "envoy.network.application_protocols"

DEFAULT_SESSIONS = 1  # `max_session_keys`
_NEWEST = "TLSv1_2"  # what TLS_AUTO stands for as a client's maximum


class ClientState:
    """What a connection takes with it."""

    __slots__ = ("contexts", "policy")

    def __init__(self, contexts: ClientContexts, policy: ClientPolicy) -> None:
        self.contexts = contexts
        self.policy = policy


class PreparedClient(Prepared[ClientState]):
    """Everything that the connections to one cluster share. Raises ConfigError with all problems of the message."""

    def __init__(self, message: config.UpstreamTlsContext, context: UpstreamTransportContext) -> None:
        common = message.common_tls_context or config.CommonTlsContext()
        super().__init__(common, context, SslStats(context.scope, CLIENT), required=True)
        self._server_name = message.sni
        self._host_names = message.auto_host_sni
        self._name_must_match = message.auto_sni_san_validation
        self._most_sessions = DEFAULT_SESSIONS if message.max_session_keys is None else message.max_session_keys
        problems: List[Problem] = []
        if len(common.tls_certificates) + len(common.tls_certificate_sds_secret_configs) > 1:
            text = "Multiple TLS certificates are not supported for client contexts"
            problems.append(Problem(f"{self._path}.tls_certificates", text))
        if message.sni and not is_server_name(message.sni):
            problems.append(Problem(f"{context.path}.sni", f"'{message.sni[:80]}' can't be sent as a server name"))
        self._load(problems)

    def new_transport(self, info: StreamInfo, host: Any) -> Transport:
        """The transport of one connection to `host` (`upstream.host.Host`) for the downstream connection of `info`."""
        state = self.state
        if state is None:
            self.stats.secrets_not_ready.inc()
            return NotReady()
        given = info.filter_state
        name = _text(given.get(SERVER_NAME)) or (host.hostname if self._host_names else "") or self._server_name
        contexts, policy = state.contexts.default, state.policy
        if given:
            protocols = _texts(given.get(PROTOCOLS))
            if not protocols and not state.contexts.offers_any:
                protocols = _texts(given.get(APPLICATION_PROTOCOLS_FALLBACK))
            if protocols:
                contexts = state.contexts.find(protocols)
            expected = _texts(given.get(ALTERNATIVE_NAMES))
            if expected:
                policy = policy.expecting(expected, override=True)
        if self._name_must_match and name and policy is state.policy:
            policy = policy.expecting([name], override=False)
        sessions = contexts.sessions
        try:
            return TlsClientTransport(
                contexts.ssl, policy, name, sessions.take(name),
                lambda session: sessions.add(name, session.session, session.version() == "TLSv1.3"),
            )
        except ValueError:
            return NotReady(f"TLS error: '{name[:80]}' can't be sent as a server name")

    def make(self, identities: List[Identity], validation: Optional[Validation]) -> ClientState:
        """Contexts and policy. Raises ConfigError."""
        if self._name_must_match and (validation is None or validation.message.trusted_ca is None):
            text = "'auto_sni_san_validation' was configured without a validation context"
            raise ConfigError([Problem(f"{self._context.path}.auto_sni_san_validation", text)])
        trust, checks = (validation.trust, validation.checks) if validation is not None else (None, None)
        identity = identities[0] if identities else None
        parameters = Parameters(self._common, self._path, _NEWEST)
        contexts = ClientContexts(parameters, trust, identity, self._most_sessions)
        return ClientState(contexts, ClientPolicy(identity.leaf if identity is not None else None, checks, self.stats))


def build(message: config.UpstreamTlsContext, context: UpstreamTransportContext) -> Callable[[StreamInfo, Any], Transport]:
    """Load and check everything now."""
    return PreparedClient(message, context).new_transport


def is_server_name(name: str) -> bool:
    """Whether Python's ssl takes it: labels of 1 to 63 characters."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return not name.startswith(".") and "\0" not in name


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _texts(value: Any) -> List[str]:
    """A list from the filter state; a string is one with commas, as Envoy's factories read it."""
    if value is None:
        return []
    items = str(value).split(",") if not isinstance(value, (list, tuple)) else list(map(str, value))
    return [item for item in items if item]
