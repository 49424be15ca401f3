"""rbac's entry in the registry."""

from __future__ import annotations

from ....errors import ConfigError
from ....filters.api import FilterFactory, FilterManager
from ....filters.registry import FactoryContext, NetworkExtension
from ...rbac.matchers import unknown_matchers
from .config import RbacConfig
from .filter import NAME, ContinuousRbacFilter, RbacFilter
from .prepared import Prepared


def build(config: RbacConfig, context: FactoryContext) -> FilterFactory:
    """Compile the rules; the factory makes one filter per connection. Raises ConfigError for matchers that do not exist."""
    problems = unknown_matchers(config, context.path)
    if problems:
        raise ConfigError(problems)
    prepared = Prepared(config, context.stats)
    new_filter = ContinuousRbacFilter if prepared.continuous else RbacFilter

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(new_filter(prepared), NAME)
    return add


EXTENSION = NetworkExtension(RbacConfig, False, build)
