"""What access logs and the admin say about a TLS session: the keys that the operators DOWNSTREAM_TLS_*, _PEER_* and
_LOCAL_* read.

Renderings as measured on Envoy 1.40. What the server's own certificate contributes is the same for all sessions and made once.
"""

from __future__ import annotations

import ssl
from typing import Any, Dict, List, Optional
from urllib.parse import quote

from ....observe import x509

# What Envoy shows as the version while none is agreed on: BoringSSL's answer to `SSL_get_version`.
VERSION_BEFORE_HANDSHAKE = "TLSv1.2"
_KINDS = (x509.URI, x509.DNS, x509.IP, x509.EMAIL, x509.OTHER_NAME)


def local_facts(certificate: x509.Certificate) -> Dict[str, Any]:
    """The part that our certificate decides."""
    facts: Dict[str, Any] = {f"local_{kind}_san": certificate.all_names(kind) for kind in _KINDS}
    facts["local_subject"] = certificate.subject or None
    return facts


class FactsOfPeer:
    """The facts of the certificate seen last. The hosts of a cluster mostly show the same one again and again."""

    __slots__ = ("_chain", "_facts")

    def __init__(self) -> None:
        self._chain: List[bytes] = []
        self._facts: Dict[str, Any] = {}

    def of(self, data: bytes, chain: List[bytes]) -> Dict[str, Any]:
        """As `peer_facts`; not to be written."""
        if chain != self._chain:
            self._facts = peer_facts(data, chain)
            self._chain = chain
        return self._facts


def session_facts(session: ssl.SSLObject, peers: Optional[FactsOfPeer] = None) -> Dict[str, Any]:
    """Version, cipher, protocol and the peer's certificate, as far as they are known."""
    cipher = session.cipher()
    facts: Dict[str, Any] = {
        "version": session.version() or _version_by_cipher(cipher[1] if cipher is not None else ""),
        "cipher": cipher[0] if cipher is not None else None,
        "alpn": session.selected_alpn_protocol(),
        "session_reused": bool(session.session_reused),
    }
    try:
        data = session.getpeercert(binary_form=True)
    except ValueError:  # the handshake is not done
        return facts
    resumable = session.session if _has_id(session, facts["version"]) else None
    if resumable is not None and resumable.id:
        facts["session_id"] = resumable.id.hex()
    if data:
        facts.update((peers.of if peers is not None else peer_facts)(data, _chain(session, data)))
    return facts


def _has_id(session: ssl.SSLObject, version: str) -> bool:
    """Whether a session may have an id. TLSv1.3 has tickets instead, and so have clients of TLSv1.2 that ask for one.

    Asked before `SSLObject.session` is touched, because each look at it loses 1 KB for ever in Python 3.10 to 3.13.0
    (https://github.com/python/cpython/issues/116810).
    """
    if version == "TLSv1.3":
        return False
    if not session.server_side or session.session_reused:
        return True
    context = session.context
    return bool(context.options & ssl.OP_NO_TICKET) or context.session_stats()["number"] > 0


def _version_by_cipher(known_since: str) -> str:
    """While the handshake is under way Python tells only the cipher, and that of TLSv1.3 belongs to no other version."""
    return "TLSv1.3" if known_since == "TLSv1.3" else VERSION_BEFORE_HANDSHAKE


def peer_facts(data: bytes, chain: List[bytes]) -> Dict[str, Any]:
    """The peer's certificate, and the chain it sent, all in DER. A certificate that can't be parsed gives its hashes only."""
    certificates = [parsed for parsed in map(parse, chain) if parsed is not None]
    facts: Dict[str, Any] = {
        "peer_cert": quote(ssl.DER_cert_to_PEM_cert(data), safe="-._~"),
        "peer_chain_serials": [one.serial_number for one in certificates],
        "peer_chain_fingerprints_256": [one.fingerprint("sha256") for one in certificates],
        "peer_chain_fingerprints_1": [one.fingerprint("sha1") for one in certificates],
    }
    peer = parse(data)
    if peer is not None:
        facts.update({f"peer_{kind}_san": peer.all_names(kind) for kind in _KINDS})
        facts.update(
            peer_subject=peer.subject or None, peer_issuer=peer.issuer or None, peer_serial=peer.serial_number,
            peer_fingerprint_256=peer.fingerprint("sha256"), peer_fingerprint_1=peer.fingerprint("sha1"),
            peer_cert_v_start=peer.not_before, peer_cert_v_end=peer.not_after,
        )
    return facts


def parse(data: bytes) -> Optional[x509.Certificate]:
    """The certificate, or None for one that OpenSSL takes and our stricter reader does not."""
    try:
        return x509.Certificate(data)
    except ValueError:
        return None


def _chain(session: ssl.SSLObject, leaf: bytes) -> List[bytes]:
    """What the peer sent, its own certificate first. Python tells the rest from 3.13 on."""
    get_chain = getattr(session, "get_unverified_chain", None)
    chain: List[bytes] = list(get_chain() or []) if get_chain is not None else []
    return chain or [leaf]
