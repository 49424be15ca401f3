"""Which certificates are in use: what /certs prints, and how long until the first of them expires.

A TLS context announces itself here and is forgotten when nobody uses it any more: the store holds it weakly, so an updated
listener takes its old certificates away with it. Mirrors `ContextManagerImpl`.
"""

from __future__ import annotations

import time
import weakref
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import x509

SourcedCertificate = Tuple[str, x509.Certificate]  # where it came from: a file name or "<inline>"

_LABELS = ((x509.DNS, "dns"), (x509.URI, "uri"), (x509.IP, "ip_address"))


class CertificateSet:
    """The certificates of one TLS context: those it trusts and those it shows (of each chain the first)."""

    __slots__ = ("authorities", "chain", "__weakref__")

    def __init__(self, authorities: Sequence[SourcedCertificate], chain: Sequence[SourcedCertificate]) -> None:
        self.authorities = tuple(authorities)
        self.chain = tuple(chain)

    def to_json(self, now: float) -> Dict[str, Any]:
        """Its entry in /certs."""
        return {
            "ca_cert": [describe(source, one, now) for source, one in self.authorities],
            "cert_chain": [describe(source, one, now) for source, one in self.chain],
        }


class CertificateStore:
    """One per server."""

    def __init__(self) -> None:
        self._sets: weakref.WeakValueDictionary[int, CertificateSet] = weakref.WeakValueDictionary()
        self._next = 0

    def add(self, certificates: CertificateSet) -> None:
        """List `certificates` for as long as somebody else holds it."""
        self._sets[self._next] = certificates
        self._next += 1

    def to_json(self, now: float) -> List[Dict[str, Any]]:
        """The entries of /certs, oldest first. now: seconds since the epoch."""
        return [self._sets[key].to_json(now) for key in sorted(self._sets.keys())]

    def days_until_first_expiry(self, now: float) -> Optional[int]:
        """Whole days until the first certificate expires, 0 if one has; None without certificates."""
        return min(
            (
                certificate.days_left(now)
                for certificates in self._sets.values()
                for _, certificate in certificates.authorities + certificates.chain
            ),
            default=None,
        )


def describe(source: str, certificate: x509.Certificate, now: float) -> Dict[str, Any]:
    """One certificate as /certs prints it."""
    return {
        "path": source,
        "serial_number": certificate.serial_number,
        "subject_alt_names": [
            {label: name} for kind, label in _LABELS for name in certificate.all_names(kind)
        ],
        "days_until_expiration": str(certificate.days_left(now)),
        "valid_from": _rfc3339(certificate.not_before),
        "expiration_time": _rfc3339(certificate.not_after),
    }


def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
