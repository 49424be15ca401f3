"""Rules, compiled: permissions and principals become functions, a set of policies becomes one `judge`.

Everything that can be decided once is: networks that stand beside each other in an "or" become one prepared set, however many
there are, and each condition is a closure over prepared values. Mirrors `RoleBasedAccessControlEngineImpl`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from ...config.model.address import CidrRange
from ...config.model.rbac import Permission, Policy, Principal, Rbac
from . import conditions
from .facts import AddressOf, Condition, Facts

Rule = Union[Permission, Principal]


class Verdict(NamedTuple):
    """policy: the first one that matched, "" if none did."""

    allowed: bool
    policy: str


class Rules:
    """One configured `config.rbac.v3.RBAC`.

    asks_certificate: some rule needs the TLS handshake to be over. asks_state: some rule looks at metadata or filter state, which
    other filters may still write.
    """

    __slots__ = ("action", "asks_certificate", "asks_state", "_policies")

    def __init__(self, config: Rbac) -> None:
        kinds = {kind for policy in config.policies.values() for kind in _kinds(policy)}
        self.action = config.action
        self.asks_certificate = "authenticated" in kinds
        self.asks_state = not kinds.isdisjoint(("metadata", "sourced_metadata", "filter_state", "matcher"))
        self._policies: List[Tuple[str, Condition, Condition]] = [
            (name, any_of(config.policies[name].permissions), any_of(config.policies[name].principals))
            for name in sorted(config.policies)  # by code points, which is also the order of their UTF-8 bytes: Envoy's
        ]

    def judge(self, facts: Facts) -> Verdict:
        """The verdict, from the first policy that matches."""
        for name, permitted, principal in self._policies:
            if permitted(facts) and principal(facts):
                return Verdict(self.action != "DENY", name)
        return Verdict(self.action != "ALLOW", "")


# -- and, or, not ------------------------------------------------------------------------------------------------------

def any_of(rules: Sequence[Rule]) -> Condition:
    """One of the rules matches. Those that ask for the same address in some network are answered together."""
    networks: Dict[AddressOf, List[CidrRange]] = {}
    others: List[Condition] = []
    for rule in rules:
        kind, value = kind_of(rule)
        if kind in _ADDRESSES:
            networks.setdefault(_ADDRESSES[kind], []).append(value)
        else:
            others.append(compile_rule(rule))
    tests = [conditions.in_ranges(address, ranges) for address, ranges in networks.items()] + others
    if len(tests) == 1:
        return tests[0]
    if conditions.always in tests:
        return conditions.always
    fixed = tuple(tests)

    def test(facts: Facts) -> bool:
        for one in fixed:
            if one(facts):
                return True
        return False

    return test


def all_of(rules: Sequence[Rule]) -> Condition:
    """Every one of the rules matches."""
    fixed = tuple(compile_rule(rule) for rule in rules)
    if len(fixed) == 1:
        return fixed[0]

    def test(facts: Facts) -> bool:
        for one in fixed:
            if not one(facts):
                return False
        return True

    return test


def none_of(rule: Rule) -> Condition:
    """The rule does not match."""
    matches = compile_rule(rule)
    return lambda facts: not matches(facts)


# -- one rule ----------------------------------------------------------------------------------------------------------

def compile_rule(rule: Rule) -> Condition:
    """A permission or a principal as a function."""
    kind, value = kind_of(rule)
    if kind in _ADDRESSES:
        return conditions.in_ranges(_ADDRESSES[kind], [value])
    return _COMPILERS[kind](value)


def kind_of(rule: Rule) -> Tuple[str, Any]:
    """The one field of a rule that is set."""
    for name in rule.DESCRIPTOR.fields:
        value = getattr(rule, name)
        if value is not None:
            return name, value
    raise ValueError("a rule without a condition")


def _remote(facts: Facts) -> int:
    return facts.remote


def _connection_remote(facts: Facts) -> int:
    return facts.connection_remote


def _direct_remote(facts: Facts) -> int:
    return facts.direct_remote


def _local(facts: Facts) -> int:
    return facts.local


_ADDRESSES: Dict[str, AddressOf] = {
    "destination_ip": _local, "source_ip": _connection_remote, "remote_ip": _remote, "direct_remote_ip": _direct_remote,
}

_COMPILERS: Dict[str, Callable[[Any], Condition]] = {
    "any": lambda value: conditions.always,
    "and_rules": lambda value: all_of(value.rules),
    "or_rules": lambda value: any_of(value.rules),
    "not_rule": none_of,
    "and_ids": lambda value: all_of(value.ids),
    "or_ids": lambda value: any_of(value.ids),
    "not_id": none_of,
    "destination_port": conditions.port_is,
    "destination_port_range": conditions.port_in,
    "requested_server_name": conditions.server_name,
    "header": conditions.header,
    "url_path": conditions.url_path,
    "authenticated": conditions.authenticated,
    "metadata": conditions.metadata,
    "sourced_metadata": conditions.sourced_metadata,
    "filter_state": conditions.filter_state,
    "matcher": lambda value: conditions.upstream_ip_port(value.typed_config.message),
}


def _kinds(policy: Policy) -> List[str]:
    """The kinds of all conditions in a policy, at any depth."""
    found: List[str] = []
    waiting: List[Rule] = [*policy.permissions, *policy.principals]
    while waiting:
        kind, value = kind_of(waiting.pop())
        found.append(kind)
        if kind in ("not_rule", "not_id"):
            waiting.append(value)
        else:
            waiting += getattr(value, "rules", None) or getattr(value, "ids", None) or []
    return found
