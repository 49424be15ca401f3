"""Rules of filter chains: the terminal filter last and only there, and no two chains for the same connection.

Mirrors Envoy's `Configuration::FilterChainUtility` and `FilterChainManagerImpl::addFilterChains`.
"""

from __future__ import annotations

import json
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ..errors import Problem
from .chain_criteria import Keys, keys_of
from .chain_tree import build, leaves
from .model.listener import FilterChain, FilterChainMatch, Listener

IsTerminal = Callable[[str], bool]

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
    different: List[Tuple[str, Keys]] = []
    for path, chain in chains:
        match = chain.filter_chain_match or FilterChainMatch()
        text = json.dumps(match.to_json(), separators=(",", ":"), ensure_ascii=False)
        twin = whole.setdefault(text, chain)
        if twin is not chain:
            same = f"filter chain '{chain.name}' has the same matching rules defined as '{twin.name}'"
            yield Problem(f"{path}.filter_chain_match", f"{prefix}{same}. duplicate matcher is: {text}")
            continue
        try:
            different.append((path, keys_of(match)))
        except ValueError:  # a range that is none, reported while decoding
            continue
    for position in overlapping([keys for _, keys in different]):
        yield Problem(f"{different[position][0]}.filter_chain_match", prefix + _OVERLAP)


def overlapping(chains: Sequence[Keys]) -> List[int]:
    """The positions of the chains that want a connection which an earlier one has, or the same one twice, in
    order.

    Two chains overlap if all nine criteria have a key in common: then Envoy's matching tree has one place for
    both.
    """
    found = set()
    for position, keys in enumerate(chains):
        if any(len(set(one)) < len(one) for one in keys):
            found.add(position)
    for leaf in leaves(build(chains)):
        found.update(leaf.members[1:])
    return sorted(found)
