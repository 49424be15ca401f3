"""The lookup among filter chains: one small object per branch of the tree, prepared when the listener is
built.

    root.find(facts) -> a result, or what was given as `otherwise` where nothing fits

Each kind of branch knows one criterion: it takes the fact, picks the most specific entry for it, and goes on
there. There is no way back. A step costs one or a few dictionary lookups, however many chains there are.
Mirrors the `find*` functions of `FilterChainManagerImpl`.
"""

from __future__ import annotations

import socket
from types import MappingProxyType
from typing import Any, Dict, Final, Generic, List, Mapping, Protocol, Tuple, TypeVar

from ..config import chain_criteria as criteria
from ..config.chain_criteria import ANY, EXTERNAL, LOCAL, RAW_BUFFER, Key
from ..network.address import Address

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_UNIX_NUMBER: Final = int.from_bytes(socket.inet_aton(criteria.UNIX_COUNTS_AS), "big")
_LOOPBACK: Final = ((4, 0x7F000001), (6, 1))
_V4_BITS: Final = 32
_V6_BITS: Final = 128


class ConnectionFacts(Protocol):
    """What chains are chosen by: the part of `filters.listener_api.AcceptedSocket` that counts here.

    Addresses are `network.address.Address`.
    """

    remote_address: Any
    direct_remote_address: Any
    local_address: Any
    transport_protocol: str
    application_protocols: Tuple[str, ...]
    requested_server_name: str


class Node(Protocol[R_co]):
    """A branch or a result."""

    def find(self, facts: ConnectionFacts) -> R_co:
        """What these facts lead to."""


class Found(Generic[R]):
    """The end of a search."""

    __slots__ = ("result",)

    def __init__(self, result: R) -> None:
        self.result = result

    def find(self, facts: ConnectionFacts) -> R:
        """The result, whatever the facts."""
        return self.result


class Lookup(Generic[R]):
    """A branch: `table` by key, and where to go without an entry: that of ANY, else `missing`."""

    __slots__ = ("table", "otherwise")

    def __init__(self, children: Mapping[Key, Node[R]], missing: Node[R]) -> None:
        self.table: Dict[Key, Node[R]] = dict(children)
        self.otherwise = self.table.pop(ANY, missing)

    def find(self, facts: ConnectionFacts) -> R:
        """Go on at the most specific entry for the facts."""
        raise AssertionError("each criterion has a lookup of its own")


class ByDestinationPort(Lookup[R]):
    """The port connected to; a Unix socket has none."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        return self.table.get(facts.local_address.port, self.otherwise).find(facts)


class BySourcePort(Lookup[R]):
    """The client's port; a Unix socket has none."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        return self.table.get(facts.remote_address.port, self.otherwise).find(facts)


class ByServerName(Lookup[R]):
    """The whole name, then its endings, the longest first: ".b.example" for "a.b.example"."""

    __slots__ = ("_longest",)

    def __init__(self, children: Mapping[Key, Node[R]], missing: Node[R]) -> None:
        super().__init__(children, missing)
        self._longest = max((len(str(key)) for key in self.table), default=0)

    def find(self, facts: ConnectionFacts) -> R:
        name = facts.requested_server_name
        table = self.table
        node = table.get(name)
        if node is None:
            # A client's name may have thousands of dots: endings longer than any entry are not tried.
            dot = name.find(".", max(1, len(name) - self._longest))
            while 0 <= dot < len(name) - 1:
                node = table.get(name[dot:])
                if node is not None:
                    break
                dot = name.find(".", dot + 1)
        return (self.otherwise if node is None else node).find(facts)


class ByTransport(Lookup[R]):
    """What a listener filter found out; raw_buffer if none did."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        return self.table.get(facts.transport_protocol or RAW_BUFFER, self.otherwise).find(facts)


class ByApplication(Lookup[R]):
    """The first of the client's protocols that has an entry."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        for protocol in facts.application_protocols:
            node = self.table.get(protocol)
            if node is not None:
                return node.find(facts)
        return self.otherwise.find(facts)


class BySourceType(Lookup[R]):
    """Whether the client is on this machine."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        return self.table.get(LOCAL if is_local(facts) else EXTERNAL, self.otherwise).find(facts)


class Ranges(Generic[R]):
    """Longest prefix first: for each length in use one dictionary by the leading bits."""

    __slots__ = ("_v4", "_v6", "otherwise")

    def __init__(self, children: Mapping[Key, Node[R]], missing: Node[R]) -> None:
        self.otherwise = children.get(ANY, missing)
        self._v4 = _by_length(children, 4, _V4_BITS)
        self._v6 = _by_length(children, 6, _V6_BITS)

    def longest(self, address: Address) -> Node[R]:
        """The entry of the longest prefix of `address`."""
        version, number = ip_number(address)
        for shift, table in self._v4 if version == 4 else self._v6:
            node = table.get(number >> shift)
            if node is not None:
                return node
        return self.otherwise


def _by_length(
    children: Mapping[Key, Node[R]], version: int, bits: int
) -> List[Tuple[int, Dict[int, Node[R]]]]:
    tables: Dict[int, Dict[int, Node[R]]] = {}
    for key, node in children.items():
        if isinstance(key, tuple) and key[0] == version:
            tables.setdefault(bits - key[1], {})[key[2]] = node
    return sorted(tables.items(), key=lambda item: item[0])


class ByDestination(Ranges[R]):
    """The address connected to."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        """Go on at the longest prefix."""
        return self.longest(facts.local_address).find(facts)


class ByDirectSource(Ranges[R]):
    """The peer of the TCP connection."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        """Go on at the longest prefix."""
        return self.longest(facts.direct_remote_address).find(facts)


class BySource(Ranges[R]):
    """The client, after proxy_protocol."""

    __slots__ = ()

    def find(self, facts: ConnectionFacts) -> R:
        """Go on at the longest prefix."""
        return self.longest(facts.remote_address).find(facts)


_KINDS: Final[Mapping[int, Any]] = MappingProxyType({
    criteria.DESTINATION_PORT: ByDestinationPort,
    criteria.DESTINATION: ByDestination,
    criteria.SERVER_NAME: ByServerName,
    criteria.TRANSPORT: ByTransport,
    criteria.APPLICATION: ByApplication,
    criteria.DIRECT_SOURCE: ByDirectSource,
    criteria.SOURCE_TYPE: BySourceType,
    criteria.SOURCE: BySource,
    criteria.SOURCE_PORT: BySourcePort,
})


def lookup(criterion: int, children: Mapping[Key, Node[R]], missing: Node[R]) -> Node[R]:
    """A branch on one criterion. missing: where to go when no key fits and ANY is not among the children."""
    made: Node[R] = _KINDS[criterion](children, missing)
    return made


def ip_number(address: Address) -> Tuple[int, int]:
    """An address as IP version and number. A Unix socket counts as 255.255.255.255, as in Envoy."""
    if address.family == socket.AF_INET:
        return 4, int.from_bytes(socket.inet_aton(address.ip), "big")
    if address.family == socket.AF_INET6:
        return 6, int.from_bytes(socket.inet_pton(socket.AF_INET6, address.ip.partition("%")[0]), "big")
    return 4, _UNIX_NUMBER


def is_local(facts: ConnectionFacts) -> bool:
    """Envoy's SAME_IP_OR_LOOPBACK: from a Unix socket, from exactly 127.0.0.1 or ::1 (not all of
    127.0.0.0/8), or from the very address that it goes to.
    """
    remote, local = facts.remote_address, facts.local_address
    if not remote.ip:
        return True
    number = ip_number(remote)
    return number in _LOOPBACK or bool(local.ip) and number == ip_number(local)
