"""One host under one check: ask, wait for the answer, wait for the next time.

    WAITING  --timer-->                             PROBING
    PROBING  --outcome, closed, timeout-->          WAITING
    WAITING  --closed by a host of a TCP check-->   WAITING   a failure as well, and the wait starts again
    any      --stop-->                              STOPPED

There is exactly one timer in WAITING and in PROBING, none in STOPPED; there is never more than one connection. Mirrors
`ActiveHealthCheckSession`.
"""

from __future__ import annotations

import enum
from typing import Final, Optional, Protocol

from ...event.timers import Timer
from ...observe.log import component_logger
from ..host import Host
from .outcome import LOST, TIMED_OUT, Outcome
from .plan import Plan
from .probe import Environment, ProbeConnection
from .standing import PENDING, Judgement, Standing


class State(enum.Enum):
    """Where a session is."""

    WAITING = "waiting"
    PROBING = "probing"
    STOPPED = "stopped"


WAITING: Final = State.WAITING
PROBING: Final = State.PROBING
STOPPED: Final = State.STOPPED

_log = component_logger("hc")


class Owner(Protocol):
    """Whoever joins the sessions of a host."""

    def on_result(self, session: Session, outcome: Outcome, judgement: Judgement) -> None:
        """A probe is over, and counted."""


class Session:
    """See the module docstring."""

    __slots__ = ("host", "plan", "standing", "state", "_environment", "_owner", "_timer", "_connection")

    def __init__(self, host: Host, plan: Plan, environment: Environment, owner: Owner) -> None:
        self.host = host
        self.plan = plan
        self.standing = Standing()
        self.state = WAITING
        self._environment = environment
        self._owner = owner
        self._timer: Optional[Timer] = None
        self._connection: Optional[ProbeConnection] = None

    @property
    def probing(self) -> bool:
        """Whether an outcome is waited for."""
        return self.state is PROBING

    def start(self) -> None:
        """Ask for the first time, now or after the initial jitter."""
        if self.state is STOPPED:  # another session's first result has made the host go
            return
        delay = self.plan.intervals.before_first()
        if delay:
            self._wait(delay)
        else:
            self._probe()

    def stop(self) -> None:
        """Never ask again."""
        self.state = STOPPED
        self._set_timer(None)
        self._drop_connection()

    def on_outcome(self, outcome: Outcome) -> None:
        """The host has answered."""
        connection = self._connection
        if connection is not None and not (self.plan.reuse and connection.reusable):
            self._drop_connection()
        self._finish(outcome)

    def on_passive_outcome(self, outcome: Outcome) -> None:
        """Traffic has shown how the host is. The next probe comes as it would have."""
        if self.state is not STOPPED:
            self._judge(outcome)

    def on_probe_closed(self) -> None:
        """The connection is gone."""
        self._connection = None
        if self.state is PROBING or self.state is WAITING and self.plan.kind.idle_close_fails:
            self._finish(LOST)

    def on_ready(self, mask: int) -> None:
        """A session watches no descriptor; its connection does."""

    def on_failure(self, error: Exception) -> None:
        """A bug in a timer's callback: this counts as no answer, and the checks go on."""
        self._drop_connection()
        if self.state is not STOPPED:
            self._finish(LOST)

    def _probe(self) -> None:
        self.state = PROBING
        self.plan.stats.attempt.inc()
        self._set_timer(self._environment.reactor.after(self.plan.timeout, self._on_timeout, self))
        if self._connection is None:
            try:
                self._connection = self._environment.connect(self.plan, self.host, self)
            except OSError as error:
                _log.warning("%s of '%s': no socket: %s", self.host.address, self.plan.cluster_config.name, error.strerror)
                self._finish(LOST)
                return
        self._connection.begin()

    def _on_timeout(self) -> None:
        self._drop_connection()
        self._finish(TIMED_OUT)

    def _finish(self, outcome: Outcome) -> None:
        plan = self.plan
        self.state = WAITING
        judgement = self._judge(outcome)
        if self.state is WAITING:  # the owner may have stopped it
            had_traffic = self._environment.cluster.stats.upstream_cx_total.used
            self._wait(plan.intervals.after(not outcome.failure, judgement.transition is PENDING, had_traffic))

    def _judge(self, outcome: Outcome) -> Judgement:
        judgement = self.standing.judge(outcome, self.plan.rules)
        self.plan.stats.count(outcome)
        self.plan.log.write(judgement.events, self.host, outcome, judgement.first)
        self._owner.on_result(self, outcome, judgement)
        return judgement

    def _wait(self, delay: float) -> None:
        self._set_timer(self._environment.reactor.after(delay, self._probe, self))

    def _set_timer(self, timer: Optional[Timer]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
