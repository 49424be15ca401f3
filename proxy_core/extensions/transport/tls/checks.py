"""What a verified peer certificate must have besides a trusted issuer: one of some names, one of some hashes.

Mirrors the end of Envoy's `DefaultCertValidator`. Prepared once per filter chain.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from typing import Callable, FrozenSet, List, NamedTuple, Optional

from ....config.model.matcher import StringMatcher
from ....observe import x509
from . import config

FAIL_SAN = "fail_verify_san"
FAIL_HASH = "fail_verify_cert_hash"

_KINDS = {"EMAIL": x509.EMAIL, "DNS": x509.DNS, "URI": x509.URI, "IP_ADDRESS": x509.IP}
_EVERY_KIND = (x509.DNS, x509.URI, x509.IP, x509.EMAIL, x509.OTHER_NAME)


class Refusal(NamedTuple):
    """Why a certificate is refused. stat: the counter's name below `ssl.`; why: Envoy's words."""

    stat: str
    why: str


class NameMatcher:
    """One entry of match_typed_subject_alt_names."""

    def __init__(self, message: config.SubjectAltNameMatcher) -> None:
        assert message.matcher is not None
        self._kind = _KINDS[message.san_type]
        exact = message.matcher.exact
        if self._kind == x509.DNS and exact is not None:
            self._matches: Callable[[str], bool] = _dns_matcher(exact)  # a wildcard in the certificate counts
        elif self._kind == x509.IP and exact is not None:
            self._matches = string_matcher(StringMatcher(exact=_canonical_ip(exact)))
        else:
            self._matches = string_matcher(message.matcher)

    def matches(self, certificate: x509.Certificate) -> bool:
        """Whether one of the certificate's names of this kind fits."""
        return any(self._matches(name) for name in certificate.all_names(self._kind))


class CertificateChecks:
    """All of one CertificateValidationContext."""

    def __init__(self, message: config.CertificateValidationContext) -> None:
        self._names = [NameMatcher(one) for one in message.match_typed_subject_alt_names]
        self._hashes: FrozenSet[bytes] = frozenset(
            [bytes.fromhex(digest.replace(":", "")) for digest in message.verify_certificate_hash]
        )
        self._keys: FrozenSet[bytes] = frozenset(
            [base64.b64decode(digest) for digest in message.verify_certificate_spki]
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._names or self._hashes or self._keys)

    def refuse(self, certificate: x509.Certificate) -> Optional[Refusal]:
        """None if the certificate passes. One matching name, and one matching hash of either list, is enough."""
        if self._names and not any(name.matches(certificate) for name in self._names):
            return Refusal(FAIL_SAN, f"SAN matcher, certificate SANs are [{', '.join(_every_name(certificate))}]")
        if self._hashes or self._keys:
            if hashlib.sha256(certificate.der).digest() in self._hashes:
                return None
            if hashlib.sha256(certificate.public_key).digest() not in self._keys:
                return Refusal(FAIL_HASH, "cert hash and spki")
        return None


def string_matcher(message: StringMatcher) -> Callable[[str], bool]:
    """A StringMatcher as a function. The pattern of a regular expression must match the whole string."""
    if message.safe_regex is not None:
        pattern = re.compile(message.safe_regex.regex)
        return lambda text: pattern.fullmatch(text) is not None
    fold = str.lower if message.ignore_case else str
    for wanted, test in (
        (message.exact, str.__eq__), (message.prefix, str.startswith), (message.suffix, str.endswith),
        (message.contains, str.__contains__),
    ):
        if wanted is not None:
            needle = fold(wanted)
            return lambda text: bool(test(fold(text), needle))
    raise ValueError("a string matcher without a pattern")


def _dns_matcher(wanted: str) -> Callable[[str], bool]:
    """As host names are compared: case does not matter, "*.x" in the certificate stands for one label (RFC 6125 6.4.3)."""
    name = wanted.lower()
    wildcard = f"*.{name.partition('.')[2]}"
    return lambda text: text.lower() in (name, wildcard)


def _canonical_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _every_name(certificate: x509.Certificate) -> List[str]:
    return [name for kind in _EVERY_KIND for name in certificate.all_names(kind)]
