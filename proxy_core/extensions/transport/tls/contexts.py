"""From a DownstreamTlsContext to `ssl.SSLContext`s: one per choice of certificates, all else the same.

With several certificates the client's server name decides, as in Envoy: first a certificate with exactly that name, then one
with a wildcard for it, else the first certificate of the list. Names are the DNS names of a certificate, or its common name if
it has none. A context holds one certificate for each type of key, and OpenSSL picks the one that the client can check.
"""

from __future__ import annotations

import ssl
import warnings
from typing import Any, Dict, List, Optional

from ....errors import ConfigError, Problem
from ....observe import x509
from . import config
from .material import Identity

# Envoy's default for servers. Its groups of equal preference, [A|B], are in order here: OpenSSL has no such groups.
DEFAULT_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
)
_VERSIONS = {
    "TLSv1_0": ssl.TLSVersion.TLSv1, "TLSv1_1": ssl.TLSVersion.TLSv1_1, "TLSv1_2": ssl.TLSVersion.TLSv1_2,
    "TLSv1_3": ssl.TLSVersion.TLSv1_3,
}
_OLD_VERSIONS = ("TLSv1_0", "TLSv1_1")
# X509_V_FLAG_PARTIAL_CHAIN: an intermediate in trusted_ca is trusted by itself. Python names it from 3.10 on.
_PARTIAL_CHAIN = 0x80000
_LONGEST_PROTOCOL_NAME = 255


class Trust:
    """Whose certificates are accepted. required: whether a client must have one."""

    def __init__(self, authorities: List[x509.Certificate], required: bool) -> None:
        self.authorities = authorities
        self.required = required


class ContextMaker:
    """Makes contexts that differ in their certificates only."""

    def __init__(self, message: config.DownstreamTlsContext, trust: Optional[Trust], path: str) -> None:
        """path: of the DownstreamTlsContext, for problems."""
        common = message.common_tls_context or config.CommonTlsContext()
        self._params = common.tls_params or config.TlsParameters()
        self._params_path = f"{path}.common_tls_context.tls_params"
        self._protocols = _application_protocols(common.alpn_protocols, f"{path}.common_tls_context.alpn_protocols")
        self._message = message
        self._trust = trust

    def make(self, identities: List[Identity]) -> ssl.SSLContext:
        """A context for these certificates. Raises ConfigError if the ciphers can't be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._set_versions(context)
        self._set_ciphers(context)
        context.options |= ssl.OP_NO_RENEGOTIATION
        if self._message.disable_stateless_session_resumption:
            context.options |= ssl.OP_NO_TICKET
        if self._message.prefer_client_ciphers:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if self._protocols:
            context.set_alpn_protocols(self._protocols)
        if self._trust is not None:
            context.verify_mode = ssl.CERT_REQUIRED if self._trust.required else ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)
            context.load_verify_locations(cadata=b"".join(one.der for one in self._trust.authorities))
        for identity in _one_per_key_type(identities):
            identity.load_into(context)
        return context

    def _set_versions(self, context: ssl.SSLContext) -> None:
        low = _VERSIONS.get(self._params.tls_minimum_protocol_version, ssl.TLSVersion.TLSv1_2)
        high = _VERSIONS.get(self._params.tls_maximum_protocol_version, ssl.TLSVersion.TLSv1_3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the operator asked for an old version
            context.minimum_version = low
            context.maximum_version = high

    def _set_ciphers(self, context: ssl.SSLContext) -> None:
        chosen = self._params.cipher_suites
        names = [name for item in chosen for name in item.strip("[]").split("|")] or list(DEFAULT_CIPHERS)
        # Security level 0 is what lets OpenSSL 3 speak the versions before 1.2 at all.
        level = ["@SECLEVEL=0"] if self._params.tls_minimum_protocol_version in _OLD_VERSIONS else []
        rejected = [name for name in names if not _is_cipher(name)] if chosen else []
        if rejected:
            text = f"Failed to initialize cipher suites {':'.join(names)}. Rejected: {', '.join(rejected)}"
            raise ConfigError([Problem(f"{self._params_path}.cipher_suites", text)])
        context.set_ciphers(":".join(names + level))


def _is_cipher(name: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)
    except ssl.SSLError:
        return False
    return True


def _application_protocols(configured: List[str], path: str) -> List[str]:
    """Envoy joins the list with commas and splits it again, so "h2,http/1.1" in one string are two."""
    names = [name for item in configured for name in item.split(",") if name]
    for name in names:
        if len(name.encode()) > _LONGEST_PROTOCOL_NAME:
            raise ConfigError([Problem(path, f"'{name[:40]}...' is longer than 255 bytes")])
    return names


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
