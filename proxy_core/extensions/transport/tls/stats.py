"""`listener.<address>.ssl.` and `cluster.<name>.ssl.`: Envoy's `SslStats`.

Counters by cipher and version are created when the first handshake uses them. Envoy also counts curves and signature
algorithms, which Python's `ssl` does not tell.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

from ....observe.stats import Counter, Scope

_COUNTERS = (
    "connection_error", "handshake", "session_reused", "no_certificate", "fail_verify_no_cert", "fail_verify_error",
    "fail_verify_san", "fail_verify_cert_hash",
)
_NEVER_WRITTEN = (
    "ocsp_staple_failed", "ocsp_staple_omitted", "ocsp_staple_responses", "ocsp_staple_requests",
)


class Side(NamedTuple):
    """What the counters of a socket factory are called. other: the one that only the other side ever counts."""

    factory: str
    not_ready: str
    other: str


SERVER = Side("server_ssl_socket_factory", "downstream_context_secrets_not_ready", "upstream_context_secrets_not_ready")
CLIENT = Side("client_ssl_socket_factory", "upstream_context_secrets_not_ready", "downstream_context_secrets_not_ready")


class SslStats:
    """The counters of one listener's or cluster's TLS, as attributes."""

    __slots__ = _COUNTERS + ("updates_by_sds", "secrets_not_ready", "_scope", "_dynamic")

    def __init__(self, owner: Scope, side: Side = SERVER) -> None:
        """owner: the listener's or cluster's scope."""
        scope = owner.scope("ssl")
        self.connection_error = scope.counter("connection_error")
        self.handshake = scope.counter("handshake")
        self.session_reused = scope.counter("session_reused")
        self.no_certificate = scope.counter("no_certificate")
        self.fail_verify_no_cert = scope.counter("fail_verify_no_cert")
        self.fail_verify_error = scope.counter("fail_verify_error")
        self.fail_verify_san = scope.counter("fail_verify_san")
        self.fail_verify_cert_hash = scope.counter("fail_verify_cert_hash")
        scope.zeros(counters=_NEVER_WRITTEN)
        factory = owner.scope(side.factory)
        self.updates_by_sds = factory.counter("ssl_context_update_by_sds")
        self.secrets_not_ready = factory.counter(side.not_ready)
        factory.zeros(counters=(side.other,))
        self._scope = scope
        self._dynamic: Dict[str, Counter] = {}

    def count_session(self, version: str, cipher: str) -> None:
        """`versions.<v>` and `ciphers.<c>` of one handshake."""
        for name in (f"versions.{version}", f"ciphers.{cipher}"):
            counter = self._dynamic.get(name)
            if counter is None:
                counter = self._dynamic[name] = self._scope.counter(name)
            counter.value += 1

    def set_expiration(self, certificate: str, seconds: int) -> None:
        """`certificate.<name>.expiration_unix_time_seconds`."""
        self._scope.scope(f"certificate.{certificate}").gauge("expiration_unix_time_seconds").set(seconds)
