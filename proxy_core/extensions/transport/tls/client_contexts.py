"""The `ssl.SSLContext`s of one cluster, and the sessions that its connections may resume. Mirrors Envoy's `ClientContextImpl`.

Application protocols belong to a context, and a filter may ask for others than the configuration, so there is one context for
each list that was asked for. A session can only be resumed in the context that it was made in.
"""

from __future__ import annotations

import collections
import ssl
from typing import Deque, Dict, Optional, Sequence, Tuple

from .material import Identity
from .parameters import Parameters
from .trust import Trust

# Lists of protocols and server names may come from clients (filter state), so what is kept of them is bounded.
MOST_CONTEXTS = 64
MOST_SERVER_NAMES = 256


class Sessions:
    """Sessions of one context by server name, the newest first. most: how many for each name, 0 = none are kept."""

    __slots__ = ("_most", "_by_name")

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_name: Dict[str, Deque[Tuple[ssl.SSLSession, bool]]] = {}

    def add(self, name: str, session: Optional[ssl.SSLSession], single_use: bool) -> None:
        """Keep a session if it can be resumed. single_use: of TLSv1.3 (RFC 8446 appendix C.4: else it tells who we are)."""
        if not self._most or session is None or not (session.has_ticket or session.id):
            return
        kept = self._by_name.get(name)
        if kept is None:
            if len(self._by_name) >= MOST_SERVER_NAMES:
                del self._by_name[next(iter(self._by_name))]
            kept = self._by_name[name] = collections.deque(maxlen=self._most)
        kept.appendleft((session, single_use))

    def take(self, name: str) -> Optional[ssl.SSLSession]:
        """A session to offer to a server of that name."""
        kept = self._by_name.get(name)
        if not kept:
            return None
        session, single_use = kept[0]
        if single_use:
            kept.popleft()
        return session


class ClientContext:
    """A context with its sessions."""

    __slots__ = ("ssl", "sessions")

    def __init__(self, context: ssl.SSLContext, sessions: Sessions) -> None:
        self.ssl = context
        self.sessions = sessions


class ClientContexts:
    """See the module docstring. trust: None = every chain is accepted; identity: our certificate, if we have one."""

    def __init__(
        self, parameters: Parameters, trust: Optional[Trust], identity: Optional[Identity], most_sessions: int
    ) -> None:
        self._parameters = parameters
        self._trust = trust
        self._identity = identity
        self._most_sessions = most_sessions
        self._by_protocols: Dict[Tuple[str, ...], ClientContext] = {}
        self.default = self._make(parameters.protocols)

    @property
    def offers_any(self) -> bool:
        """Whether application protocols are configured."""
        return bool(self._parameters.protocols)

    def find(self, protocols: Sequence[str]) -> ClientContext:
        """The context that offers these application protocols instead of the configured ones."""
        key = tuple(protocols)
        found = self._by_protocols.get(key)
        if found is None:
            if len(self._by_protocols) >= MOST_CONTEXTS:
                del self._by_protocols[next(iter(self._by_protocols))]
            found = self._by_protocols[key] = self._make(protocols)
        return found

    def _make(self, protocols: Sequence[str]) -> ClientContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # names are the business of `checks`, as in Envoy
        context.verify_mode = ssl.CERT_NONE
        self._parameters.apply(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if self._trust is not None:
            self._trust.apply(context)
        if self._identity is not None:
            self._identity.load_into(context)
        return ClientContext(context, Sessions(self._most_sessions))
