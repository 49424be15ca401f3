"""EDS: the hosts that a subscription delivers. Mirrors `EdsClusterImpl`.

Where assignments come from is not known here: `Subscribe` is the way to it, and each assignment that it
delivers is complete.
"""

from __future__ import annotations

from typing import Callable, Final, List, NamedTuple, Optional, Protocol

from ...config.model.discovery import EdsClusterConfig
from ...config.model.endpoint import LoadAssignmentPolicy
from ...event.reactor import Reactor
from ...event.timers import Timer
from ...observe.log import component_logger
from ...observe.stats import Scope
from ..host import Host
from . import Target
from .members import Change, Member, Membership

_DEFAULT_POLICY: Final = LoadAssignmentPolicy()
_log = component_logger("upstream")


class Assignment(NamedTuple):
    """All hosts of a cluster, as delivered."""

    members: List[Member]
    policy: LoadAssignmentPolicy


class Subscription(Protocol):
    """Delivers assignments."""

    def start(self) -> None:
        """Begin; the first assignment, if there is one, is delivered before this returns."""

    def close(self) -> None:
        """Deliver no more."""


Receive = Callable[[Optional[Assignment]], None]
"""Takes an assignment; None: there was an answer, but the assignment was not in it."""

Subscribe = Callable[[EdsClusterConfig, str, Scope, Receive, str], Subscription]
"""(where from, name of the assignment, stats of the cluster, receiver, path of the first one) -> a
subscription. Raises ConfigError when there is nothing to read."""


class EdsDiscovery:
    """Implements `Discovery`. subscription: made by a `Subscribe` with `receive` of this object."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.subscription: Optional[Subscription] = None
        self._target: Optional[Target] = None
        self._membership = Membership()
        self._policy = _DEFAULT_POLICY
        self._stale: Optional[Timer] = None

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """Initialised once the source was read, also when it could not be used."""
        assert self.subscription is not None
        self._target = target
        self._membership = Membership(target.keeps)
        self.subscription.start()
        on_initialized()

    def receive(self, assignment: Optional[Assignment]) -> None:
        """Take what was delivered."""
        target = self._target
        assert target is not None
        if assignment is None:
            _log.debug("cluster '%s': there is no assignment in the update, the hosts stay", target.name)
            target.stats.update_empty.inc()
            return
        if self._stale is not None:
            self._stale.cancel()
            self._stale = None
        lifetime = assignment.policy.endpoint_stale_after
        if lifetime is not None:
            target.stats.assignment_timeout_received.inc()
            self._stale = self._reactor.after(lifetime, self._on_stale)
        self._update(target, assignment)

    def release(self, host: Host) -> None:
        """See `Discovery`."""
        if self._target is not None and host in self._membership:
            self._apply(self._target, self._membership.release(host))

    def close(self) -> None:
        """Take no more."""
        if self.subscription is not None:
            self.subscription.close()
        if self._stale is not None:
            self._stale.cancel()
            self._stale = None
        self._target = None

    def _update(self, target: Target, assignment: Assignment) -> None:
        change = self._membership.update(assignment.members)
        target.stats.max_host_weight.set(max((host.weight for host in change.hosts), default=1))
        is_same_policy = assignment.policy == self._policy
        if not is_same_policy:
            self._policy = assignment.policy
            target.set_policy(assignment.policy)
        if not change.is_empty or not is_same_policy:
            self._apply(target, change)
        else:
            target.stats.update_no_rebuild.inc()

    def _apply(self, target: Target, change: Change) -> None:
        target.apply(change)

    def _on_stale(self) -> None:
        """No new assignment came in time."""
        self._stale = None
        target = self._target
        if target is not None:
            _log.warning("cluster '%s': endpoint_stale_after is over, its hosts are dropped", target.name)
            target.stats.assignment_stale.inc()
            self._update(target, Assignment([], _DEFAULT_POLICY))
