"""Which HTTP filters exist: configuration message -> how to build the filter. Filled by `server.extensions`.

As with network filters (`filters.registry`), `build` runs once per configuration and answers with what makes one filter per
stream.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Type

from ..config.nested import PYTHON_PREFIX
from ..errors import Problem
from .filter_api import HttpFactoryContext, HttpFilterFactory


class HttpExtension(NamedTuple):
    """One kind of HTTP filter.

    config: its configuration message. build: makes the factory; raises `errors.ConfigError` with paths below `context.path`.
    route_config: the message of `typed_per_filter_config`, None if it takes none. build_route: prepares one of these; the
    result is what `StreamCallbacks.route_config()` answers. terminal: whether it must be the last (the router).
    """

    config: Type[Any]
    build: Callable[[Any, HttpFactoryContext], HttpFilterFactory]
    route_config: Optional[Type[Any]] = None
    build_route: Optional[Callable[[Any, HttpFactoryContext], Any]] = None
    terminal: bool = False


class HttpFilterRegistry:
    """HTTP filters by the full name of their configuration message."""

    def __init__(self, extensions: List[HttpExtension], custom: Optional[HttpExtension] = None) -> None:
        """custom: builds the filters of "python:" types."""
        self._custom = custom
        self._by_name: Dict[str, HttpExtension] = {}
        self._by_route_config: Dict[str, HttpExtension] = {}
        for extension in extensions:
            self._by_name[extension.config.DESCRIPTOR.full_name] = extension
            if extension.route_config is not None:
                self._by_route_config[extension.route_config.DESCRIPTOR.full_name] = extension

    def configs(self) -> List[Type[Any]]:
        """All configuration messages, for the type registry of the decoder."""
        found = {one.config.DESCRIPTOR.full_name: one.config for one in self._by_name.values()}
        for name, one in self._by_route_config.items():
            assert one.route_config is not None
            found[name] = one.route_config
        return list(found.values())

    def find(self, type_name: str, path: str, problems: List[Problem]) -> Optional[HttpExtension]:
        """The extension for a message name; None and a problem when there is none."""
        extension = self._custom if type_name.startswith(PYTHON_PREFIX) else self._by_name.get(type_name)
        if extension is None:
            problems.append(Problem(path, f"'{type_name}' is not an HTTP filter"))
        return extension

    def find_route_config(self, type_name: str) -> Optional[HttpExtension]:
        """The extension whose per-route configuration this message is."""
        return self._custom if type_name.startswith(PYTHON_PREFIX) else self._by_route_config.get(type_name)
