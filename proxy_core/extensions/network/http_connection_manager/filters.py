"""From `http_filters` and `upgrade_configs` to prepared chains."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ....errors import ConfigError, Problem
from ....filters.registry import FactoryContext
from ....http.connection_manager.chain import Entry, FilterChain
from ....http.connection_manager.settings import UpgradeChoice
from ....http.filter_api import HttpFilterFactory
from ....http.registry import HttpExtension
from ....http.routing.formatting import Formats
from .context import filter_context
from .parts import HttpFilter, UpgradeConfig


class ChainBuilder:
    """Builds the filters of one manager; what is wrong with them is added to `problems`."""

    def __init__(self, context: FactoryContext, formats: Formats, stat_prefix: str, problems: List[Problem]) -> None:
        self._context = context
        self._formats = formats
        self._stat_prefix = stat_prefix
        self._problems = problems

    def chain(self, filters: Sequence[HttpFilter], path: str) -> FilterChain:
        """The chain of the list at `path`, whose last filter has to be a terminal one, and only that."""
        entries: List[Entry] = []
        for index, config in enumerate(filters):
            where = f"{path}[{index}].typed_config"
            if config.typed_config is None:
                continue
            unheard: List[Problem] = []
            problems = unheard if config.is_optional else self._problems
            extension = self._context.http.filters.find(config.typed_config.type_name, where, problems)
            if extension is None:
                continue
            self._check_place(config, extension, index == len(filters) - 1, f"{path}[{index}]")
            factory = self._factory(config, extension, where)
            if factory is not None:
                entries.append(Entry(config.name, factory, config.disabled, extension.terminal))
        return FilterChain(entries)

    def upgrades(self, configs: Sequence[UpgradeConfig], path: str) -> Dict[str, UpgradeChoice]:
        """By lower-case type."""
        found: Dict[str, UpgradeChoice] = {}
        for index, config in enumerate(configs):
            kind = config.upgrade_type.lower()
            if kind in found:
                text = f"multiple upgrade configs with the same name: '{config.upgrade_type}'"
                self._problems.append(Problem(f"{path}[{index}].upgrade_type", text))
            chain = self.chain(config.filters, f"{path}[{index}].filters") if config.filters else None
            found[kind] = UpgradeChoice(config.enabled is not False, chain)
        return found

    def _check_place(self, config: HttpFilter, extension: HttpExtension, is_last: bool, path: str) -> None:
        if extension.terminal and not is_last:
            text = f"'{config.name}' must be the terminal filter in a http filter chain"
            self._problems.append(Problem(path, text))
        elif is_last and not extension.terminal:
            text = f"non-terminal filter named '{config.name}' is the last filter in a http filter chain"
            self._problems.append(Problem(path, text, "the last one is usually envoy.filters.http.router"))
        elif is_last and config.disabled:
            self._problems.append(Problem(f"{path}.disabled", "the terminal filter can't be disabled"))

    def _factory(self, config: HttpFilter, extension: HttpExtension, path: str) -> Optional[HttpFilterFactory]:
        assert config.typed_config is not None
        context = filter_context(self._context, self._formats, self._stat_prefix, config.name, path)
        try:
            return extension.build(config.typed_config.message, context)
        except ConfigError as error:
            self._problems.extend(error.problems)
            return None
