"""Which filter chain a connection gets.

For now a listener has one chain without conditions, or a default chain; the criteria of `filter_chain_match` are decoded and
checked, but a chain that uses one is refused at load rather than matched wrongly.
"""

from __future__ import annotations

from typing import List, Optional

from ..config.model.listener import FilterChain as FilterChainConfig
from ..config.model.listener import Listener as ListenerConfig
from ..errors import Problem
from .filter_chain import FilterChain


class ChainMatcher:
    """The chains of one listener."""

    __slots__ = ("_unconditional", "_default")

    def __init__(self, unconditional: Optional[FilterChain], default: Optional[FilterChain]) -> None:
        self._unconditional = unconditional
        self._default = default

    @property
    def unconditional(self) -> Optional[FilterChain]:
        """The chain for every connection, if there is one."""
        return self._unconditional or self._default

    def find(self, facts: object) -> Optional[FilterChain]:
        """The chain for a connection; None if there is none for it."""
        return self.unconditional


def problems(config: ListenerConfig, path: str) -> List[Problem]:
    """Conditions that are not supported yet."""
    found = []
    for index, chain in enumerate(config.filter_chains):
        if not is_unconditional(chain):
            where = f"{path}.filter_chains[{index}].filter_chain_match"
            found.append(Problem(where, "choosing among filter chains is not supported by proxy_core yet"))
    return found


def is_unconditional(chain: FilterChainConfig) -> bool:
    """Whether this chain takes every connection."""
    return chain.filter_chain_match is None or not chain.filter_chain_match.to_json()
