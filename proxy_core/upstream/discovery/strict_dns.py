"""STRICT_DNS: every address of every name is a host. Mirrors `StrictDnsClusterImpl`.

Each endpoint is a name of its own, asked for at its own times. An answer replaces the hosts of that name
only; an empty one removes them, a failure keeps them. The same address by two names is two hosts, as in
Envoy.
"""

from __future__ import annotations

import functools
import random
from typing import Callable, List, Optional

from ...config.model.endpoint import Endpoint, LbEndpoint, LocalityLbEndpoints
from ...event.reactor import Reactor
from ...network.address import Address
from ...observe.log import component_logger
from ..host import Host
from ..resolver import Answer, Resolver
from . import Target
from .dns_settings import DnsSettings, dns_settings
from .lookup import Lookup
from .members import Change, Member, Membership

_log = component_logger("upstream")


class Name:
    """One endpoint: its name, and the hosts that it stands for."""

    def __init__(
        self, group: LocalityLbEndpoints, entry: LbEndpoint, endpoint: Endpoint,
        is_kept: Callable[[Host], bool],
    ) -> None:
        assert endpoint.address is not None and endpoint.address.socket_address is not None
        self.name = endpoint.address.socket_address.address
        self._port = endpoint.address.socket_address.port_value or 0
        self._group = group
        self._entry = entry
        self._endpoint = endpoint
        self.membership = Membership(is_kept)
        self.hosts: List[Host] = []

    def members(self, answer: Answer) -> List[Member]:
        """The hosts that an answer means."""
        hostname, group = self._endpoint.hostname or self.name, self._group
        rest = hostname, self._entry, self._endpoint, group, group.priority
        return [Member(Address.from_ip(ip, self._port), *rest) for ip in answer.addresses]


class StrictDnsDiscovery:
    """Implements `Discovery`."""

    def __init__(self, reactor: Reactor, resolver: Resolver, rng: random.Random) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._random = rng
        self._names: List[Name] = []
        self._lookups: List[Lookup] = []
        self._target: Optional[Target] = None
        self._on_initialized: Optional[Callable[[], None]] = None

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """Ask for all names at once. Initialised with the first answer, whatever it is; without names at
        once."""
        self._target = target
        self._on_initialized = on_initialized
        settings = dns_settings(target.config)
        assignment = target.config.load_assignment
        for group in assignment.endpoints if assignment is not None else []:
            for entry in group.lb_endpoints:
                endpoint = assignment.endpoint_of(entry) if assignment is not None else None
                if endpoint is not None:
                    self._add(Name(group, entry, endpoint, target.keeps), settings)
        for lookup in self._lookups:
            lookup.ask()
        if not self._lookups:
            self._initialized()

    def close(self) -> None:
        """Ask no more."""
        for lookup in self._lookups:
            lookup.close()
        self._target = None

    def release(self, host: Host) -> None:
        """See `Discovery`."""
        for name in self._names:
            if host in name.membership:
                self._apply(name, name.membership.release(host))

    def _add(self, name: Name, settings: DnsSettings) -> None:
        self._names.append(name)
        assert self._target is not None
        attempts = self._target.stats.update_attempt
        self._lookups.append(Lookup(
            name.name, settings, self._reactor, self._resolver, self._random, attempts.inc,
            functools.partial(self._answered, name),
        ))

    def _answered(self, name: Name, answer: Answer) -> bool:
        target = self._target
        assert target is not None
        if answer.error:
            target.stats.update_failure.inc()
            _log.debug("dns resolution of %s for '%s' failed: %s", name.name, target.name, answer.error)
        else:
            target.stats.update_success.inc()
            change = name.membership.update(name.members(answer))
            name.hosts = change.hosts
            weights = [host.weight for each in self._names for host in each.hosts]
            target.stats.max_host_weight.set(max(weights, default=1))
            if change.is_empty:
                target.stats.update_no_rebuild.inc()
            else:
                self._apply(name, change)
        self._initialized()
        return not answer.error

    def _apply(self, name: Name, change: Change) -> None:
        assert self._target is not None
        name.hosts = change.hosts
        hosts = [host for each in self._names for host in each.hosts]
        self._target.apply(change._replace(hosts=hosts))

    def _initialized(self) -> None:
        callback, self._on_initialized = self._on_initialized, None
        if callback is not None:
            callback()
