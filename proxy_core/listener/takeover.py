"""Which listening sockets go from listeners that leave to listeners that come, within one update.

A socket that changes hands open refuses nobody: its backlog stays. It is claimed while the change is prepared
and taken when it is committed.
"""

from __future__ import annotations

import dataclasses
from typing import Collection, Dict, List, Set, Tuple

from ..network.address import Address
from .binding import options_of
from .listener import Listener
from .lists import Entry

Key = Tuple[str, bool]
Place = Tuple[Listener, int]  # and the number of its address


@dataclasses.dataclass
class Claim:
    """A listening socket that is to change hands. numbers: the address' place in the two listeners."""

    listener: Listener
    number: int
    donor: Listener
    donated: int

    def take(self) -> None:
        """Now."""
        self.listener.sockets.adopt(self.number, self.donor.sockets, self.donated)


class Donors:
    """The listeners that give up their addresses. A socket is known by the address of the configuration and
    by the real one: somebody may write down the port that 0 became."""

    def __init__(self, entries: Collection[Entry]) -> None:
        self._places: Dict[Key, List[Place]] = {}
        self._claimed: Set[Place] = set()
        self._entries: Dict[int, Entry] = {}  # by identity
        for entry in entries:
            self.add(entry)

    def __contains__(self, entry: Entry) -> bool:
        return id(entry) in self._entries

    def add(self, entry: Entry) -> None:
        """One more; harmless the second time."""
        if entry in self:
            return
        self._entries[id(entry)] = entry
        listener = entry.listener
        for number, address in enumerate(listener.addresses):
            if listener.sockets.is_open(number):
                for key in {key_of(address), (listener.sockets.address(number).text, address.ipv4_compat)}:
                    self._places.setdefault(key, []).append((listener, number))

    def bind(self, listener: Listener, listens: bool) -> List[Claim]:
        """Claim what is free for `listener` and bind the rest, or listen there. Raises BindError; nothing of it is
        left bound then."""
        if listener.config.bind_to_port is False:
            return []
        claims: List[Claim] = []
        try:
            for number in range(len(listener.addresses)):
                free = self._free(listener, number)
                place = next((one for one in free if _can_serve(*one, listener, number)), None)
                if place is not None:
                    self._claimed.add(place)
                    claims.append(Claim(listener, number, *place))
                    continue
                for donor, _ in free:  # its options are others: a second socket beside it
                    donor.sockets.share_ports()
                listener.sockets.bind(number, beside=bool(free))
            if listens:
                listener.listen()
        except Exception:
            listener.sockets.close()
            self.give_back(claims)
            raise
        return claims

    def give_back(self, claims: List[Claim]) -> None:
        """Claims that are not taken."""
        self._claimed.difference_update((claim.donor, claim.donated) for claim in claims)

    def _free(self, listener: Listener, number: int) -> List[Place]:
        """Sockets for this address. Port 0 is any port, so only the one that the listener has had so far is
        worth keeping."""
        address = listener.addresses[number]
        is_exact = bool(address.port or address.path)
        return [
            place for place in self._places.get(key_of(address), [])
            if place not in self._claimed and (is_exact or place[0].name == listener.name)
        ]


def key_of(address: Address) -> Key:
    """What makes two configured addresses the same."""
    return address.text, address.ipv4_compat


def _can_serve(donor: Listener, donated: int, listener: Listener, number: int) -> bool:
    if listener.addresses[number].path:  # a second socket can't be bound to a path beside the first
        return True
    return options_of(donor.config, donated) == options_of(listener.config, number)
