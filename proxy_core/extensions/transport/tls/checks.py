"""What a verified peer certificate must have besides a trusted issuer: one of some names, one of some hashes.

Mirrors the end of Envoy's `DefaultCertValidator`. Prepared once per filter chain or cluster.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import ipaddress
import re
import ssl
from typing import Callable, FrozenSet, NamedTuple, Optional, Tuple

from ....config.model.matcher import StringMatcher
from ....config.model.secret import CertificateValidationContext, SubjectAltNameMatcher
from ....observe import x509

FAIL_ERROR = "fail_verify_error"
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

    def __init__(self, message: SubjectAltNameMatcher) -> None:
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
    """All of one CertificateValidationContext; None: nothing yet, see `expecting`."""

    def __init__(self, message: Optional[CertificateValidationContext]) -> None:
        message = message or CertificateValidationContext()
        self._names = [NameMatcher(one) for one in message.match_typed_subject_alt_names]
        self._hashes: FrozenSet[bytes] = frozenset(
            [bytes.fromhex(digest.replace(":", "")) for digest in message.verify_certificate_hash]
        )
        self._keys: FrozenSet[bytes] = frozenset(
            [base64.b64decode(digest) for digest in message.verify_certificate_spki]
        )
        self._most_intermediates = message.max_verify_depth
        self._expected: Tuple[str, ...] = ()
        self._expected_by_filter = False

    @property
    def any(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._names or self._hashes or self._keys or self._most_intermediates is not None)

    def expecting(self, names: Tuple[str, ...], by_filter: bool) -> CertificateChecks:
        """These checks, and that the certificate has one of `names`. by_filter: else `names` replace the matchers."""
        checks = copy.copy(self)
        checks._expected = names
        checks._expected_by_filter = by_filter
        return checks

    def refuse(self, certificate: x509.Certificate) -> Optional[Refusal]:
        """None if the certificate passes. One matching name, and one matching hash of either list, is enough."""
        if self._expected and not any(has_name(certificate, name) for name in self._expected):
            if self._expected_by_filter:
                expected = f"expected SANs: [{', '.join(self._expected)}]"
                return Refusal(FAIL_SAN, f"verify SAN list, {expected}, certificate SANs: {_every_name(certificate)}")
            return Refusal(FAIL_SAN, f"SAN matcher, certificate SANs are {_every_name(certificate)}")
        replaced = self._expected and not self._expected_by_filter
        if self._names and not replaced and not any(name.matches(certificate) for name in self._names):
            return Refusal(FAIL_SAN, f"SAN matcher, certificate SANs are {_every_name(certificate)}")
        if self._hashes or self._keys:
            if hashlib.sha256(certificate.der).digest() in self._hashes:
                return None
            if hashlib.sha256(certificate.public_key).digest() not in self._keys:
                return Refusal(FAIL_HASH, "cert hash and spki")
        return None

    def refuse_chain(self, session: ssl.SSLObject) -> Optional[Refusal]:
        """`max_verify_depth`: the peer's certificate and the CA that is trusted don't count (`SSL_CTX_set_verify_depth`)."""
        get_chain = getattr(session, "get_verified_chain", None)
        if self._most_intermediates is None or get_chain is None:
            return None
        if len(get_chain() or ()) - 2 <= self._most_intermediates:
            return None
        depth = self._most_intermediates + 1
        why = f"X509_verify_cert: certificate verification error at depth {depth}: certificate chain too long"
        return Refusal(FAIL_ERROR, why)


def has_name(certificate: x509.Certificate, wanted: str) -> bool:
    """Whether one of the certificate's names, of any kind, is `wanted`; DNS names as host names are compared."""
    if any(map(_dns_matcher(wanted), certificate.all_names(x509.DNS))):
        return True
    return any(_canonical_ip(wanted) in certificate.all_names(kind) for kind in _EVERY_KIND[1:])


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


def _every_name(certificate: x509.Certificate) -> str:
    return f"[{', '.join(certificate.all_alternative_names)}]"
