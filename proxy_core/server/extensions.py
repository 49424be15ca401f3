"""Every extension of the package, by explicit import: the one place to add a filter.

Nothing registers itself at import time, so what exists is what this list says.
"""

from __future__ import annotations

from typing import Dict, List, Sequence

from ..config.model.bootstrap import DownstreamConnectionsConfig
from ..config.registry import TypeRegistry
from ..extensions.access_log import file, stream
from ..extensions.access_log.registry import AccessLogExtension
from ..extensions.network import custom, direct_response, echo, tcp_proxy
from ..extensions.transport import raw_buffer, tls
from ..filters.registry import FilterRegistry, ListenerFilterExtension, TransportExtension


class Extensions:
    """The registries of one server. filter_path: directories to look in for filters of one's own."""

    def __init__(self, filter_path: Sequence[str] = ()) -> None:
        self._loader = custom.FilterLoader(list(filter_path))
        self.filters = FilterRegistry(
            [echo.EXTENSION, direct_response.EXTENSION, tcp_proxy.EXTENSION], custom=custom.EXTENSION
        )
        transports: List[TransportExtension] = [raw_buffer.EXTENSION, tls.EXTENSION]
        self.transports: Dict[str, TransportExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in transports
        }
        listener_filters: List[ListenerFilterExtension] = []
        self.listener_filters: Dict[str, ListenerFilterExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in listener_filters
        }
        access_logs: List[AccessLogExtension] = [file.EXTENSION, stream.STDOUT, stream.STDERR]
        self.access_logs: Dict[str, AccessLogExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in access_logs
        }

    def types(self) -> TypeRegistry:
        """What `@type` may name in a configuration."""
        classes = self.filters.configs()
        classes += [extension.config for extension in self.listener_filters.values()]
        classes += [extension.config for extension in self.transports.values()]
        classes += [extension.config for extension in self.access_logs.values()]
        return TypeRegistry([*classes, DownstreamConnectionsConfig], python=self._loader)

    def is_terminal(self, type_url: str) -> bool:
        """Whether network filters of this type end a chain."""
        if type_url.startswith(custom.PREFIX):
            return self._loader.is_terminal(type_url[len(custom.PREFIX):])
        return self.filters.is_terminal(type_url.rpartition("/")[2])
