"""Which filter chain a connection gets. Mirrors Envoy's `FilterChainManagerImpl`.

The chains of a listener become a tree by criterion (`config.chain_tree`), the tree a lookup (`chain_lookup`);
both are made once. A search follows the most specific entry of each of the nine criteria in turn and never
comes back: where nothing fits any more, the default chain takes the connection, or nobody does. `explain`
says why.
"""

from __future__ import annotations

from typing import Dict, Generic, List, Optional, Sequence, Tuple, TypeVar

from ..config.chain_criteria import Keys, keys_of
from ..config.chain_tree import Leaf, Tree, build
from ..config.model.listener import FilterChainMatch
from .chain_explain import Explanation, Named, explain
from .chain_lookup import ConnectionFacts, Found, Node, lookup

T = TypeVar("T", bound=Named)


class ChainMatcher(Generic[T]):
    """The chains of one listener.

    chains: their conditions (None: there are none) and what a search for them returns, in the order of the
    configuration, which has been checked: were two chains for one connection, the first would get it.
    default: for connections that no chain is for.

    unconditional: the answer for every connection if nothing needs to be known of one to tell, else None.
    """

    __slots__ = ("chains", "default", "unconditional", "_keys", "_root")

    def __init__(self, chains: Sequence[Tuple[Optional[FilterChainMatch], T]], default: Optional[T]) -> None:
        self.chains: List[T] = [chain for _, chain in chains]
        self.default = default
        self._keys: List[Keys] = [keys_of(match) for match, _ in chains]
        tree = build(self._keys)
        self._root = self._prepare(tree, {})
        self.unconditional: Optional[T] = self._chain_of(tree) if isinstance(tree, Leaf) else None

    def find(self, facts: ConnectionFacts) -> Optional[T]:
        """The chain for a connection of which `facts` are known; None if there is none for it."""
        return self._root.find(facts)

    def explain(self, facts: ConnectionFacts) -> Explanation[T]:
        """The chain that `find` returns, and for each other one what ruled it out. Slow: it looks at every
        chain.
        """
        return explain(self.chains, self._keys, self.default, facts)

    def _chain_of(self, leaf: Leaf) -> Optional[T]:
        return self.chains[leaf.members[0]] if leaf.members else self.default

    def _prepare(self, tree: Tree, done: Dict[int, Node[Optional[T]]]) -> Node[Optional[T]]:
        """The lookup for a subtree; `done` holds those of shared ones by their id."""
        node = done.get(id(tree))
        if node is None:
            if isinstance(tree, Leaf):
                node = Found(self._chain_of(tree))
            else:
                children = {key: self._prepare(child, done) for key, child in tree.children.items()}
                node = lookup(tree.criterion, children, Found(self.default))
            done[id(tree)] = node
        return node
