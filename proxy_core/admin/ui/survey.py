"""One walk over all connections: how many are in which state, and which of them are to be shown one by one.

Place in the data's way: none, it only looks. A walk is made of steps (`step`), so that five thousand connections
do not stop the loop for the time it takes to look at all of them. What closes or moves meanwhile is counted as
it was when its turn came.

A downstream connection and its upstream one count as one: a pair, in the more unusual state of the two. A pair
that is merely open is "moving" if bytes came or went since the walk before, else "idle", or "waiting" if it has an HTTP
request under way. The upstream one of an HTTP client is the one that serves its request now.
"""

from __future__ import annotations

import heapq
from typing import Collection, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from ...network.connection import Connection
from ...network.states import OPEN
from ..connection_rows import place_of, states_of
from ..connection_streams import active_stream, parked_stream, served_by

MOVING: Final = "moving"
WAITING: Final = "waiting"
IDLE: Final = "idle"
# The states of a pair, the most unusual first.
SEVERITY: Final = (
    "stalled", "parked", "above_high", "flushing", "paused", "half_closed", "lingering", "connecting", MOVING, WAITING, IDLE,
)
_RANK: Final = {state: rank for rank, state in enumerate(SEVERITY)}
ORDERS: Final = ("unusual", "busiest", "fullest")
MOST_ROWS: Final = 200

Key = Tuple[int, int]
Moved = Dict[int, Tuple[int, int]]  # bytes from and to the client so far, by connection
Name = TypeVar("Name")


class Selection(NamedTuple):
    """Which pairs a viewer wants to see one by one; "" = all. order: one of ORDERS. rows: how many."""

    listener: str = ""
    chain: Optional[str] = None  # a chain may have no name
    state: str = ""
    cluster: str = ""
    host: str = ""
    order: str = ORDERS[0]
    rows: int = 40


class Pair:
    """A client's connection, and the one that was made for it, if any. Rates are bytes since the walk before."""

    __slots__ = ("near", "far", "state", "received", "sent", "place")

    def __init__(self, near: Connection, far: Optional[Connection], received: int, sent: int) -> None:
        self.near = near
        self.far = far
        self.received = received
        self.sent = sent
        self.place = place_of(near)
        self.state = self._state()

    def _state(self) -> str:
        states = _unusual(self.near)
        if self.far is not None:
            states = [*states, *_unusual(self.far)]
        if states:
            return min(states, key=_RANK.__getitem__)
        if self.received or self.sent:
            return MOVING
        return IDLE if active_stream(self.near) is None else WAITING

    def key(self, order: str) -> Key:
        """What sorts first is shown first. By id where nothing else tells, so that rows stay where they are."""
        if order == "busiest":
            return -self.received - self.sent, self.near.id
        if order == "fullest":
            ends = (self.near, self.far) if self.far is not None else (self.near,)
            return -sum(end.read_buffer.size + end.write_buffer.size for end in ends), self.near.id
        # Which of the open ones move changes all the time.
        return min(_RANK[self.state], _RANK[MOVING]), self.near.id

    def is_in(self, wanted: Selection) -> bool:
        """Whether the viewer asked for it."""
        listener, chain, cluster, host = self.place
        return (
            wanted.listener in ("", listener) and wanted.chain in (None, chain) and wanted.state in ("", self.state)
            and wanted.cluster in ("", cluster) and wanted.host in ("", host)
        )


def _unusual(connection: Connection) -> List[str]:
    """Its states, [] for one that is just open. The first test spares four of five microseconds for those."""
    if (
        connection.read_state is OPEN and connection.write_state is OPEN and not connection.pauses
        and not connection.above_high and not connection.read_chain.parked_by and connection.is_open
        and parked_stream(connection) is None
    ):
        return []
    return [state for state in states_of(connection) if state in _RANK]


class ChainTally:
    """What the pairs of one filter chain do. filters: of one of its connections, by name. parked: by filter."""

    __slots__ = ("filters", "states", "parked", "received", "sent")

    def __init__(self, filters: Sequence[str]) -> None:
        self.filters = filters
        self.states: Dict[str, int] = {}
        self.parked: Dict[str, int] = {}
        self.received = 0
        self.sent = 0


class Tally:
    """How many pairs, and how many bytes from and to the clients since the walk before."""

    __slots__ = ("count", "received", "sent")

    def __init__(self) -> None:
        self.count = 0
        self.received = 0
        self.sent = 0

    def add(self, pair: Pair) -> None:
        """One more."""
        self.count += 1
        self.received += pair.received
        self.sent += pair.sent


class Survey:
    """See the module docstring. The tallies are complete once `step` said so.

    chains: by listener and chain. states: all pairs, by state. ways: by state and cluster. hosts: by cluster and
    address. matched: how many pairs the viewer asked for. moved: for the next walk.
    """

    def __init__(
        self, live: List[Connection], listeners: Collection[str], moved: Optional[Moved], wanted: Selection
    ) -> None:
        """listeners: the names of those whose connections count, which leaves out the admin's. moved: `moved` of the
        walk before, None for the first one, to which nothing has moved."""
        self._left = [one for one in live if one.id == one.info.connection_id and one.info.listener_name in listeners]
        self._left.reverse()
        self._upstreams = {one.id: one for one in live if one.id != one.info.connection_id}
        self._servers = self._serving()
        self._before = moved
        self._wanted = wanted
        self._found: List[Tuple[Key, Pair]] = []
        self.moved: Moved = {}
        self.chains: Dict[Tuple[str, str], ChainTally] = {}
        self.states: Dict[str, Tally] = {}
        self.ways: Dict[Tuple[str, str], Tally] = {}
        self.hosts: Dict[Tuple[str, str], Tally] = {}
        self.matched = 0

    def step(self, most: int) -> bool:
        """Look at `most` more connections; whether that was all."""
        left = self._left
        for _ in range(min(most, len(left))):
            self._count(self._pair(left.pop()))
        if left:
            return False
        self._upstreams, self._servers = {}, {}
        return True

    def shown(self) -> List[Pair]:
        """The pairs to be shown one by one, the first ones by the viewer's order."""
        return [pair for _, pair in heapq.nsmallest(self._wanted.rows, self._found, key=_by_key)]

    def _serving(self) -> Dict[int, Connection]:
        """The upstream connections by the client's that they serve; one of an HTTP pool serves one after the other."""
        found = {}
        for one in self._upstreams.values():
            info = one.info if one.info.connection_id >= 0 else served_by(one)
            if info is not None:
                found[info.connection_id] = one
        return found

    def _pair(self, near: Connection) -> Pair:
        so_far = self.moved[near.id] = (near.bytes_read, near.bytes_sent)
        received, sent = so_far if self._before is None else self._before.get(near.id, (0, 0))
        upstream = near.info.upstream
        far = self._upstreams.get(upstream.connection_id) if upstream is not None else self._servers.get(near.id)
        return Pair(near, far, near.bytes_read - received, near.bytes_sent - sent)

    def _count(self, pair: Pair) -> None:
        listener, chain, cluster, host = pair.place
        self._count_chain((listener, chain), pair)
        _tally(self.states, pair.state).add(pair)
        if cluster:
            _tally(self.ways, (pair.state, cluster)).add(pair)
            _tally(self.hosts, (cluster, host)).add(pair)
        if pair.is_in(self._wanted):
            self.matched += 1
            self._found.append((pair.key(self._wanted.order), pair))

    def _count_chain(self, name: Tuple[str, str], pair: Pair) -> None:
        slots = pair.near.read_chain.slots
        tally = self.chains.get(name)
        if tally is None:
            tally = self.chains[name] = ChainTally([slot.name for slot in slots])
        tally.states[pair.state] = tally.states.get(pair.state, 0) + 1
        tally.received += pair.received
        tally.sent += pair.sent
        held = parked_stream(pair.near)
        parked_by = held.name if held is not None else pair.near.read_chain.parked_by
        if parked_by:
            tally.parked[parked_by] = tally.parked.get(parked_by, 0) + 1


def _tally(tallies: Dict[Name, Tally], name: Name) -> Tally:
    found = tallies.get(name)
    if found is None:
        found = tallies[name] = Tally()
    return found


def _by_key(entry: Tuple[Key, Pair]) -> Key:
    return entry[0]
