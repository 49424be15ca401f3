"""Every extension of the package, by explicit import: the one place to add a filter.

Nothing registers itself at import time, so what exists is what this list says.
"""

from __future__ import annotations

from typing import Dict, List, Sequence

from ..config.model.bootstrap import DownstreamConnectionsConfig
from ..config.model.cluster import TcpProtocolOptions
from ..config.model.discovery import DISCOVERY_TYPES
from ..config.model.load_balancing import POLICIES as LOAD_BALANCING_POLICIES
from ..config.model.health_check import HEALTH_CHECK_TYPES
from ..config.model.http_upstream import HttpProtocolOptions
from ..config.model.proxy_protocol import PerHostConfig
from ..config.model.route import FilterConfig
from ..config.model.route_retry import RETRY_TYPES
from ..config.registry import TypeRegistry
from ..extensions.access_log import file, stream
from ..extensions.access_log.registry import AccessLogExtension
from ..extensions.http import compressor, decompressor
from ..extensions.listener import http_inspector, original_dst, proxy_protocol, tls_inspector
from ..extensions.listener import local_ratelimit as listener_local_ratelimit
from ..extensions.network import (
    connection_limit, custom, direct_response, echo, fault, http_connection_manager, local_ratelimit, rbac, set_filter_state,
    sni_cluster, tap, tcp_bandwidth_limit, tcp_proxy,
)
from ..extensions.rbac.matchers import MATCHERS as RBAC_MATCHERS
from ..extensions.transport import raw_buffer, tls, upstream_header
from ..filters.registry import (
    FilterRegistry, ListenerFilterExtension, TransportExtension, UpstreamTransportExtension,
)
from .http_filters import http_filters


class Extensions:
    """The registries of one server. filter_path: directories to look in for filters of one's own."""

    def __init__(self, filter_path: Sequence[str] = ()) -> None:
        self._loader = custom.FilterLoader(list(filter_path))
        self.filters = FilterRegistry(
            [
                connection_limit.EXTENSION, direct_response.EXTENSION, echo.EXTENSION, fault.EXTENSION,
                http_connection_manager.EXTENSION, local_ratelimit.EXTENSION, rbac.EXTENSION, set_filter_state.EXTENSION,
                sni_cluster.EXTENSION, tap.EXTENSION, tcp_bandwidth_limit.EXTENSION, tcp_proxy.EXTENSION,
            ],
            custom=custom.EXTENSION,
        )
        self.http_filters = http_filters()
        transports: List[TransportExtension] = [raw_buffer.EXTENSION, tls.EXTENSION]
        self.transports: Dict[str, TransportExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in transports
        }
        upstream_transports: List[UpstreamTransportExtension] = [
            raw_buffer.UPSTREAM_EXTENSION, tls.UPSTREAM_EXTENSION, upstream_header.UPSTREAM_EXTENSION,
        ]
        self.upstream_transports: Dict[str, UpstreamTransportExtension] = {
            each.config.DESCRIPTOR.full_name: each for each in upstream_transports
        }
        listener_filters: List[ListenerFilterExtension] = [
            http_inspector.EXTENSION, listener_local_ratelimit.EXTENSION, original_dst.EXTENSION,
            proxy_protocol.EXTENSION, tls_inspector.EXTENSION,
        ]
        self.listener_filters: Dict[str, ListenerFilterExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in listener_filters
        }
        access_logs: List[AccessLogExtension] = [file.EXTENSION, stream.STDOUT, stream.STDERR]
        self.access_logs: Dict[str, AccessLogExtension] = {
            extension.config.DESCRIPTOR.full_name: extension for extension in access_logs
        }

    def types(self) -> TypeRegistry:
        """What `@type` may name in a configuration."""
        classes = self.filters.configs() + self.http_filters.configs()
        classes += [extension.config for extension in self.listener_filters.values()]
        classes += [extension.config for extension in self.transports.values()]
        classes += [each.config for each in self.upstream_transports.values()]
        classes += [extension.config for extension in self.access_logs.values()]
        classes += [*RBAC_MATCHERS, *LOAD_BALANCING_POLICIES, DownstreamConnectionsConfig, PerHostConfig, *DISCOVERY_TYPES]
        classes += [*HEALTH_CHECK_TYPES, TcpProtocolOptions, HttpProtocolOptions, *RETRY_TYPES, FilterConfig]
        classes += [*compressor.LIBRARIES, *decompressor.LIBRARIES]
        return TypeRegistry(classes, python=self._loader)

    def is_terminal(self, type_url: str) -> bool:
        """Whether network filters of this type end a chain."""
        if type_url.startswith(custom.PREFIX):
            return self._loader.is_terminal(type_url[len(custom.PREFIX):])
        return self.filters.is_terminal(type_url.rpartition("/")[2])
