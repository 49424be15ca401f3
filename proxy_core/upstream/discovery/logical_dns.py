"""LOGICAL_DNS: one host with one name; each new connection goes to the first address of the newest answer, or
to another one of that answer if the first does not answer (`network.happy_eyeballs`). Mirrors `LogicalDnsCluster`.

Connections that exist stay where they are. An empty answer counts as a failure, so the last address stays in
use.
"""

from __future__ import annotations

import random
from typing import Callable, Optional, Sequence

from ...event.reactor import Reactor
from ...network.address import Address
from ...observe.log import component_logger
from ..host import Host
from ..resolver import Answer, Resolver
from . import Target
from .dns_settings import dns_settings
from .lookup import Lookup
from .members import Member, all_new, host_of

_log = component_logger("upstream")


class LogicalDnsDiscovery:
    """Implements `Discovery`."""

    def __init__(self, reactor: Reactor, resolver: Resolver, rng: random.Random) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._random = rng
        self._target: Optional[Target] = None
        self._on_initialized: Optional[Callable[[], None]] = None
        self._lookup: Optional[Lookup] = None
        self._host: Optional[Host] = None

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """Initialised with the first answer, whatever it is."""
        self._target = target
        self._on_initialized = on_initialized
        name = self._member(target, None).endpoint.address
        assert name is not None and name.socket_address is not None
        self._lookup = Lookup(
            name.socket_address.address, dns_settings(target.config), self._reactor, self._resolver,
            self._random, target.stats.update_attempt.inc, self._answered,
        )
        self._lookup.ask()

    def release(self, host: Host) -> None:
        """The host never leaves."""

    def close(self) -> None:
        """Ask no more."""
        if self._lookup is not None:
            self._lookup.close()
        self._target = None

    def _answered(self, answer: Answer) -> bool:
        target = self._target
        assert target is not None
        is_good = bool(answer.addresses)
        if is_good:
            target.stats.update_success.inc()
            self._use(target, answer.addresses)
        else:
            target.stats.update_failure.inc()
            why = answer.error or "no address"
            _log.debug("dns resolution for cluster '%s' failed: %s", target.name, why)
        callback, self._on_initialized = self._on_initialized, None
        if callback is not None:
            callback()
        return is_good

    def _use(self, target: Target, ips: Sequence[str]) -> None:
        member = self._member(target, ips[0])
        others = [Address.from_ip(ip, member.address.port) for ip in ips[1:]]
        if self._host is None:
            self._host = host_of(member)
            self._host.more_addresses = others
            target.apply(all_new([self._host]))
        elif self._host.address == member.address and list(self._host.more_addresses) == others:
            target.stats.update_no_rebuild.inc()
        else:
            _log.debug("cluster '%s' goes to %s, no longer to %s", target.name, member.address, self._host)
            self._host.address = member.address
            self._host.more_addresses = others

    @staticmethod
    def _member(target: Target, ip: Optional[str]) -> Member:
        """The only one there is. ip: where it is; None = not known. The priority of the configuration does
        not count."""
        assignment = target.config.load_assignment
        assert assignment is not None
        group = assignment.endpoints[0]
        entry = group.lb_endpoints[0]
        endpoint = assignment.endpoint_of(entry)
        assert endpoint is not None and endpoint.address is not None
        configured = endpoint.address.socket_address
        assert configured is not None
        address = Address.from_ip(ip if ip is not None else "0.0.0.0", configured.port_value or 0)
        return Member(address, endpoint.hostname or configured.address, entry, endpoint, group, 0)
