"""rbac's entry in the registry."""

from __future__ import annotations

from typing import List

from ....config.fields import walk
from ....config.model.core import TypedExtensionConfig
from ....errors import ConfigError, Problem
from ....filters.api import FilterFactory, FilterManager
from ....filters.registry import FactoryContext, NetworkExtension
from .config import RbacConfig, UpstreamIpPortMatcher
from .filter import NAME, ContinuousRbacFilter, RbacFilter
from .prepared import Prepared


def build(config: RbacConfig, context: FactoryContext) -> FilterFactory:
    """Compile the rules; the factory makes one filter per connection. Raises ConfigError for matchers that do not exist."""
    problems = _unknown_matchers(config, context.path)
    if problems:
        raise ConfigError(problems)
    prepared = Prepared(config, context.stats)
    new_filter = ContinuousRbacFilter if prepared.continuous else RbacFilter

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(new_filter(prepared), NAME)
    return add


def _unknown_matchers(config: RbacConfig, path: str) -> List[Problem]:
    problems: List[Problem] = []
    for where, spec, value in walk(config):
        if isinstance(value, TypedExtensionConfig) and spec.name == "matcher":
            assert value.typed_config is not None
            if not isinstance(value.typed_config.message, MATCHERS):
                type_name = value.typed_config.type_name
                text = f"Didn't find a registered implementation for '{value.name}' with type URL: '{type_name}'"
                problems.append(Problem(f"{path}.{where}.typed_config", text))
    return problems


MATCHERS = (UpstreamIpPortMatcher,)  # what a `matcher` permission may name
EXTENSION = NetworkExtension(RbacConfig, False, build)
