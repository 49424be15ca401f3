"""The messages of TLS transport sockets, named as Envoy's (`envoy.extensions.transport_sockets.tls.v3`). What may come as a
secret is declared in `config.model.secret`.
"""

from __future__ import annotations

import dataclasses
from typing import List, Optional

from ....config.fields import (
    Bool, Enum, Message, Nested, Report, String, UInt32, message, optional, plain, repeated,
)
from ....config.model.secret import (
    ACCEPT_UNTRUSTED as ACCEPT_UNTRUSTED, CertificateValidationContext, SdsSecretConfig, TlsCertificate,
    SubjectAltNameMatcher as SubjectAltNameMatcher,
)

_PACKAGE = "envoy.extensions.transport_sockets.tls.v3."
PROTOCOL_VERSION = Enum(TLS_AUTO=0, TLSv1_0=1, TLSv1_1=2, TLSv1_2=3, TLSv1_3=4)


@message(_PACKAGE + "TlsParameters", unsupported=("signature_algorithms", "compliance_policies"))
@dataclasses.dataclass(eq=False, repr=False)
class TlsParameters(Message):
    """Which versions and ciphers a handshake may agree on."""

    tls_minimum_protocol_version: str = plain(PROTOCOL_VERSION, help="TLS_AUTO = TLSv1_2.")
    tls_maximum_protocol_version: str = plain(
        PROTOCOL_VERSION, help="TLS_AUTO = TLSv1_3 towards clients, TLSv1_2 towards upstreams."
    )
    cipher_suites: List[str] = repeated(
        String(min_len=1), help="OpenSSL names, best first; of no effect on TLSv1_3. '[A|B]' is taken as A, B."
    )
    ecdh_curves: List[str] = repeated(String(min_len=1), help="At most one ('X25519', 'P-256', 'P-384', 'P-521').")

    def check(self, report: Report) -> None:
        if len(self.ecdh_curves) > 1:
            text = "more than one curve is not supported by proxy_core: Python's ssl takes one, or OpenSSL's own list"
            report("ecdh_curves", text)


@message(
    _PACKAGE + "CommonTlsContext.CombinedCertificateValidationContext",
    unsupported=(
        "validation_context_certificate_provider", "validation_context_certificate_provider_instance",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class CombinedCertificateValidationContext(Message):
    """A validation context of which a part comes as a secret: the secret's values win, lists are joined."""

    default_validation_context: Optional[CertificateValidationContext] = optional(
        Nested(CertificateValidationContext), required=True
    )
    validation_context_sds_secret_config: Optional[SdsSecretConfig] = optional(Nested(SdsSecretConfig), required=True)


@message(
    _PACKAGE + "CommonTlsContext",
    unsupported=(
        "tls_certificate_provider_instance", "custom_tls_certificate_selector",
        "tls_certificate_certificate_provider", "tls_certificate_certificate_provider_instance",
        "validation_context_certificate_provider", "validation_context_certificate_provider_instance",
        "custom_handshaker", "key_log",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class CommonTlsContext(Message):
    """What both ends of TLS configure."""

    tls_params: Optional[TlsParameters] = optional(Nested(TlsParameters))
    tls_certificates: List[TlsCertificate] = repeated(
        Nested(TlsCertificate), help="Several: chosen by the server name that the client asks for, else the first."
    )
    validation_context: Optional[CertificateValidationContext] = optional(
        Nested(CertificateValidationContext), oneof="validation_context_type"
    )
    alpn_protocols: List[str] = repeated(String(), help="Best first ('h2', 'http/1.1').")
    tls_certificate_sds_secret_configs: List[SdsSecretConfig] = repeated(
        Nested(SdsSecretConfig), help="Certificates by the names of secrets, instead of tls_certificates."
    )
    validation_context_sds_secret_config: Optional[SdsSecretConfig] = optional(
        Nested(SdsSecretConfig), oneof="validation_context_type"
    )
    combined_validation_context: Optional[CombinedCertificateValidationContext] = optional(
        Nested(CombinedCertificateValidationContext), oneof="validation_context_type"
    )

    def check(self, report: Report) -> None:
        if self.tls_certificates and self.tls_certificate_sds_secret_configs:
            text = "SDS and non-SDS TLS certificates may not be mixed"
            report("tls_certificate_sds_secret_configs", text, uses=("tls_certificates",))


@message(
    _PACKAGE + "DownstreamTlsContext",
    unsupported=(
        "require_sni", "session_ticket_keys", "session_ticket_keys_sds_secret_config", "session_timeout",
        "ocsp_staple_policy", "full_scan_certs_on_sni_mismatch",
    ),
)
@dataclasses.dataclass(eq=False, repr=False)
class DownstreamTlsContext(Message):
    """TLS towards clients."""

    common_tls_context: Optional[CommonTlsContext] = optional(Nested(CommonTlsContext))
    require_client_certificate: Optional[bool] = optional(
        Bool(), help="Default: a client may have a certificate, and then it must be valid."
    )
    disable_stateless_session_resumption: Optional[bool] = optional(
        Bool(), oneof="session_ticket_keys_type", help="Give out no session tickets."
    )
    disable_stateful_session_resumption: bool = plain(Bool(), help="Only false.")
    prefer_client_ciphers: bool = plain(Bool(), help="TLSv1_2 and before.")

    def check(self, report: Report) -> None:
        if self.disable_stateful_session_resumption:
            text = "true is not supported by proxy_core: Python's ssl can't switch OpenSSL's session cache off"
            report("disable_stateful_session_resumption", text)


@message(_PACKAGE + "UpstreamTlsContext", unsupported=("enforce_rsa_key_usage",))
@dataclasses.dataclass(eq=False, repr=False)
class UpstreamTlsContext(Message):
    """TLS towards the hosts of a cluster. Without a validation context every certificate is accepted, as in Envoy."""

    common_tls_context: Optional[CommonTlsContext] = optional(Nested(CommonTlsContext))
    sni: str = plain(String(max_bytes=255), help="The server name to ask for; none = no name is sent.")
    allow_renegotiation: bool = plain(Bool(), help="Only false: a server that asks for it ends the connection.")
    max_session_keys: Optional[int] = optional(
        UInt32(), help="Sessions kept for resumption, for each server name; default 1, 0 = none."
    )
    auto_host_sni: bool = plain(Bool(), help="The host's own name instead of `sni`, where it has one.")
    auto_sni_san_validation: bool = plain(
        Bool(), help="The server name that was asked for must be in the certificate, instead of the SAN matchers."
    )

    def check(self, report: Report) -> None:
        if self.allow_renegotiation:
            text = "true is not supported by proxy_core: TLS 1.3 has no renegotiation, and before it is unsafe"
            report("allow_renegotiation", text)
