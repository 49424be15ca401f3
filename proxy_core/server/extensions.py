"""Every extension of the package, by explicit import: the one place to add a filter.

Nothing registers itself at import time, so what exists is what this list says.
"""

from __future__ import annotations

from typing import Dict, List

from ..config.model.bootstrap import DownstreamConnectionsConfig
from ..config.registry import TypeRegistry
from ..extensions.access_log import file, stream
from ..extensions.access_log.registry import AccessLogExtension
from ..extensions.network import direct_response, echo, tcp_proxy
from ..extensions.transport import raw_buffer
from ..filters.registry import FilterRegistry, TransportExtension


class Extensions:
    """The registries of one server."""

    def __init__(self) -> None:
        self.filters = FilterRegistry([echo.EXTENSION, direct_response.EXTENSION, tcp_proxy.EXTENSION])
        transports: List[TransportExtension] = [raw_buffer.EXTENSION]
        self.transports: Dict[str, TransportExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in transports
        }
        access_logs: List[AccessLogExtension] = [file.EXTENSION, stream.STDOUT, stream.STDERR]
        self.access_logs: Dict[str, AccessLogExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in access_logs
        }

    def types(self) -> TypeRegistry:
        """What `@type` may name in a configuration."""
        classes = self.filters.configs()
        classes += [extension.config for extension in self.transports.values()]
        classes += [extension.config for extension in self.access_logs.values()]
        return TypeRegistry([*classes, DownstreamConnectionsConfig])

    def is_terminal(self, type_url: str) -> bool:
        """Whether network filters of this type end a chain."""
        return self.filters.is_terminal(type_url.rpartition("/")[2])
