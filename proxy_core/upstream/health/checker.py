"""All health checks of one cluster: a session for each host and check, joined to one verdict per host.

A host is healthy while all checks pass it; it is degraded, or has timed out, if one of them says so. Every probe's result goes
through `on_result` here, and from here to whoever publishes hosts (`upstream.monitoring`).
"""

from __future__ import annotations

import functools
from typing import Callable, Dict, Final, Iterator, List, Sequence, Set

from ...observe.stats import Scope
from .. import host as flags
from ..host import Host
from .outcome import REFUSES, Outcome
from .plan import Plan
from .probe import Environment
from .session import Session
from .standing import Judgement
from .stats import show_standings

_MINE: Final = (
    flags.FAILED_ACTIVE_HC | flags.DEGRADED_ACTIVE_HC | flags.EXCLUDED_VIA_IMMEDIATE_HC_FAIL | flags.ACTIVE_HC_TIMEOUT
    | flags.PENDING_ACTIVE_HC
)


class Checked:
    """What a result did to a host. passed: whether the probe did. changed: whether the host's flags are others now."""

    __slots__ = ("host", "passed", "changed", "_turned")

    def __init__(self, host: Host, passed: bool, before: int) -> None:
        """before: the flags that it had."""
        self.host = host
        self.passed = passed
        self.changed = before != host.flags
        self._turned = (before ^ host.flags) & flags.FAILED_ACTIVE_HC

    @property
    def became_healthy(self) -> bool:
        """Whether health checks kept it from being picked, and do no longer."""
        return self._turned != 0 and not self.host.flags & flags.FAILED_ACTIVE_HC

    @property
    def became_unhealthy(self) -> bool:
        """The opposite."""
        return self._turned != 0 and self.host.flags & flags.FAILED_ACTIVE_HC != 0


class HealthChecker:
    """on_checked: told of every result. scope: `health_check` of the cluster's stats."""

    def __init__(
        self, plans: Sequence[Plan], environment: Environment, scope: Scope, on_checked: Callable[[Checked], None],
        new_hosts_wait: bool = False,
    ) -> None:
        """new_hosts_wait: `ignore_new_hosts_until_first_hc`, nobody counts on a host before its first result."""
        self._plans = plans
        self._environment = environment
        self._on_checked = on_checked
        self._first_flags = flags.FAILED_ACTIVE_HC | (flags.PENDING_ACTIVE_HC if new_hosts_wait else 0)
        self._sessions: Dict[Host, List[Session]] = {}
        self._unheard: Set[Session] = set()  # of the hosts that were there at the start
        self._started = False
        for index, plan in enumerate(plans):
            show_standings(plan.scope, functools.partial(self._passing, index), functools.partial(self._degraded, index))
        if len(plans) > 1:
            show_standings(
                scope, lambda: (not host.flags & flags.FAILED_ACTIVE_HC for host in self._sessions),
                lambda: (host.flags & flags.DEGRADED_ACTIVE_HC != 0 for host in self._sessions),
            )

    @property
    def is_ready(self) -> bool:
        """Whether every host that was there at the start has had a result."""
        return self._started and not self._unheard

    @property
    def active(self) -> int:
        """How many sessions there are."""
        return sum(len(sessions) for sessions in self._sessions.values())

    def add(self, hosts: Sequence[Host]) -> None:
        """New hosts: they have failed until they pass. Those whose endpoint says so are not asked."""
        for host in hosts:
            if host.health_check is not None and host.health_check.disable_active_health_check:
                continue
            host.flags |= self._first_flags
            sessions = [Session(host, plan, self._environment, self) for plan in self._plans]
            self._sessions[host] = sessions
            if self._started:
                self._start(sessions)

    def remove(self, hosts: Sequence[Host]) -> None:
        """They are asked no more."""
        for host in hosts:
            for session in self._sessions.pop(host, ()):
                session.stop()
                self._unheard.discard(session)

    def start(self) -> None:
        """Ask all hosts now, and go on."""
        self._started = True
        self._unheard = {session for sessions in self._sessions.values() for session in sessions}
        for sessions in list(self._sessions.values()):
            self._start(sessions)

    def close(self) -> None:
        """Ask nobody any more."""
        self.remove(list(self._sessions))

    def knows(self, host: Host) -> bool:
        """Whether this host is asked."""
        return host in self._sessions

    def fail(self, host: Host) -> None:
        """An answer to a request said that the host is to be left alone at once."""
        for session in self._sessions.get(host, ())[-1:]:
            session.on_passive_outcome(REFUSES)

    def on_result(self, session: Session, outcome: Outcome, judgement: Judgement) -> None:
        """One probe is over: join what the checks say of its host."""
        host = session.host
        before = host.flags
        host.flags = before & ~_MINE | self._joined(host)
        self._unheard.discard(session)
        self._on_checked(Checked(host, not outcome.failure, before))

    def _start(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            session.start()

    def _joined(self, host: Host) -> int:
        found = 0
        sessions = self._sessions[host]
        for session in sessions:
            standing = session.standing
            found |= flags.FAILED_ACTIVE_HC if standing.failing else 0
            found |= flags.DEGRADED_ACTIVE_HC if standing.degraded else 0
            found |= flags.ACTIVE_HC_TIMEOUT if standing.timed_out else 0
            if standing.excluded and len(sessions) == 1:  # one of several does not speak for all, as in Envoy
                found |= flags.EXCLUDED_VIA_IMMEDIATE_HC_FAIL
            if standing.first and host.flags & flags.PENDING_ACTIVE_HC:
                found |= flags.PENDING_ACTIVE_HC
        return found

    def _passing(self, check: int) -> Iterator[bool]:
        return (not sessions[check].standing.failing for sessions in self._sessions.values())

    def _degraded(self, check: int) -> Iterator[bool]:
        return (sessions[check].standing.degraded for sessions in self._sessions.values())
