"""The timers of a session: idle, maximum duration, periodic log lines, and the way out when the listener drains.

The idle timer is lazy: no byte touches it. When it fires it looks at when the last byte moved and waits for the rest.
"""

from __future__ import annotations

from typing import Final, List, Optional, Protocol

from ....event.timers import Timer
from ....network.close import FLUSH_WRITE, NO_FLUSH
from ....network.connection import Connection
from ....observe.reasons import PendingTimer, duration_text
from .config import Prepared

# A draining session is closed once no byte moved for this long, so that no reply on its way is cut (Envoy cuts it).
DRAIN_QUIET: Final = 0.25


class TimedSession(Protocol):
    """The session, as its timers see it."""

    def last_activity(self) -> float:
        """When the last byte moved on either side."""

    def on_log_interval(self) -> None:
        """A periodic line is due."""


def idle_timer(prepared: Prepared, session: TimedSession, timer: Optional[Timer]) -> PendingTimer:
    """The idle timeout of a session as things are. timer: None as long as none is set."""
    due = session.last_activity() + prepared.idle_timeout
    return PendingTimer("idle_timeout", due, prepared.idle_source, timer)


class SessionTimers:
    """All timers of one session; `stop` when it is over."""

    __slots__ = ("_connection", "_prepared", "_session", "_idle", "_duration", "_interval", "_drain")

    def __init__(self, connection: Connection, prepared: Prepared, session: TimedSession) -> None:
        self._connection = connection
        self._prepared = prepared
        self._session = session
        self._idle: Optional[Timer] = None
        self._duration: Optional[Timer] = None
        self._interval: Optional[Timer] = None
        self._drain: Optional[Timer] = None
        reactor = connection.reactor
        if prepared.idle_timeout:
            due = session.last_activity() + prepared.idle_timeout
            self._idle = reactor.timers.at(due, self._on_idle, connection)
        duration = prepared.max_duration()
        if duration:
            self._duration = reactor.after(duration, self._on_duration, connection)
        if prepared.log_interval:
            self._interval = reactor.after(prepared.log_interval, self._on_interval, connection)
        if prepared.check_drain_close:
            prepared.context.drain.add(self)

    def stop(self) -> None:
        """The session is over."""
        timers: List[Optional[Timer]] = [self._idle, self._duration, self._interval, self._drain]
        for timer in timers:
            if timer is not None:
                timer.cancel()
        if self._prepared.check_drain_close:
            self._prepared.context.drain.discard(self)

    def pending(self) -> List[PendingTimer]:
        """What is set now. The idle timer is lazy: it is due when no byte has moved for long enough, not when it fires."""
        prepared = self._prepared
        found: List[PendingTimer] = []
        if self._idle is not None:
            found.append(idle_timer(prepared, self._session, self._idle))
        if self._duration is not None:
            name = "max_downstream_connection_duration"
            found.append(PendingTimer(name, self._duration.when, prepared.duration_source, self._duration))
        if self._interval is not None:
            source = f"access_log_flush_interval {duration_text(prepared.log_interval)}"
            found.append(PendingTimer("access_log_flush_interval", self._interval.when, source, self._interval))
        if self._drain is not None:
            found.append(PendingTimer("check_drain_close", self._drain.when, "the listener drains", self._drain))
        return found

    def _on_idle(self) -> None:
        allowed = self._prepared.idle_timeout
        left = self._session.last_activity() + allowed - self._connection.reactor.now
        if left > 0:
            self._idle = self._connection.reactor.after(left, self._on_idle, self._connection)
            return
        self._prepared.stats.idle_timeout.inc()
        self._connection.close(
            NO_FLUSH, "tcp_session_idle_timeout", how="timeout", config=self._prepared.idle_source
        )

    def _on_duration(self) -> None:
        self._prepared.stats.max_downstream_connection_duration.inc()
        self._connection.info.add_flag("DT")
        self._connection.close(
            NO_FLUSH, "max_connection_duration_reached", how="timeout", config=self._prepared.duration_source
        )

    def _on_interval(self) -> None:
        self._interval = self._connection.reactor.after(
            self._prepared.log_interval, self._on_interval, self._connection
        )
        self._session.on_log_interval()

    def on_drain(self, delay: float) -> None:
        """The listener drains: leave in `delay` seconds or later, at the first quiet moment."""
        reactor = self._connection.reactor
        if self._drain is not None:
            if self._drain.when <= reactor.now + delay:
                return
            self._drain.cancel()
        self._drain = reactor.after(delay, self._leave_when_quiet, self._connection)

    def _leave_when_quiet(self) -> None:
        self._drain = None
        if not self._prepared.context.drain.draining:
            return  # the health check is good again
        left = self._session.last_activity() + DRAIN_QUIET - self._connection.reactor.now
        if left > 0:
            self._drain = self._connection.reactor.after(left, self._leave_when_quiet, self._connection)
            return
        self._prepared.stats.downstream_cx_drain_close.inc()
        self._connection.close(FLUSH_WRITE, "tcp_proxy_drain_close", how="drain", config="check_drain_close")
