"""TLS between a connection's buffers and its socket. Mirrors Envoy's `SslSocket`.

OpenSSL never sees the socket: it reads wire bytes from one memory BIO and writes them to another (`ssl.MemoryBIO`), and this
module carries them. So every call returns at once, and the two directions end independently:

    in    the peer's close_notify is the end of its stream, as a FIN is on a raw connection; a FIN without one is taken as the
          end too, as in Envoy, and noted in the facts (`peer_end`)
    out   `send_end` sends close_notify and then the FIN; what the peer still sends is read as before

Plaintext never waits unseen inside OpenSSL: a read hands out everything that the bytes from the socket amount to. What can't be
handed out yet (bytes that came with the last handshake message, an end right behind data) makes `has_input` true, and the
connection is asked to read again without waiting for the socket.

Who may connect and what is counted is not decided here but by a `Policy` (see `extensions.transport.tls`).
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Callable, Dict, Final, List, Optional, Protocol

from ..buffer import Buffer
from ..errors import PeerError
from ..observe.stream_info import StreamInfo
from . import sockets

# The most that one record carries (RFC 8446 section 5.1): OpenSSL returns no more from one read.
RECORD: Final = 16384
# Plain bytes encrypted at a time: full records, so few that their wire form stays below the 128 KiB from which on glibc maps
# memory for each piece, and that little waits in encrypted form.
ENCRYPT_AT_ONCE: Final = 7 * RECORD
READ_AT_ONCE: Final = 65536
# Wire bytes that may wait for a peer that makes us answer (key updates, alerts) and does not read. Data waits elsewhere.
MOST_UNREAD_ANSWERS: Final = 1 << 18

CLOSE_NOTIFY: Final = "close_notify"
BARE_FIN: Final = "FIN"


class TlsFailure(sockets.ConnectionLost):
    """TLS ended the connection. `transport_failure`: Envoy's text for access logs, "" for a mere end during the handshake."""

    def __init__(self, reason: str, transport_failure: str = "") -> None:
        PeerError.__init__(self, reason)
        self.reset = False
        self.transport_failure = transport_failure


class Host(Protocol):
    """What a transport needs of its connection."""

    def want_read(self) -> None:
        """Have `read` called at the end of this turn if reading is allowed then, else when it is."""

    def want_flush(self) -> None:
        """Have `flush` called in this turn."""


class Policy(Protocol):
    """Judges handshakes and counts them. One per filter chain or cluster."""

    def established(self, session: ssl.SSLObject) -> str:
        """The handshake is done. "" to accept, else the failure text of the refusal."""

    def failed(self, error: ssl.SSLError) -> str:
        """The handshake or a record failed; its failure text."""

    def lost(self, lost: sockets.ConnectionLost) -> str:
        """The socket broke during the handshake; its failure text."""

    def facts(self, session: ssl.SSLObject) -> Dict[str, Any]:
        """What access logs say about the session, in whatever state it is."""


class TlsTransport:
    """One connection's TLS session. Use from one thread; the order of calls is attach, handshake (until True), the rest.

    connect_timeout: seconds that the handshake may take, 0 = no bound of the transport's own.
    """

    __slots__ = (
        "connect_timeout", "has_output", "has_input", "_session", "_incoming", "_outgoing", "_unsent", "_policy", "_host",
        "_established", "_said_goodbye", "_fin_due", "_plain", "_end", "_facts",
    )

    name = "tls"

    def __init__(
        self,
        context: ssl.SSLContext,
        policy: Policy,
        connect_timeout: float = 0.0,
        server_side: bool = True,
        server_hostname: Optional[str] = None,
    ) -> None:
        self.connect_timeout = connect_timeout
        self.has_output = False
        self.has_input = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        self._unsent = Buffer()
        self._policy = policy
        self._host: Optional[Host] = None
        self._established = False
        self._said_goodbye = False
        self._fin_due = False
        self._plain: List[bytes] = []  # decrypted, not handed out yet
        self._end: Optional[Callable[[], bytes]] = None  # what a read answers once the plain bytes are out
        self._facts: Optional[Dict[str, Any]] = None

    def attach(self, host: Host) -> None:
        """From now on `host` is told when there is something to read or send that the socket does not tell it of."""
        self._host = host

    # -- handshake -------------------------------------------------------------------------------------------------

    def preload(self, data: bytes) -> bytes:
        """Wire bytes that were read before the connection existed, by a listener filter. Before the handshake."""
        self._incoming.write(data)
        return b""

    def handshake(self, sock: socket.socket) -> bool:
        """One step. True once it is done; TlsFailure when it can't be."""
        try:
            data = sockets.receive(sock, READ_AT_ONCE)
        except sockets.ConnectionLost as lost:
            lost.transport_failure = self._policy.lost(lost)
            raise
        if data:
            self._incoming.write(data)
        elif data is not None:
            raise TlsFailure("closed during the TLS handshake")
        try:
            self._session.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._send(sock)
            return False
        except ssl.SSLError as error:
            raise self._refusal(sock, self._policy.failed(error)) from None
        refusal = self._policy.established(self._session)
        if refusal:  # what OpenSSL has to say now would tell the peer that all is well
            raise TlsFailure(refusal, refusal)
        self._established = True
        self._facts = self._policy.facts(self._session)
        self._send(sock)
        if self._incoming.pending:
            self._hold_input()
        return True

    def _refusal(self, sock: socket.socket, text: str) -> TlsFailure:
        """The failure to raise; the alert that OpenSSL made for the peer is on its way first."""
        try:
            self._send(sock)
        except sockets.ConnectionLost:
            pass  # the peer will not hear the alert; the reason stands
        return TlsFailure(text, text)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, sock: socket.socket, size: int) -> Optional[bytes]:
        """All plain bytes of one socket read; b"" at the end of the peer's stream; None if there are none yet."""
        if self.has_input:
            self.has_input = False
            if self._end is None:
                self._decrypt()
        elif self._end is None:
            data = sockets.receive(sock, min(size, READ_AT_ONCE))
            if data is None:
                return None
            if data:
                self._incoming.write(data)
                self._decrypt()
            else:
                self._peer_ended(BARE_FIN)  # not told to OpenSSL: it would refuse to send our answer then
        if self._outgoing.pending:
            self._send(sock)
        if self._plain:
            plain = self._plain[0] if len(self._plain) == 1 else b"".join(self._plain)
            self._plain.clear()
            if self._end is not None:
                self._hold_input()
            return plain
        return None if self._end is None else self._end()

    def _decrypt(self) -> None:
        """Take everything out of OpenSSL. The question whether anything is left costs less than a read that says no."""
        session, incoming = self._session, self._incoming
        try:
            while incoming.pending or session.pending():
                data = session.read(RECORD)
                if not data:
                    self._peer_ended(CLOSE_NOTIFY)
                    return
                self._plain.append(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLZeroReturnError:
            self._peer_ended(CLOSE_NOTIFY)
        except ssl.SSLError as error:
            self._peer_failed(self._policy.failed(error))

    def _peer_ended(self, how: str) -> None:
        assert self._facts is not None
        self._facts["peer_end"] = how
        self._end = bytes

    def _peer_failed(self, text: str) -> None:
        def fail() -> bytes:
            raise TlsFailure(text, text)

        self._end = fail

    def _hold_input(self) -> None:
        """There is more to read although the socket may have nothing new."""
        self.has_input = True
        if self._host is not None:
            self._host.want_read()

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, sock: socket.socket, data: Buffer) -> int:
        """Encrypt and send until `data` is empty, the socket is full or a turn's share is used up; the bytes taken."""
        total = 0
        while self._flush(sock) and data.size and total < sockets.MOST_WRITTEN_PER_TURN:
            total += self._encrypt(data)
        return total

    def _encrypt(self, data: Buffer) -> int:
        chunk = data.front()
        if len(chunk) > ENCRYPT_AT_ONCE:
            chunk = memoryview(chunk)[:ENCRYPT_AT_ONCE]
        elif len(chunk) < RECORD and len(chunk) < data.size:
            chunk = data.peek(ENCRYPT_AT_ONCE)  # small pieces go into one record
        try:
            taken = self._session.write(chunk)
        except ssl.SSLError as error:
            text = self._policy.failed(error)
            raise TlsFailure(text, text) from None
        data.drain(taken)
        return taken

    def _flush(self, sock: socket.socket) -> bool:
        """Send wire bytes; True once none are left."""
        unsent, outgoing = self._unsent, self._outgoing
        while unsent.size or outgoing.pending:
            if not unsent.size:
                unsent.append(outgoing.read())
            sockets.send(sock, unsent)
            if unsent.size:
                self.has_output = True
                return False
        self.has_output = False
        if self._fin_due:
            self._fin_due = False
            sockets.send_fin(sock)
        return True

    def _send(self, sock: socket.socket) -> None:
        """Send what OpenSSL itself has to say, and see to it that the rest follows when the socket is full."""
        if self._flush(sock):
            return
        if self._unsent.size + self._outgoing.pending > MOST_UNREAD_ANSWERS:
            raise TlsFailure("the peer does not read the answers to its TLS messages")
        if self._host is not None:
            self._host.want_flush()

    # -- ending ----------------------------------------------------------------------------------------------------

    def send_end(self, sock: socket.socket) -> None:
        """close_notify, then the FIN; while `has_output` is true afterwards, they are still to come with the next `write`."""
        self._say_goodbye()
        self._fin_due = True
        try:
            self._flush(sock)
        except sockets.ConnectionLost:
            self.has_output = False  # as with a FIN on a raw connection: reading finds out that the peer is gone

    def _say_goodbye(self) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        if self._incoming.pending and self._end is None:
            self._decrypt()  # what OpenSSL would refuse while it shuts down: data of a peer that has not finished
        try:
            self._session.unwrap()
        except ssl.SSLError:
            pass  # close_notify is written; that the peer's has not come yet is told as an error
        if self._plain:
            self._hold_input()

    def close(self, sock: socket.socket, goodbye: bool) -> None:
        """The socket is about to be closed; the last call but `facts`. goodbye: try to send close_notify, without waiting."""
        self._host = None
        if goodbye and self._established:
            try:
                self._say_goodbye()
                self._flush(sock)
            except sockets.ConnectionLost:
                pass  # nobody is left to hear it
        if self._facts is None:
            self._facts = self._policy.facts(self._session)
        # Whoever still refers to the connection, if only till the end of the turn, need not keep OpenSSL's 40 KB.
        del self._session, self._incoming, self._outgoing

    # -- facts -----------------------------------------------------------------------------------------------------

    def publish(self, info: StreamInfo) -> None:
        """The handshake is done: into the downstream half."""
        info.tls = facts = self.facts()
        info.alpn = str(facts.get("alpn") or "") if facts else ""

    def facts(self) -> Optional[Dict[str, Any]]:
        """What is known now. From the end of the handshake on always the same dict."""
        return self._facts if self._facts is not None else self._policy.facts(self._session)
