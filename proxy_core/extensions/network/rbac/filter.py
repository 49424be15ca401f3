"""One connection before its rules. Mirrors `RoleBasedAccessControlFilter`, but does not wait for bytes to decide.

    NEW      -> ALLOWED, DENIED      judged when the connection is new
    NEW      -> WAITING              a fact is still to come: the client's certificate, or metadata that a filter in front of this
                                     one may write; until then no later filter runs, and nothing is dialled
    WAITING  -> ALLOWED, DENIED      judged when the connection is up, at the latest with the first bytes
    ALLOWED  -> DENIED               CONTINUOUS: judged again with all bytes
    DENIED   -> LEAVING, OVER        once the connection is up and `delay_deny` has passed
    LEAVING  -> OVER                 the client heard our end; its first bytes, its own end or a second of silence close

LEAVING is there for the client: it has usually sent something that has not arrived yet, and a socket closed now would answer
that with a reset where Envoy, which waits for these bytes, gives an orderly end.

Counting stays Envoy's where it makes no difference to the client: `allowed` and the shadow counters of a connection that is let
in are counted when its first bytes arrive, `denied` at once.
"""

from __future__ import annotations

import enum
from typing import Final, Optional

from ....buffer import Buffer
from ....filters.api import CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ....network.close import NO_FLUSH
from ....network.connection import Connection
from ....network.states import CONNECTING
from ....network.transport import RAW
from ....observe.log import component_logger
from ...rbac.facts import Facts
from ...rbac.outcome import LOG_NAMESPACE, denied_details, log_hint
from ...rbac.rules import Verdict
from .prepared import Prepared

NAME: Final = "envoy.filters.network.rbac"
CLOSE_REASON: Final = "rbac_deny_close"
# Seconds for the handshake, and then for the first bytes, of a client that was denied before it said anything.
LEAVING_TIME: Final = 1.0

_log = component_logger("rbac")


class State(enum.Enum):
    """Where a connection is."""

    NEW = "new"
    WAITING = "waiting for a fact that the rules ask about"
    ALLOWED = "allowed"
    DENIED = "denied"
    LEAVING = "told to leave"
    OVER = "over"


NEW: Final = State.NEW
WAITING: Final = State.WAITING
ALLOWED: Final = State.ALLOWED
DENIED: Final = State.DENIED
LEAVING: Final = State.LEAVING
OVER: Final = State.OVER


class RbacFilter:
    """See the module docstring."""

    __slots__ = ("_prepared", "_callbacks", "_connection", "_state", "_verdict", "_shadow", "_counted", "_may_change")

    inspects_data = False

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._callbacks: ReadFilterCallbacks
        self._connection: Connection
        self._state = NEW
        self._verdict: Optional[Verdict] = None  # None: there are no rules
        self._shadow: Optional[Verdict] = None
        self._counted = False
        self._may_change = False

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep the callbacks, and find out whether somebody in front of us can still change what the rules ask about."""
        self._callbacks = callbacks
        self._connection = callbacks.connection
        self._may_change = self._prepared.asks_state and len(self._connection.read_chain) > 1

    def on_new_connection(self) -> FilterStatus:
        """Judge, unless the client's certificate is asked for and not there yet."""
        connection = self._connection
        if self._prepared.asks_certificate and not self._is_up and connection.transport is not RAW:
            self._state = WAITING
            return STOP_ITERATION
        return self._decide(final=not self._may_change or connection.bytes_read > 0)

    def on_event(self, event: ConnectionEvent) -> None:
        """The connection came up: a denial is carried out now, and what waited for the handshake is decided."""
        if event is not CONNECTED:
            self._state = OVER
        elif self._state is DENIED and not self._prepared.delay:
            self._leave()
        elif self._state is WAITING and self._decide(final=not self._may_change) is CONTINUE:
            self._callbacks.continue_reading()

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Count the first bytes of those who are let in; those who are not have nothing to say."""
        state = self._state
        if state is ALLOWED:
            if self._counted:
                return CONTINUE
            if self._may_change:
                return self._decide(final=True, count=True)
            self._count()
            return CONTINUE
        if state is WAITING:
            return self._decide(final=True, count=True)
        if state is LEAVING or end_stream:
            self._close()
        return STOP_ITERATION

    # -- judging ---------------------------------------------------------------------------------------------------

    @property
    def _is_up(self) -> bool:
        """Whether the connection is past its handshake."""
        return self._connection.write_state is not CONNECTING

    def _decide(self, final: bool, count: bool = False) -> FilterStatus:
        """Judge and go where the verdict leads. final: a denial stands, else it may be lifted when more is known. count: this is
        about bytes, as in Envoy."""
        conclusive = final and (count or not self._prepared.continuous)
        verdict = self._judge(conclusive)
        if final and not conclusive and verdict is not None and not verdict.allowed:
            verdict = self._judge(True)  # a denial is conclusive
        if verdict is None or verdict.allowed:
            self._state = ALLOWED
            if count:
                self._count()
            return CONTINUE
        if final:
            self._deny(verdict)
        else:
            self._state = WAITING
        return STOP_ITERATION

    def _judge(self, conclusive: bool) -> Optional[Verdict]:
        """Ask both sets of rules, the shadow ones first. Only a conclusive answer leaves its metadata behind: rules may read
        what rules have written, and must not find that of a question that will be asked again."""
        prepared = self._prepared
        info = self._connection.info
        facts = Facts(info)
        if prepared.shadow_rules is not None:
            self._shadow = shadow = prepared.shadow_rules.judge(facts)
            if conclusive:
                info.set_dynamic_metadata(NAME, prepared.shadow_labels.metadata(shadow))
        if prepared.rules is not None:
            self._verdict = prepared.rules.judge(facts)
            if conclusive and prepared.rules.action == "LOG":
                info.set_dynamic_metadata(LOG_NAMESPACE, log_hint(self._verdict))
        return self._verdict

    def _count(self) -> None:
        """Count what was judged last."""
        stats = self._prepared.stats
        self._counted = True
        if self._shadow is not None:
            stats.shadow(self._shadow)
        if self._verdict is not None:
            stats.enforced(self._verdict)

    # -- denying ---------------------------------------------------------------------------------------------------

    def _deny(self, verdict: Verdict) -> None:
        """From here on this connection only ends."""
        connection, delay = self._connection, self._prepared.delay
        self._state = DENIED
        self._count()
        connection.info.connection_termination_details = denied_details(verdict.policy)
        # The client's end is to be told to this filter and to nobody's reply: whoever leaves gives its place back at once.
        connection.half_close_enabled = True
        _log.debug("[C%d] enforced denied, matched policy %s", connection.id, verdict.policy or "none")
        if delay:
            self._callbacks.schedule(delay, self._leave, f"delay_deny {delay:g}s")
        elif self._is_up:
            self._leave()
        elif connection.transport is not RAW:
            self._callbacks.schedule(LEAVING_TIME, self._close, "the handshake of a denied client")

    def _leave(self) -> None:
        """Say that we are done. Where the client has spoken already, or there is no way to tell it, close now."""
        if self._connection.bytes_read or not self._is_up:
            self._close()
            return
        self._state = LEAVING
        self._connection.write(Buffer(), True)
        self._callbacks.schedule(LEAVING_TIME, self._close, "the first bytes of a denied client")

    def _close(self) -> None:
        policy = self._verdict.policy if self._verdict is not None else ""
        self._connection.close(NO_FLUSH, CLOSE_REASON, config=f"rbac policy '{policy}'" if policy else "no rbac policy matches")


class ContinuousRbacFilter(RbacFilter):
    """CONTINUOUS: asks the rules again, and counts, whenever bytes arrive."""

    __slots__ = ()

    inspects_data = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Judge with what is known now."""
        if self._state is ALLOWED or self._state is WAITING:
            return self._decide(final=True, count=True)
        return super().on_data(data, end_stream)
