"""Which filter chains a connection can reach at all, given what the connections of the listener can be like.

`outcomes` answers for one criterion: among these keys, which can the search follow? A key that others cover
completely is never followed, nor one whose fact is never found. `reach` walks the tree of all chains with it.
"""

from __future__ import annotations

from typing import Callable, Collection, Final, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from .chain_criteria import ANY, CRITERIA, EXTERNAL, LOCAL, RAW_BUFFER, TLS, Key, Keys, Range, covers
from .chain_tree import Leaf, Tree
from .connection_kinds import Kind, Place

_PORTS: Final = 65535
_BITS: Final = {4: 32, 6: 128}

Outcomes = Tuple[Sequence[Key], bool]  # the keys that can be followed; whether it can be that none fits


class Reach(NamedTuple):
    """chains: positions of those that some connection gets. default: whether some connection gets none of
    them.
    """

    chains: Set[int]
    default: bool


def reach(tree: Tree, kinds: Iterable[Kind]) -> Reach:
    """Where the connections of these kinds can end."""
    chains: Set[int] = set()
    default = False
    for kind in kinds:
        seen: Set[int] = set()
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Leaf):
                chains.update(node.members[:1])
                default = default or not node.members
                continue
            followed, missed = outcomes(node.criterion, node.children, kind)
            default = default or missed
            waiting.extend(node.children[key] for key in followed)
    return Reach(chains, default)


def first_failure(keys: Keys, kinds: Sequence[Kind]) -> Optional[Tuple[int, Kind]]:
    """The criterion that stops a chain which stands alone, in the kind that gets furthest; None if it can be
    reached.
    """
    best: Optional[Tuple[int, Kind]] = None
    for kind in kinds:
        failed = next((one for one in range(len(CRITERIA)) if not outcomes(one, keys[one], kind)[0]), None)
        if failed is None:
            return None
        if best is None or failed > best[0]:
            best = failed, kind
    return best


def outcomes(criterion: int, keys: Collection[Key], kind: Kind) -> Outcomes:
    """Which of the keys of one criterion a connection of this kind can make the search follow."""
    return _OUTCOMES[criterion](keys, kind)


def _or_any(keys: Collection[Key], followed: Sequence[Key], rest: bool) -> Outcomes:
    """rest: whether connections are left that none of `followed` takes."""
    if rest and ANY in keys:
        return [*followed, ANY], False
    return followed, rest


def _port(keys: Collection[Key], port: Optional[int]) -> Outcomes:
    named = [key for key in keys if key is not ANY]
    if port is None:
        return _or_any(keys, named, len(set(named)) < _PORTS)
    return _or_any(keys, [port] if port in named else [], port not in named)


def _server_name(keys: Collection[Key], kind: Kind) -> Outcomes:
    named = [] if kind.tls is False else [key for key in keys if key is not ANY]
    return _or_any(keys, named, True)


def _transport(keys: Collection[Key], kind: Kind) -> Outcomes:
    if kind.tls is None:
        return _or_any(keys, [key for key in keys if key is not ANY], True)
    found = TLS if kind.tls else RAW_BUFFER
    return _or_any(keys, [found] if found in keys else [], found not in keys)


def _application(keys: Collection[Key], kind: Kind) -> Outcomes:
    named = [key for key in keys if key is not ANY and (kind.protocols is None or key in kind.protocols)]
    return _or_any(keys, named, True)


def _source_type(keys: Collection[Key], kind: Kind) -> Outcomes:
    possible = [LOCAL] if kind.local else [LOCAL, EXTERNAL]
    followed = [one for one in possible if one in keys]
    return _or_any(keys, followed, len(followed) < len(possible))


def _range(keys: Collection[Key], place: Place) -> Outcomes:
    ranges = {key for key in keys if isinstance(key, tuple)}
    if place.exact is not None:
        fitting = [one for one in ranges if covers(one, place.exact)]
        longest = max(fitting, key=lambda one: one[1], default=None)
        return _or_any(keys, [] if longest is None else [longest], longest is None)
    free = _uncovered(ranges, place.versions)
    return _or_any(keys, [key for key in keys if key is not ANY and key in free], ANY in free)


def _uncovered(ranges: Collection[Range], versions: Sequence[int]) -> Set[Key]:
    """The ranges, of these IP versions, that longer ones in them do not use up; ANY if there are addresses in
    none.

    The direct subranges of a range are disjoint, so it is used up if their sizes add up to its own.
    """
    found: Set[Key] = set()
    for version in versions:
        bits = _BITS[version]
        around: List[_Open] = [_Open(ANY, 1 << bits)]
        inside = [one for one in ranges if one[0] == version]
        for one in sorted(inside, key=lambda each: (each[2] << (bits - each[1]), each[1])):
            while isinstance(around[-1].key, tuple) and not covers(around[-1].key, one):
                around.pop().add_to(found)
            size = 1 << (bits - one[1])
            around[-1].left -= size
            around.append(_Open(one, size))
        for each in around:
            each.add_to(found)
    return found


class _Open:
    """A range whose subranges are being read. left: how many of its addresses are in none of them."""

    __slots__ = ("key", "left")

    def __init__(self, key: Key, left: int) -> None:
        self.key = key
        self.left = left

    def add_to(self, found: Set[Key]) -> None:
        """Enter it if something is left of it."""
        if self.left:
            found.add(self.key)


_OUTCOMES: Final[Tuple[Callable[[Collection[Key], Kind], Outcomes], ...]] = (
    lambda keys, kind: _port(keys, kind.port),
    lambda keys, kind: _range(keys, kind.destination),
    _server_name,
    _transport,
    _application,
    lambda keys, kind: _range(keys, kind.direct_source),
    _source_type,
    lambda keys, kind: _range(keys, kind.source),
    lambda keys, kind: _port(keys, kind.source_port),
)
