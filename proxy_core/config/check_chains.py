"""Rules of filter chains: the terminal filter last and only there, and no two chains for the same connection.

Mirrors Envoy's `Configuration::FilterChainUtility` and `FilterChainManagerImpl::addFilterChains`.
"""

from __future__ import annotations

import json
from itertools import product
from math import prod
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from ..errors import Problem
from .model.address import CidrRange
from .model.listener import FilterChain, FilterChainMatch, Listener

IsTerminal = Callable[[str], bool]
_Criteria = List[FrozenSet[object]]

_MAX_LEAVES = 10_000
_OVERLAP = "multiple filter chains with overlapping matching rules are defined"


def chain_problems(
    listener: Listener, path: str, label: str, is_terminal: Optional[IsTerminal]
) -> Iterator[Problem]:
    """Everything wrong with the chains of the listener at `path`; `label` is its address as printed."""
    chains = [(f"{path}.filter_chains[{index}]", chain) for index, chain in enumerate(listener.filter_chains)]
    yield from _same_match(chains, f"error adding listener '{label}': ")
    if is_terminal is None:
        return
    if listener.default_filter_chain is not None:
        chains.append((f"{path}.default_filter_chain", listener.default_filter_chain))
    for where, chain in chains:
        yield from _terminal_last(chain, where, is_terminal)


def _terminal_last(chain: FilterChain, path: str, is_terminal: IsTerminal) -> Iterator[Problem]:
    for index, one in enumerate(chain.filters):
        if one.typed_config is None or not one.typed_config.type_url:
            continue
        last = index == len(chain.filters) - 1
        kind = factory_name(one.typed_config.type_name)
        where = f"{path}.filters[{index}]"
        if is_terminal(one.typed_config.type_url) == last:
            continue
        if last:
            text = f"Error: non-terminal filter named {one.name} of type {kind} is the last filter"
            yield Problem(where, f"{text} in a network filter chain.")
        else:
            text = f"Error: terminal filter named {one.name} of type {kind} must be the last filter"
            yield Problem(where, f"{text} in a network filter chain.")


def factory_name(type_name: str) -> str:
    """Envoy's name of the filter with this configuration ("envoy.filters.network.echo" for its Echo)."""
    package, _, _ = type_name.rpartition(".v3.")
    return package.replace("envoy.extensions.", "envoy.", 1) if package else type_name


def _same_match(chains: Sequence[Tuple[str, FilterChain]], prefix: str) -> Iterator[Problem]:
    whole: Dict[str, FilterChain] = {}
    taken = _Taken()
    for path, chain in chains:
        match = chain.filter_chain_match or FilterChainMatch()
        text = json.dumps(match.to_json(), separators=(",", ":"), ensure_ascii=False)
        twin = whole.setdefault(text, chain)
        if twin is not chain:
            same = f"filter chain '{chain.name}' has the same matching rules defined as '{twin.name}'"
            yield Problem(f"{path}.filter_chain_match", f"{prefix}{same}. duplicate matcher is: {text}")
        elif taken.add(_criteria(match)):
            yield Problem(f"{path}.filter_chain_match", prefix + _OVERLAP)


class _Taken:
    """The connections that earlier chains are for. Two chains overlap if all nine criteria have a value in
    common.

    A chain with few combinations of values is entered as combinations (Envoy's matching tree has one leaf for
    each), so that thousands of chains are cheap; one with too many is compared with every other chain.
    """

    def __init__(self) -> None:
        self._leaves: Set[Tuple[object, ...]] = set()
        self._large: List[_Criteria] = []
        self._all: List[_Criteria] = []

    def add(self, criteria: _Criteria) -> bool:
        """Enter one chain; True if it overlaps an earlier one."""
        small = prod(len(values) for values in criteria) <= _MAX_LEAVES
        if small:
            leaves = set(product(*criteria))
            overlaps = not leaves.isdisjoint(self._leaves) or any(_meet(criteria, one) for one in self._large)
            self._leaves |= leaves
        else:
            overlaps = any(_meet(criteria, one) for one in self._all)
            self._large.append(criteria)
        self._all.append(criteria)
        return overlaps


def _meet(one: _Criteria, other: _Criteria) -> bool:
    return not any(mine.isdisjoint(theirs) for mine, theirs in zip(one, other))


def _criteria(match: FilterChainMatch) -> _Criteria:
    """The values of each criterion; one that is not set has one value of its own."""
    return [
        frozenset([match.destination_port or 0]),
        frozenset(_networks(match.prefix_ranges)),
        frozenset([name.lower() for name in match.server_names] or [""]),
        frozenset([match.transport_protocol]),
        frozenset(match.application_protocols or [""]),
        frozenset(_networks(match.direct_source_prefix_ranges)),
        frozenset([match.source_type]),
        frozenset(_networks(match.source_prefix_ranges)),
        frozenset(match.source_ports or [0]),
    ]


def _networks(ranges: List[CidrRange]) -> List[str]:
    result = []
    for one in ranges:
        try:
            result.append(str(one.network()))
        except ValueError:  # reported while decoding
            result.append(one.address_prefix)
    return result or [""]
