"""The members of an assignment, the hosts made of them, and what an update changes.

A host is known by its address and its hostname. One that stays keeps its object, and with it its health, its
counters and its connections; its weight, metadata, health status, locality and priority are changed in place.
Mirrors `BaseDynamicClusterImpl::updateDynamicHostList`.

Comparing is cheap where nothing changed: a member is the same object as the last time then, so an update
costs as much as walking a list, whatever hosts look like.
"""

from __future__ import annotations

from typing import Callable, Dict, Final, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...config.model.core import Locality
from ...config.model.endpoint import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from ...network.address import Address, address_of
from ..host import PENDING_DYNAMIC_REMOVAL, Host

Key = Tuple[str, str]  # address, hostname

_NOWHERE: Final = Locality()


class Member(NamedTuple):
    """One host of an assignment. `hostname` is a name of its own, or that which was looked up."""

    address: Address
    hostname: str
    entry: LbEndpoint
    endpoint: Endpoint
    group: LocalityLbEndpoints
    priority: int

    @property
    def key(self) -> Key:
        """What the host is known by."""
        return self.address.text, self.hostname


class Change(NamedTuple):
    """What an update did. hosts: all of them now. touched: the priorities that lost or won a host. edited:
    hosts that stay with another weight, health, metadata or place."""

    hosts: List[Host]
    added: List[Host]
    removed: List[Host]
    touched: Set[int]
    edited: List[Host]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it was."""
        return not (self.added or self.removed or self.edited or self.touched)


def members_of(assignment: Optional[ClusterLoadAssignment]) -> List[Member]:
    """The members with numeric addresses, in the order of the assignment. Raises ValueError for an address
    that is not."""
    found = []
    for group in assignment.endpoints if assignment is not None else []:
        for entry in group.lb_endpoints:
            endpoint = assignment.endpoint_of(entry) if assignment is not None else None
            if endpoint is not None and endpoint.address is not None:
                address = address_of(endpoint.address)
                found.append(Member(address, endpoint.hostname, entry, endpoint, group, group.priority))
    return found


def host_of(member: Member) -> Host:
    """A new host."""
    host = Host(member.address, hostname=member.hostname)
    describe(host, member)
    return host


def describe(host: Host, member: Member) -> None:
    """Give a host what may change while it stays the same host."""
    entry, group = member.entry, member.group
    host.weight = entry.load_balancing_weight or 1
    host.health = entry.health_status
    metadata = entry.metadata
    host.metadata = metadata.filter_metadata if metadata is not None else {}
    host.typed_metadata = metadata.typed_filter_metadata if metadata is not None else {}
    place = group.locality or _NOWHERE
    host.region, host.zone, host.sub_zone = place.region, place.zone, place.sub_zone
    host.locality_weight = group.load_balancing_weight or 0
    host.priority = member.priority
    host.health_check = member.endpoint.health_check_config
    if member.endpoint.additional_addresses:
        others = [one.address for one in member.endpoint.additional_addresses]
        host.more_addresses = [address_of(one) for one in others if one is not None]
    else:
        host.more_addresses = ()


class Membership:
    """The hosts of one source of members (an assignment, one DNS name), kept across updates.

    is_kept: whether a host that is no member any more stays all the same: it passes its health checks, for
    example.
    """

    def __init__(self, is_kept: Optional[Callable[[Host], bool]] = None) -> None:
        self._known: Dict[Key, Tuple[Member, Host]] = {}
        self._is_kept = is_kept

    def update(self, members: Iterable[Member]) -> Change:
        """Make the hosts those of `members`. Of two with one key the first counts."""
        before, now = self._known, {}
        change = Change([], [], [], set(), [])
        hosts = change.hosts
        for member in members:
            key = member.key
            if key in now:
                continue
            known = before.pop(key, None)
            if known is None:
                host = host_of(member)
                change.added.append(host)
                change.touched.add(member.priority)
                known = member, host
            else:
                known[1].flags &= ~PENDING_DYNAMIC_REMOVAL
                if known[0] is not member:
                    known = self._stay(change, known[0], known[1], member)
            now[key] = known
            hosts.append(known[1])
        for key, known in before.items():
            if self._is_kept is not None and self._is_kept(known[1]):
                now[key] = known
                hosts.append(known[1])
            else:
                change.removed.append(known[1])
                change.touched.add(known[0].priority)
        self._known = now
        return change

    def release(self, host: Host) -> Change:
        """A host that was kept need not be kept any longer."""
        member, _ = self._known.pop((host.address.text, host.hostname))
        return Change([one for _, one in self._known.values()], [], [host], {member.priority}, [])

    def __contains__(self, host: Host) -> bool:
        known = self._known.get((host.address.text, host.hostname))
        return known is not None and known[1] is host

    @staticmethod
    def _stay(change: Change, old: Member, host: Host, member: Member) -> Tuple[Member, Host]:
        if old.priority != member.priority:
            change.touched.update((old.priority, member.priority))
        if not _same(old, member):
            describe(host, member)
            change.edited.append(host)
        return member, host


def _same(old: Member, new: Member) -> bool:
    if old.priority != new.priority or (old.entry is not new.entry and old.entry != new.entry):
        return False
    return old.group is new.group or place_of(old.group) == place_of(new.group)


def place_of(group: LocalityLbEndpoints) -> Tuple[str, str, str, int]:
    """What a group says of each of its members."""
    place = group.locality or _NOWHERE
    return place.region, place.zone, place.sub_zone, group.load_balancing_weight or 0


def all_new(hosts: Sequence[Host]) -> Change:
    """The change that brings the first hosts."""
    return Change(list(hosts), list(hosts), [], {host.priority for host in hosts}, [])
