"""Warnings about filter chains that no connection can ever get. Envoy says nothing about them.

Two reasons: the chain asks for what is never found (a server name without tls_inspector, a port that the
listener does not have), or other chains come first wherever it would fit. Only what is certain is said: see
`connection_kinds`.
"""

from __future__ import annotations

from typing import Dict, Final, Iterator, List, Optional, Sequence, Set

from ..errors import Problem
from . import chain_criteria as criteria
from .chain_criteria import ANY, CRITERIA, TLS, Key, Keys, covers, keys_of, keys_text
from .chain_reach import first_failure, outcomes, reach
from .chain_tree import Branch, Tree, build
from .connection_kinds import NO_PORT, Filters, Kind, filters_of, kinds_of
from .model.listener import Listener

_MOST_RIVALS: Final = 3
_NEEDS_TLS_INSPECTOR: Final = "only tls_inspector finds it out, which is not among the listener_filters"
_NOT_RESTORED: Final = "and no listener filter (original_dst, proxy_protocol) restores another"


def unreachable_chains(listener: Listener, path: str) -> Iterator[Problem]:
    """A warning for each chain of the listener at `path` that is of no use. Its chains must have passed
    `check_chains`.
    """
    try:
        kinds = kinds_of(listener)
        chains = [keys_of(chain.filter_chain_match) for chain in listener.filter_chains]
    except ValueError:  # an address that is none, reported while decoding
        return
    tree = build(chains)
    reached = reach(tree, kinds)
    for position, keys in enumerate(chains):
        if position in reached.chains or not kinds:
            continue
        where = f"{path}.filter_chains[{position}].filter_chain_match"
        failed = first_failure(keys, kinds)
        if failed is not None:
            criterion, kind = failed
            why = _never_found(criterion, keys[criterion], kind, filters_of(listener))
            yield Problem(f"{where}.{CRITERIA[criterion]}", f"no connection can get this filter chain: {why}")
        else:
            why = _Shadow(listener, chains, position, tree, kinds).text()
            yield Problem(where, f"no connection can get this filter chain: {why}")
    if listener.default_filter_chain is not None and chains and kinds and not reached.default:
        text = "no connection can get the default filter chain: each finds one of the filter_chains"
        yield Problem(f"{path}.default_filter_chain", text)


def _never_found(criterion: int, keys: Sequence[Key], kind: Kind, filters: Filters) -> str:
    wanted = keys_text(criterion, keys)
    if criterion == criteria.DESTINATION_PORT:
        unix = kind.port == NO_PORT
        found = "a Unix socket has no port" if unix else f"connections come to port {kind.port}"
        return f"it is for port {wanted}, {found}, {_NOT_RESTORED}"
    if criterion == criteria.DESTINATION:
        return f"it is for {wanted}, connections come to {_address(kind)}, {_NOT_RESTORED}"
    if criterion == criteria.SERVER_NAME:
        return f"it is for the server name {wanted}, {_NEEDS_TLS_INSPECTOR}"
    if criterion == criteria.TRANSPORT:
        return _transport(wanted, filters)
    if criterion == criteria.APPLICATION:
        more = "; http_inspector finds only http/1.0, http/1.1 and h2c" if filters.http_inspector else ""
        needs = "a client offers it only with TLS" if filters.tls_inspector else _NEEDS_TLS_INSPECTOR
        return f"it is for the protocol {wanted}, {needs}{more}"
    if criterion in (criteria.DIRECT_SOURCE, criteria.SOURCE):
        return f"it is for clients from {wanted}, clients of this listener are {_client(kind)}"
    return f"it is for {CRITERIA[criterion]} {wanted}, clients of this listener are {_client(kind)}"


def _transport(wanted: str, filters: Filters) -> str:
    if wanted == TLS and not filters.tls_inspector:
        return f"it is for the transport tls, {_NEEDS_TLS_INSPECTOR}"
    if wanted in (TLS, criteria.RAW_BUFFER):
        return f"it is for {wanted}, but its server_names are found only in TLS"
    return f"it is for the transport '{wanted}', and only tls and raw_buffer are ever found"


def _address(kind: Kind) -> str:
    if kind.port == NO_PORT:
        return f"a Unix socket (which counts as {criteria.UNIX_COUNTS_AS})"
    if kind.destination.exact is not None:
        return criteria.key_text(criteria.DESTINATION, kind.destination.exact).partition("/")[0]
    return "IPv" + " and IPv".join(str(version) for version in kind.destination.versions) + " addresses"


def _client(kind: Kind) -> str:
    if kind.local:
        return f"on a Unix socket (local, without a port, counting as {criteria.UNIX_COUNTS_AS})"
    return "IPv" + " and IPv".join(str(version) for version in kind.direct_source.versions) + " addresses"


class _Shadow:
    """Who comes before one chain: the first place on its ways through the tree that is closed to it."""

    def __init__(
        self, listener: Listener, chains: Sequence[Keys], position: int, tree: Tree, kinds: Sequence[Kind]
    ) -> None:
        self._listener = listener
        self._chains = chains
        self._position = position
        self._tree = tree
        self._kinds = kinds

    def text(self) -> str:
        """One sentence without its stop."""
        for kind in self._kinds:
            found = self._blocked(self._tree, kind, set())
            if found is not None:
                return found
        return "other chains come first wherever it fits"

    def _blocked(self, node: Tree, kind: Kind, seen: Set[int]) -> Optional[str]:
        """Follow this chain's keys; the sentence for the first that can't be followed because of others."""
        if not isinstance(node, Branch) or id(node) in seen:
            return None
        seen.add(id(node))
        followed, _ = outcomes(node.criterion, node.children, kind)
        own = self._chains[self._position][node.criterion]
        alone, _ = outcomes(node.criterion, own, kind)
        for key in own:
            if key in followed:
                found = self._blocked(node.children[key], kind, seen)
                if found is not None:
                    return found
            elif key in alone:
                return self._sentence(node, key, followed)
        return None

    def _sentence(self, node: Branch, key: Key, followed: Sequence[Key]) -> str:
        closer = [one for one in followed if one is not ANY and _inside(one, key)]
        rivals: Dict[int, None] = {}
        for one in closer:
            for member in node.children[one].members:
                rivals.setdefault(member)
        names = [self._label(member) for member in rivals if member != self._position]
        shown = ", ".join(names[:_MOST_RIVALS]) + (" and others" if len(names) > _MOST_RIVALS else "")
        field = CRITERIA[node.criterion]
        mine = "is not set" if key is ANY else f"has {keys_text(node.criterion, [key])}"
        return f"its {field} {mine}, and {keys_text(node.criterion, closer)} of {shown} always comes first"

    def _label(self, position: int) -> str:
        name = self._listener.filter_chains[position].name
        return f"filter_chains[{position}]" + (f" '{name}'" if name else "")


def _inside(one: Key, key: Key) -> bool:
    return key is ANY or isinstance(one, tuple) and isinstance(key, tuple) and covers(key, one)
