"""The filter chains of a listener as a decision tree: which chains are still in the running after each
criterion.

At a `Branch` the chains are divided by their keys of one criterion; a chain with several keys is in several
children. A criterion that none of them sets is left out. Equal sets of chains share one subtree, so a chain
with a thousand names and a thousand ports costs two thousand entries and not a million leaves, as Envoy's
maps of maps do.

    build([keys_of(match), ...]) -> Branch or Leaf

There is no way back in this tree: the most specific key at a branch decides, also when nothing in its subtree
fits then.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Set, Tuple, Union

from .chain_criteria import ANY, CRITERIA, Key, Keys

Members = Tuple[int, ...]


class Leaf:
    """members: the positions of the chains whose keys led here; more than one is an overlap."""

    __slots__ = ("members",)

    def __init__(self, members: Members) -> None:
        self.members = members


class Branch:
    """criterion: its number. members: the chains that may still be chosen. children: by key."""

    __slots__ = ("criterion", "members", "children")

    def __init__(self, criterion: int, members: Members, children: Dict[Key, Tree]) -> None:
        self.criterion = criterion
        self.members = members
        self.children = children


Tree = Union[Branch, Leaf]


def build(chains: Sequence[Keys]) -> Tree:
    """The tree of all chains, in the order given."""
    return _Builder(chains).build(0, tuple(range(len(chains))))


def divide(chains: Sequence[Keys], criterion: int, members: Members) -> Dict[Key, Members]:
    """The members by their keys of one criterion; each list in the order of `members`, no chain twice in
    it.
    """
    groups: Dict[Key, List[int]] = {}
    for member in members:
        for key in chains[member][criterion]:
            group = groups.setdefault(key, [])
            if not group or group[-1] != member:
                group.append(member)
    return {key: tuple(group) for key, group in groups.items()}


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Every leaf once, depth first."""
    seen: Set[int] = set()
    waiting: List[Tree] = [tree]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Leaf):
            yield node
        else:
            waiting.extend(reversed(list(node.children.values())))


class _Builder:
    """One run of `build`; `_made` holds the subtrees, by the criterion they begin with and their chains."""

    def __init__(self, chains: Sequence[Keys]) -> None:
        self._chains = chains
        self._made: Dict[Tuple[int, Members], Tree] = {}

    def build(self, criterion: int, members: Members) -> Tree:
        criterion = self._next_set(criterion, members)
        made = self._made.get((criterion, members))
        if made is None:
            made = self._made[criterion, members] = self._make(criterion, members)
        return made

    def _next_set(self, criterion: int, members: Members) -> int:
        """The first criterion from here on that any of the members sets."""
        while criterion < len(CRITERIA):
            if any(self._chains[member][criterion] != (ANY,) for member in members):
                break
            criterion += 1
        return criterion

    def _make(self, criterion: int, members: Members) -> Tree:
        if criterion == len(CRITERIA):
            return Leaf(members)
        groups = divide(self._chains, criterion, members)
        children = {key: self.build(criterion + 1, group) for key, group in groups.items()}
        return Branch(criterion, members, children)
