"""The client's side of TLS: a server name to ask for, a session to resume, and the facts in the upstream half of the stream.

All else is `tls.TlsTransport`. Mirrors the client half of Envoy's `SslSocket`.
"""

from __future__ import annotations

import ssl
from typing import Callable, Optional

from ..observe.stream_info import StreamInfo
from .tls import Policy, TlsTransport

KeepSession = Callable[[ssl.SSLObject], None]


class TlsClientTransport(TlsTransport):
    """One upstream connection's TLS session. The time limit of the handshake is that of the whole connect attempt.

    server_name: what to ask for, "" = nothing; resume: a session of the same context; keep_session: called once, when a session
    that can be resumed later is there. Raises ValueError if the name can't be sent.
    """

    __slots__ = ("_keep_session",)

    def __init__(
        self, context: ssl.SSLContext, policy: Policy, server_name: str = "",
        resume: Optional[ssl.SSLSession] = None, keep_session: Optional[KeepSession] = None,
    ) -> None:
        super().__init__(context, policy, server_side=False, server_hostname=server_name or None)
        if resume is not None:
            self._session.session = resume
        self._keep_session = keep_session

    def _decrypt(self) -> None:
        super()._decrypt()
        if self._keep_session is not None:  # tickets of TLSv1.3 come behind the handshake, before any data
            keep, self._keep_session = self._keep_session, None
            keep(self._session)

    def publish(self, info: StreamInfo) -> None:
        """Into the upstream half. In TLSv1.2 the session is complete now."""
        if info.upstream is not None:
            info.upstream.tls = self._facts
        if self._keep_session is not None and self._session.version() != "TLSv1.3":
            keep, self._keep_session = self._keep_session, None
            keep(self._session)
