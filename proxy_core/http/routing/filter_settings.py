"""`typed_per_filter_config` of all levels of a route, prepared: what a filter finds for itself, and whether it is off.

Mirrors `PerFilterConfigs`: the most specific level decides; a configuration of its own switches a filter on.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...config.model.route import FilterConfig
from ...config.nested import AnyValue
from ...errors import ConfigError, Problem
from .context import TableContext


class Setting(NamedTuple):
    """What one level, or all of them together, says of one filter. configs: from the route table to the most specific one."""

    configs: Tuple[Any, ...]
    disabled: Optional[bool]


Settings = Mapping[str, Setting]
NO_SETTINGS: Settings = {}
_NONE = Setting((), None)


def prepare_settings(
    configured: Mapping[str, AnyValue], context: TableContext, path: str, problems: List[Problem]
) -> Settings:
    """What the level at `path` says, by the names of filters."""
    found: Dict[str, Setting] = {}
    for name, value in configured.items():
        where = f'{path}.typed_per_filter_config["{name}"]'
        try:
            found[name] = _setting(name, value, context, where)
        except ConfigError as error:
            problems.extend(error.problems)
    return found


def joined(outer: Settings, inner: Settings) -> Settings:
    """A level inside another one."""
    if not inner or not outer:
        return inner or outer
    together = dict(outer)
    for name, setting in inner.items():
        configs = (*outer.get(name, _NONE).configs, *setting.configs)
        together[name] = Setting(configs, setting.disabled)
    return together


def _setting(name: str, value: AnyValue, context: TableContext, path: str) -> Setting:
    if not isinstance(value.message, FilterConfig):
        return Setting((_prepared(name, value, context, path),), False)
    if value.message.disabled:
        return Setting((), True)
    inner = value.message.config
    if inner is None:
        text = f"Empty route/virtual host per filter configuration for {name} filter"
        raise ConfigError([Problem(path, text)])
    if not inner.type_url:
        return Setting((), False)
    return Setting((_prepared(name, inner, context, f"{path}.config"),), False)


def _prepared(name: str, value: AnyValue, context: TableContext, path: str) -> Any:
    extension = context.filters.find_route_config(value.type_name) if context.filters is not None else None
    if extension is None or extension.build_route is None or context.filter_context is None:
        text = f"The filter {name} doesn't support virtual host or route specific configurations"
        raise ConfigError([Problem(path, text, f"'{value.type_name}' is no such configuration")])
    return extension.build_route(value.message, context.filter_context(path))


