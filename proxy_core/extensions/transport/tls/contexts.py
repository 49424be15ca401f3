"""From a DownstreamTlsContext to `ssl.SSLContext`s: one per choice of certificates, all else the same.

With several certificates the client's server name decides, as in Envoy: first a certificate with exactly that name, then one
with a wildcard for it, else the first certificate of the list. Names are the DNS names of a certificate, or its common name if
it has none. A context holds one certificate for each type of key, and OpenSSL picks the one that the client can check.
"""

from __future__ import annotations

import ssl
from typing import Any, Dict, List, Optional

from ....observe import x509
from . import config
from .material import Identity
from .parameters import Parameters
from .trust import Trust


class ContextMaker:
    """Makes contexts that differ in their certificates only."""

    def __init__(self, message: config.DownstreamTlsContext, trust: Optional[Trust], path: str) -> None:
        """path: of the DownstreamTlsContext, for problems. Raises ConfigError if the parameters can't be used."""
        common = message.common_tls_context or config.CommonTlsContext()
        self._parameters = Parameters(common, f"{path}.common_tls_context")
        self._message = message
        self._trust = trust

    def make(self, identities: List[Identity]) -> ssl.SSLContext:
        """A context for these certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._parameters.apply(context)
        if self._message.disable_stateless_session_resumption:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0  # of TLSv1.3, where the option alone makes tickets that stand for a stored session
        if self._message.prefer_client_ciphers:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if self._parameters.protocols:
            context.set_alpn_protocols(self._parameters.protocols)
        if self._trust is not None:
            self._trust.apply(context)
        for identity in _one_per_key_type(identities):
            identity.load_into(context)
        return context


def _one_per_key_type(identities: List[Identity]) -> List[Identity]:
    first: Dict[str, Identity] = {}
    for identity in identities:
        first.setdefault(identity.leaf.key_type, identity)
    return list(first.values())


class ContextTable:
    """The contexts of one filter chain. `default` is where every handshake begins; the server name may change it."""

    def __init__(self, identities: List[Identity], maker: ContextMaker) -> None:
        self._by_name: Dict[str, ssl.SSLContext] = {}
        self._certificates: Dict[ssl.SSLContext, x509.Certificate] = {}
        self.default = self._add(identities[:1] if len(identities) > 1 else identities, maker)
        if len(identities) > 1:
            for name, owners in _owners(identities).items():
                self._by_name[name] = self._add(owners, maker)
            self.default.sni_callback = self._on_server_name

    def _add(self, identities: List[Identity], maker: ContextMaker) -> ssl.SSLContext:
        context = maker.make(identities)
        self._certificates[context] = identities[0].leaf
        return context

    def certificate_of(self, context: ssl.SSLContext) -> x509.Certificate:
        """The (first) certificate of a context of this table."""
        return self._certificates[context]

    def find(self, server_name: str) -> ssl.SSLContext:
        """The context for a server name; the default one if no certificate has that name."""
        name = server_name.lower()
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        _, _, parent = name.partition(".")
        return self._by_name.get(f"*.{parent}", self.default)

    def _on_server_name(self, session: Any, server_name: Optional[str], context: ssl.SSLContext) -> None:
        if server_name:
            session.context = self.find(server_name)


def _owners(identities: List[Identity]) -> Dict[str, List[Identity]]:
    """Which certificates have which name, in the order of the list."""
    owners: Dict[str, List[Identity]] = {}
    for identity in identities:
        names = identity.leaf.all_names(x509.DNS) or [identity.leaf.common_name]
        for name in names:
            if name:
                owners.setdefault(name.lower(), []).append(identity)
    return owners
