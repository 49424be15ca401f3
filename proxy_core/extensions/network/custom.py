"""Filters of one's own, in Python: `"typed_config": {"@type": "python:my_filters.Redact", "word": "secret"}`.

`my_filters` is looked for in the directories of `--filter-path` and beside the configuration file, `Redact` in it is called with
the other keys of `typed_config` as one dict, once per connection, and answers with a filter (see `filters.api`; inherit
`NetworkFilter` to write only what you need). A class attribute `terminal = True` says that it ends a chain. An exception in a
filter closes the connection it happened on, with its traceback in the log, and nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any, List

from ...config.registry import PythonConfig
from ...filters.api import FilterFactory, FilterManager, chains_of
from ...filters.registry import FactoryContext, NetworkExtension

PREFIX = "python:"


class FilterLoader:
    """Finds what a "python:" type names. The answer is kept, so a module is imported once."""

    def __init__(self, directories: List[str]) -> None:
        self._directories = directories

    def __call__(self, target: str) -> Any:
        """The class or function that "module.Name" (dots in `module` allowed) names. Raises ValueError saying why not."""
        module_name, _, name = target.rpartition(".")
        if not module_name or not name:
            raise ValueError("expected python:<module>.<class>")
        try:
            module = self._import(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name.partition(".")[0] and error.name != module_name:
                raise ValueError(f"importing '{module_name}' failed: {error}") from error
            where = ", ".join(self._directories) or "sys.path"
            raise ValueError(f"no module '{module_name}' in {where}") from error
        except Exception as error:
            raise ValueError(f"importing '{module_name}' failed: {type(error).__name__}: {error}") from error
        found = getattr(module, name, None)
        if not callable(found):
            raise ValueError(f"module '{module_name}' has no class or function '{name}'")
        return found

    def _import(self, module_name: str) -> Any:
        added = [directory for directory in self._directories if directory not in sys.path]
        sys.path[:0] = added
        try:
            return importlib.import_module(module_name)
        finally:
            for directory in added:
                sys.path.remove(directory)

    def is_terminal(self, target: str) -> bool:
        """Whether the filter says that it ends a chain."""
        try:
            return bool(getattr(self(target), "terminal", False))
        except ValueError:
            return False


def build(config: PythonConfig, context: FactoryContext) -> FilterFactory:
    """A factory that calls the user's class for each connection."""
    target, settings = config.target, config.config
    name = f"{PREFIX}{target.__module__}.{target.__qualname__}"

    def add(manager: FilterManager) -> None:
        made = target(dict(settings))
        reads, writes = chains_of(made)
        if reads:
            manager.add_read_filter(made, name)
        if writes:
            manager.add_write_filter(made, name)
    return add


EXTENSION = NetworkExtension(PythonConfig, False, build)
