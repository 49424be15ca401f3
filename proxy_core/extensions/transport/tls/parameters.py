"""Versions, ciphers, curve and application protocols of a CommonTlsContext, put on an `ssl.SSLContext`."""

from __future__ import annotations

import ssl
import warnings
from typing import List, Sequence

from ....errors import ConfigError, Problem
from . import config

# Envoy's default for both sides. Its groups of equal preference, [A|B], are in order here: OpenSSL has no such groups.
DEFAULT_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
)
_VERSIONS = {
    "TLSv1_0": ssl.TLSVersion.TLSv1, "TLSv1_1": ssl.TLSVersion.TLSv1_1, "TLSv1_2": ssl.TLSVersion.TLSv1_2,
    "TLSv1_3": ssl.TLSVersion.TLSv1_3,
}
_OLD_VERSIONS = ("TLSv1_0", "TLSv1_1")
_AUTO = "TLS_AUTO"
# OpenSSL's short names where they are not Envoy's.
_CURVES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}
_LONGEST_PROTOCOL_NAME = 255


class Parameters:
    """What all contexts of one TLS context message share. `protocols`: its ALPN list.

    path: of the CommonTlsContext, for problems; newest: the maximum version that TLS_AUTO stands for. Raises ConfigError.
    """

    def __init__(self, common: config.CommonTlsContext, path: str, newest: str = "TLSv1_3") -> None:
        params = common.tls_params or config.TlsParameters()
        self._oldest = params.tls_minimum_protocol_version
        self._newest = params.tls_maximum_protocol_version
        if self._oldest == _AUTO:
            self._oldest = "TLSv1_2"
        if self._newest == _AUTO:  # a minimum above the default maximum would let nobody in; Envoy's does
            self._newest = max(newest, self._oldest)
        self._ciphers = _cipher_text(params, f"{path}.tls_params.cipher_suites")
        self._curve = _curve_name(params, f"{path}.tls_params.ecdh_curves[0]")
        self.protocols = application_protocols(common.alpn_protocols, f"{path}.alpn_protocols")

    def apply(self, context: ssl.SSLContext) -> None:
        """Set everything but the application protocols, which may differ between connections to one cluster."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the operator asked for an old version
            context.minimum_version = _VERSIONS[self._oldest]
            context.maximum_version = _VERSIONS[self._newest]
        # Security level 0 is what lets OpenSSL 3 speak the versions before 1.2 at all.
        context.set_ciphers(self._ciphers + (":@SECLEVEL=0" if self._oldest in _OLD_VERSIONS else ""))
        if self._curve:
            context.set_ecdh_curve(self._curve)
        context.options |= ssl.OP_NO_RENEGOTIATION


def _cipher_text(params: config.TlsParameters, path: str) -> str:
    chosen = params.cipher_suites
    names = [name for item in chosen for name in item.strip("[]").split("|")] or list(DEFAULT_CIPHERS)
    rejected = [name for name in names if not _is_cipher(name)] if chosen else []
    if rejected:
        text = f"Failed to initialize cipher suites {':'.join(names)}. Rejected: {', '.join(rejected)}"
        raise ConfigError([Problem(path, text)])
    return ":".join(names)


def _is_cipher(name: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)
    except ssl.SSLError:
        return False
    return True


def _curve_name(params: config.TlsParameters, path: str) -> str:
    if not params.ecdh_curves:
        return ""
    curve = params.ecdh_curves[0]
    name = _CURVES.get(curve, curve)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(name)
    except (ValueError, ssl.SSLError):
        raise ConfigError([Problem(path, f"Failed to initialize ECDH curves {curve}")]) from None
    return name


def application_protocols(configured: Sequence[str], path: str) -> List[str]:
    """Envoy joins the list with commas and splits it again, so "h2,http/1.1" in one string are two."""
    names = [name for item in configured for name in item.split(",") if name]
    for name in names:
        if len(name.encode()) > _LONGEST_PROTOCOL_NAME:
            raise ConfigError([Problem(path, f"'{name[:40]}...' is longer than 255 bytes")])
    return names
