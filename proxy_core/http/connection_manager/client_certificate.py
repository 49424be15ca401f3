"""x-forwarded-client-cert: what an upstream is told of the client's certificate. Mirrors `mutateXfccRequestHeader`.

Place in the data's way: the last of the `request_rules`.
"""

from __future__ import annotations

from typing import Any, Final, List, Mapping, Sequence

from ..headers import Headers
from .peer import Peer

NAME: Final = "x-forwarded-client-cert"

# `forward_client_cert_details`.
SANITIZE: Final = "SANITIZE"
FORWARD_ONLY: Final = "FORWARD_ONLY"
APPEND_FORWARD: Final = "APPEND_FORWARD"
SANITIZE_SET: Final = "SANITIZE_SET"
ALWAYS_FORWARD_ONLY: Final = "ALWAYS_FORWARD_ONLY"

# What `set_current_client_cert_details` may ask for, in the order in which it is said.
DETAILS: Final = ("cert", "subject", "uri", "dns")


class ClientCertificateRules:
    """mode: one of the above. details: of `DETAILS`."""

    __slots__ = ("_mode", "_details")

    def __init__(self, mode: str = SANITIZE, details: Sequence[str] = ()) -> None:
        self._mode = mode
        self._details = tuple(details)

    def apply(self, headers: Headers, peer: Peer) -> None:
        """Remove, keep, extend or set the header."""
        if self._mode == ALWAYS_FORWARD_ONLY:
            return
        if self._mode == SANITIZE or "peer_fingerprint_256" not in peer.tls:
            if NAME in headers:
                headers.remove(NAME)
        elif self._mode == APPEND_FORWARD:
            headers.append(NAME, self._element(peer.tls))
        elif self._mode == SANITIZE_SET:
            headers.set(NAME, self._element(peer.tls))

    def _element(self, tls: Mapping[str, Any]) -> str:
        parts = [f"By={uri}" for uri in tls.get("local_uri_san") or ()]
        parts.append(f"Hash={tls['peer_fingerprint_256']}")
        for detail in self._details:
            parts += _detail(detail, tls)
        return ";".join(parts)


def _detail(detail: str, tls: Mapping[str, Any]) -> List[str]:
    if detail == "cert":
        return [f'Cert="{tls["peer_cert"]}"'] if tls.get("peer_cert") else []
    if detail == "subject":
        subject = str(tls.get("peer_subject") or "").replace("\\", "\\\\").replace('"', '\\"')
        return [f'Subject="{_one_line(subject)}"']
    if detail == "uri":
        return [f"URI={_one_line(str(uri))}" for uri in tls.get("peer_uri_san") or ("",)]
    return [f"DNS={_one_line(str(name))}" for name in tls.get("peer_dns_san") or ()]


def _one_line(text: str) -> str:
    """Text of a certificate, which may hold anything, as part of a header value."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean.encode("utf-8", "surrogateescape").decode("latin-1")
