"""What jwt_authn decides once per configuration: providers, rules, the stats. Mirrors `FilterConfigImpl`."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from ....config.model.route_match import RouteMatch
from ....errors import ConfigError, Problem
from ....http.events import RequestHead
from ....http.filter_api import HttpFactoryContext
from ....http.routing.conditions import all_of, conditions_of
from ....http.routing.index import Key
from ....http.routing.paths import path_rule
from ....http.routing.text import path_of
from ....observe.stats import Scope
from ....observe.stream_info import StreamInfo
from ..async_client import AsyncClient
from .config import JwtAuthentication, JwtProvider, JwtRequirement, PerRouteConfig
from .keys import Keys, LocalKeys, RemoteKeys
from .provider import Provider
from .requirement import Requirement, prepare

RuleTest = Callable[[RequestHead, StreamInfo, int], bool]


class Stats:
    """`http.<stat_prefix>.jwt_authn.[<stat_prefix>.]`; the keys count their fetches."""

    __slots__ = ("allowed", "denied", "cors_preflight_bypassed", "jwt_cache_hit", "jwt_cache_miss")

    def __init__(self, scope: Scope) -> None:
        self.allowed = scope.counter("allowed")
        self.denied = scope.counter("denied")
        self.cors_preflight_bypassed = scope.counter("cors_preflight_bypassed")
        self.jwt_cache_hit = scope.counter("jwt_cache_hit")
        self.jwt_cache_miss = scope.counter("jwt_cache_miss")
        scope.zeros(counters=("jwks_fetch_success", "jwks_fetch_failed"))


class WrongName(Exception):
    """A route names a requirement that is not there."""


class Settings:
    """See the module docstring. written: headers that only this filter may write: what the client sends of them is taken out."""

    __slots__ = ("stats", "written", "bypasses_preflight", "strips_failure", "wall_clock", "_rules", "_by_name", "_state_name",
                 "_by_state", "_random")

    def __init__(self, config: JwtAuthentication, context: HttpFactoryContext) -> None:
        """Raises `ConfigError` with all problems."""
        scope = context.scope.scope("jwt_authn")
        if config.stat_prefix:
            scope = scope.scope(config.stat_prefix)
        self.stats = Stats(scope)
        self.bypasses_preflight = config.bypass_cors_preflight
        self.strips_failure = config.strip_failure_response
        self.wall_clock: Callable[[], float] = context.wall_clock
        self._random: Any = context.random
        problems: List[Problem] = []
        providers = _providers(config.providers, context, scope)
        self.written = frozenset(name for provider in providers.values() for name in provider.written)
        maker = _Maker(providers, problems)
        path = context.path
        self._by_name = {
            name: maker.make(one, f'{path}.requirement_map["{name}"]') for name, one in config.requirement_map.items()
        }
        self._rules: List[Tuple[RuleTest, Optional[Requirement]]] = []
        for index, rule in enumerate(config.rules):
            where = f"{path}.rules[{index}]"
            requirement = maker.make(rule.requires, where) if rule.requires is not None else None
            if rule.requirement_name is not None:
                requirement = self._named(rule.requirement_name, where, problems)
            if rule.match is not None:
                self._rules.append((rule_test(rule.match, context.runtime), requirement))
        state = config.filter_state_rules
        self._state_name = state.name if state is not None else ""
        self._by_state = {
            text: maker.make(one, f'{path}.filter_state_rules.requires["{text}"]')
            for text, one in (state.requires if state is not None else {}).items()
        }
        if problems:
            raise ConfigError(problems)

    def requirement(self, head: RequestHead, info: StreamInfo, route: Optional[PerRouteConfig]) -> Optional[Requirement]:
        """What this request needs, None for nothing. Raises `WrongName`."""
        if route is not None:
            return None if route.disabled else self._for_route(route.requirement_name or "")
        for matches, requirement in self._rules:
            if matches(head, info, self._random.getrandbits(64)):
                return requirement
        if self._state_name and self._state_name in info.filter_state:
            return self._by_state.get(str(info.filter_state[self._state_name]))
        return None

    def _for_route(self, name: str) -> Optional[Requirement]:
        if name not in self._by_name:
            raise WrongName(self._wrong_name(name))
        return self._by_name[name]

    def _named(self, name: str, path: str, problems: List[Problem]) -> Optional[Requirement]:
        if name not in self._by_name:
            problems.append(Problem(f"{path}.requirement_name", self._wrong_name(name)))
        return self._by_name.get(name)

    def _wrong_name(self, name: str) -> str:
        return f"Wrong requirement_name: {name}. It should be one of [{','.join(sorted(self._by_name))}]"


class _Maker:
    """Prepares requirements; what is wrong with them is collected."""

    def __init__(self, providers: Dict[str, Provider], problems: List[Problem]) -> None:
        self._providers = providers
        self._problems = problems

    def make(self, config: JwtRequirement, path: str) -> Optional[Requirement]:
        """None for an empty one, and for one with a problem."""
        try:
            return prepare(config, self._providers)
        except ValueError as error:
            self._problems.append(Problem(path, str(error)))
            return None


def _providers(
    configs: Dict[str, JwtProvider], context: HttpFactoryContext, scope: Scope
) -> Dict[str, Provider]:
    """Raises `ConfigError` with the problems of all of them."""
    found: Dict[str, Provider] = {}
    problems: List[Problem] = []
    client: Optional[AsyncClient] = None
    for name, config in configs.items():
        try:
            if config.remote_jwks is not None:
                client = client or AsyncClient(context)
                keys: Keys = RemoteKeys(config.remote_jwks, client, context, scope)
            else:
                assert config.local_jwks is not None
                keys = LocalKeys(config.local_jwks, name, f'{context.path}.providers["{name}"]')
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        found[name] = Provider(config, keys)
    if problems:
        raise ConfigError(problems)
    return found


def rule_test(match: RouteMatch, runtime: Any) -> RuleTest:
    """Whether a request is of the kind that a rule is about."""
    conditions = conditions_of(match, runtime)
    if match.connect_matcher is not None:
        conditions.insert(0, lambda head, info, random_value: head.method == "CONNECT")
    else:
        conditions.insert(0, _path_test(match))
    test = all_of(conditions)
    assert test is not None
    return test


def _path_test(match: RouteMatch) -> RuleTest:
    keys, test = path_rule(match)

    def matches(head: RequestHead, info: StreamInfo, random_value: int) -> bool:
        path = path_of(head.path)
        return any(_has(path, key) for key in keys) and (test is None or test(path))
    return matches


def _has(path: str, key: Key) -> bool:
    if key.ignore_case:
        path = path.lower()
    return path == key.text if key.is_exact else path.startswith(key.text)
