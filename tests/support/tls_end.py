"""The far end of a TLS connection, played by a test: bytes in, bytes out, no socket. And the certificates to play it with."""

from __future__ import annotations

import pathlib
import ssl
from typing import Any, Dict, Optional

from tests.support.peers import Peer

CERTS = pathlib.Path(__file__).with_name("certs")
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def pem(name: str) -> str:
    """The text of a file in `certs/`."""
    return (CERTS / name).read_text()


def client_context(version: Optional[str] = None, certificate: str = "", alpn: Any = ()) -> ssl.SSLContext:
    """A client that trusts the test CA. version: "TLSv1.2" or "TLSv1.3" and no other; certificate: its own ("client")."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(CERTS / "ca.crt"))
    context.check_hostname = False
    if version is not None:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if certificate:
        context.load_cert_chain(str(CERTS / f"{certificate}.crt"), str(CERTS / f"{certificate}.key"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def server_context(
    name: str = "server", version: Optional[str] = None, client_ca: str = "", alpn: Any = ()
) -> ssl.SSLContext:
    """A server with one of the test certificates. client_ca: whose certificates a client must have ("ca")."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(CERTS / f"{name}.crt"), str(CERTS / f"{name}.key"))
    if version is not None:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(CERTS / f"{client_ca}.crt"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def data_source(name: str) -> Dict[str, Any]:
    """A DataSource for a file in `certs/`."""
    return {"filename": str(CERTS / name)}


def tls_certificate(name: str = "server") -> Dict[str, Any]:
    """A TlsCertificate."""
    return {"certificate_chain": data_source(f"{name}.crt"), "private_key": data_source(f"{name}.key")}


def transport_socket(*names: str, validation: Any = None, common: Any = None, **fields: Any) -> Dict[str, Any]:
    """A downstream TLS transport socket. names: its certificates; validation: the validation context."""
    context: Dict[str, Any] = {"tls_certificates": [tls_certificate(name) for name in names or ("server",)], **(common or {})}
    if validation is not None:
        context["validation_context"] = validation
    return {"name": "tls", "typed_config": {"@type": TYPE, "common_tls_context": context, **fields}}


def upstream_socket(
    validation: Any = None, certificate: str = "", common: Any = None, **fields: Any
) -> Dict[str, Any]:
    """An upstream TLS transport socket. certificate: our own ("client")."""
    context: Dict[str, Any] = dict(common or {})
    if certificate:
        context["tls_certificates"] = [tls_certificate(certificate)]
    if validation is not None:
        context["validation_context"] = validation
    return {"name": "tls", "typed_config": {"@type": UPSTREAM_TYPE, "common_tls_context": context, **fields}}


class TlsEnd:
    """One end of TLS. `feed` wire bytes in, `take` wire bytes out; `got` is what was decrypted, `end` how the stream ended."""

    def __init__(
        self, context: ssl.SSLContext, server_side: bool = False, name: Optional[str] = "server.test",
        session: Optional[ssl.SSLSession] = None,
    ) -> None:
        """name: what a client asks for; session: what it offers to resume."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self._incoming, self._outgoing, server_side, None if server_side else name, session
        )
        self.got = bytearray()
        self.end = ""  # "close_notify", or the reason of the failure
        self.shaken = False
        self._step()

    def feed(self, wire: bytes) -> None:
        """Bytes from the other end."""
        self._incoming.write(wire)
        self._step()

    def take(self) -> bytes:
        """Bytes for the other end."""
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        """Encrypt; `take` has it then."""
        self.session.write(data)

    def finish(self) -> None:
        """close_notify. Reading goes on."""
        try:
            self.session.unwrap()
        except ssl.SSLError:
            pass  # the other end's close_notify is not there yet

    def _step(self) -> None:
        try:
            if not self.shaken:
                self.session.do_handshake()
                self.shaken = True
            while not self.end:
                data = self.session.read(65536)
                self.got += data
                self.end = "" if data else "close_notify"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.end = "close_notify"
        except ssl.SSLError as error:
            self.end = error.reason or "error"


class TlsPeer(Peer):
    """A client of an engine under test that speaks TLS, or with `server_side` a server behind it."""

    def __init__(
        self, peer: Peer, context: ssl.SSLContext, name: Optional[str] = "server.test",
        session: Optional[ssl.SSLSession] = None, server_side: bool = False,
    ) -> None:
        super().__init__(peer.sock)
        self.tls = TlsEnd(context, server_side, name=name, session=session)
        self._waiting = b""

    def pump(self) -> None:
        """Wire bytes both ways."""
        super().pump()
        if self.got:
            wire = bytes(self.got)
            self.got.clear()
            self.tls.feed(wire)
        if self.tls.shaken and self._waiting:
            waiting, self._waiting = self._waiting, b""
            self.tls.send(waiting)
        wire = self.tls.take()
        if wire and self.sock.fileno() >= 0:
            self.send(wire)

    def say(self, data: bytes) -> None:
        """Send over TLS, once the handshake is done."""
        self._waiting += data
        self.pump()

    def goodbye(self, fin: bool = False) -> None:
        """close_notify; with `fin` the FIN behind it. The handshake must be done."""
        self.tls.finish()
        self.pump()
        if fin:
            self.finish()

    @property
    def heard(self) -> bytes:
        """What came over TLS so far."""
        return bytes(self.tls.got)
