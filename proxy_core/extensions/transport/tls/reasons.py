"""Failure texts as Envoy's: `TLS_error:|268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end`.

Envoy prints BoringSSL's error, which is a number (library << 24 | reason) and the reason's name. OpenSSL uses mostly the same
names with other numbers, so the number is looked up here by name; a name that BoringSSL does not have keeps OpenSSL's number.
The names are those of BoringSSL's `ssl.h`; alerts of the peer are 1000 + the alert's number (RFC 8446 section 6).
"""

from __future__ import annotations

import errno
import os
import re
import ssl
from typing import Final, Optional

_SSL_LIBRARY: Final = 0x10000000
_SYSTEM_LIBRARY: Final = 0x02000000

_NUMBERS = {
    "APP_DATA_IN_HANDSHAKE": 100, "BAD_ALERT": 102, "BAD_CHANGE_CIPHER_SPEC": 103, "BAD_DIGEST_LENGTH": 106,
    "BAD_ECPOINT": 108, "BAD_HELLO_REQUEST": 110, "BAD_LENGTH": 111, "BAD_PACKET_LENGTH": 112, "BAD_RSA_ENCRYPT": 113,
    "BAD_SIGNATURE": 114, "CCS_RECEIVED_EARLY": 124, "CERTIFICATE_VERIFY_FAILED": 125, "CERT_LENGTH_MISMATCH": 127,
    "CLIENTHELLO_TLSEXT": 132, "DATA_LENGTH_TOO_LONG": 136, "DECODE_ERROR": 137, "DECRYPTION_FAILED": 138,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": 139, "DIGEST_CHECK_FAILED": 142, "ENCRYPTED_LENGTH_TOO_LONG": 146,
    "ERROR_IN_RECEIVED_CIPHER_LIST": 148, "EXCESSIVE_MESSAGE_SIZE": 150, "EXTRA_DATA_IN_MESSAGE": 151,
    "HTTPS_PROXY_REQUEST": 155, "HTTP_REQUEST": 156, "INAPPROPRIATE_FALLBACK": 157, "LENGTH_MISMATCH": 162,
    "MISSING_EXTENSION": 164, "NO_CIPHERS_PASSED": 176, "NO_RENEGOTIATION": 182, "NO_SHARED_CIPHER": 184,
    "PARSE_TLSEXT": 190, "PEER_DID_NOT_RETURN_A_CERTIFICATE": 192, "PROTOCOL_IS_SHUTDOWN": 194,
    "PSK_IDENTITY_NOT_FOUND": 195, "RENEGOTIATION_MISMATCH": 202, "SCSV_RECEIVED_WHEN_RENEGOTIATING": 206,
    "TOO_MANY_EMPTY_FRAGMENTS": 219, "TOO_MANY_WARNING_ALERTS": 220, "UNEXPECTED_EXTENSION": 222,
    "UNEXPECTED_MESSAGE": 223, "UNEXPECTED_RECORD": 225, "UNKNOWN_ALERT_TYPE": 227, "UNKNOWN_PROTOCOL": 233,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": 236, "UNSUPPORTED_PROTOCOL": 240, "WRONG_CURVE": 243,
    "WRONG_SIGNATURE_TYPE": 245, "WRONG_SSL_VERSION": 246, "WRONG_VERSION_NUMBER": 247, "DUPLICATE_EXTENSION": 257,
    "TOO_MANY_KEY_UPDATES": 260, "NO_COMMON_SIGNATURE_ALGORITHMS": 253, "NO_SHARED_GROUP": 266,
    "INVALID_ALPN_PROTOCOL": 259, "MISSING_KEY_SHARE": 258, "TLS13_DOWNGRADE": 297, "NO_APPLICATION_PROTOCOL": 307,
}
# The same failure, where BoringSSL has another word for it.
_OTHER_WORDS = {
    "PACKET_LENGTH_TOO_LONG": "ENCRYPTED_LENGTH_TOO_LONG",
    "NO_SUITABLE_KEY_SHARE": "NO_SHARED_GROUP",
    "NO_SHARED_GROUPS": "NO_SHARED_GROUP",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "NO_COMMON_SIGNATURE_ALGORITHMS",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "NO_COMMON_SIGNATURE_ALGORITHMS",
    "RECORD_LAYER_FAILURE": "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_SSL_VERSION": "UNSUPPORTED_PROTOCOL",
    "BAD_EXTENSION": "PARSE_TLSEXT",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "TLSV1_ALERT_CERTIFICATE_REQUIRED",
    "TLSV13_ALERT_MISSING_EXTENSION": "TLSV1_ALERT_MISSING_EXTENSION",
    "TLSV1_BAD_CERTIFICATE_HASH_VALUE": "TLSV1_ALERT_BAD_CERTIFICATE_HASH_VALUE",
    "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE": "TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE",
    "TLSV1_UNRECOGNIZED_NAME": "TLSV1_ALERT_UNRECOGNIZED_NAME",
    "TLSV1_UNSUPPORTED_EXTENSION": "TLSV1_ALERT_UNSUPPORTED_EXTENSION",
    "TLSV1_CERTIFICATE_UNOBTAINABLE": "TLSV1_ALERT_CERTIFICATE_UNOBTAINABLE",
}
_ALERTS = {
    "CLOSE_NOTIFY": 0, "UNEXPECTED_MESSAGE": 10, "BAD_RECORD_MAC": 20, "DECRYPTION_FAILED": 21, "RECORD_OVERFLOW": 22,
    "DECOMPRESSION_FAILURE": 30, "HANDSHAKE_FAILURE": 40, "NO_CERTIFICATE": 41, "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43, "CERTIFICATE_REVOKED": 44, "CERTIFICATE_EXPIRED": 45, "CERTIFICATE_UNKNOWN": 46,
    "ILLEGAL_PARAMETER": 47, "UNKNOWN_CA": 48, "ACCESS_DENIED": 49, "DECODE_ERROR": 50, "DECRYPT_ERROR": 51,
    "EXPORT_RESTRICTION": 60, "PROTOCOL_VERSION": 70, "INSUFFICIENT_SECURITY": 71, "INTERNAL_ERROR": 80,
    "INAPPROPRIATE_FALLBACK": 86, "USER_CANCELLED": 90, "NO_RENEGOTIATION": 100, "MISSING_EXTENSION": 109,
    "UNSUPPORTED_EXTENSION": 110, "CERTIFICATE_UNOBTAINABLE": 111, "UNRECOGNIZED_NAME": 112,
    "BAD_CERTIFICATE_STATUS_RESPONSE": 113, "BAD_CERTIFICATE_HASH_VALUE": 114, "UNKNOWN_PSK_IDENTITY": 115,
    "CERTIFICATE_REQUIRED": 116, "NO_APPLICATION_PROTOCOL": 120,
}
_ALERT = re.compile(r"(?:SSLV3|TLSV1)_ALERT_(\w+)")
_WORDS = re.compile(r"(?:\[[^\]]*\] )?([a-z0-9][a-z0-9 ]*[a-z0-9]) \(_ssl\.c:")

# Verdicts on certificates that OpenSSL 3 words differently.
_OTHER_VERDICTS = {
    "self-signed certificate": "self signed certificate",
    "self-signed certificate in certificate chain": "self signed certificate in certificate chain",
    "unsuitable certificate purpose": "unsupported certificate purpose",
}

# X509_V_ERR_*: what concerns revocation. Envoy says so in front of the verdict.
_REVOCATION: Final = frozenset({3, 5, 8, 11, 12, 15, 16, 23, 33, 35, 36, 44, 54})
_REVOCATION_FAILED: Final = "certificate revocation check against provided CRLs failed: "

VERIFY_FAILED: Final = "CERTIFICATE_VERIFY_FAILED"
NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def failure_text(name: str, number: Optional[int] = None, detail: str = "") -> str:
    """The text for a reason by BoringSSL's name. number: when BoringSSL has none. detail: Envoy's own addition."""
    known = _number(name)
    code = _SSL_LIBRARY | known if known is not None else number or _SSL_LIBRARY
    tail = f":{detail}" if detail else ""
    return f"TLS_error:|{code}:SSL routines:OPENSSL_internal:{name}{tail}:TLS_error_end"


def describe(error: ssl.SSLError) -> str:
    """The text for an error of OpenSSL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL does not tell Python the depth. 0 is right for every fault of the peer's own certificate.
        verdict = _OTHER_VERDICTS.get(error.verify_message, error.verify_message)
        if error.verify_code in _REVOCATION:
            verdict = _REVOCATION_FAILED + verdict
        return verify_text(f"X509_verify_cert: certificate verification error at depth 0: {verdict}")
    reason = error.reason or _reason_in_words(error)
    name = _OTHER_WORDS.get(reason, reason)
    if name == NO_CERTIFICATE:
        return failure_text(name, detail="peer did not provide required client certificate")
    return failure_text(name, error.errno)


def _reason_in_words(error: ssl.SSLError) -> str:
    """The name of a reason that Python has none for, from what OpenSSL says: "[SSL] tlsv1 alert no application protocol"."""
    words = _WORDS.match(str(error.args[-1])) if error.args else None
    return words[1].upper().replace(" ", "_") if words is not None else "UNKNOWN"


def verify_text(why: str) -> str:
    """The text for a certificate that was refused."""
    return failure_text(VERIFY_FAILED, detail=f"verify cert failed: {why}")


def reset_text() -> str:
    """The text for a peer that reset the connection during the handshake."""
    code = _SYSTEM_LIBRARY | errno.ECONNRESET
    return f"TLS_error:|{code}:system library:OPENSSL_internal:{os.strerror(errno.ECONNRESET)}:TLS_error_end"


def _number(name: str) -> Optional[int]:
    alert = _ALERT.fullmatch(name)
    if alert is not None and alert.group(1) in _ALERTS:
        return 1000 + _ALERTS[alert.group(1)]
    return _NUMBERS.get(name)
