"""The RoutesConfigDump of /config_dump: the route tables of connection managers. Mirrors
`RouteConfigProviderManager::dumpRouteConfigs`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..config.dump import dump_any
from ..config.model.route import RouteConfiguration
from .api import timestamp
from .host import DynamicRoutesView, RoutesView

Tree = Dict[str, Any]


def routes_dump(routes: RoutesView, is_wanted: Callable[[str], bool]) -> Tree:
    """The section's fields, empty ones left out."""
    tree = {
        "static_route_configs": [
            {"route_config": dump_any(one.config), "last_updated": timestamp(one.updated_at)}
            for one in routes.static_routes() if is_wanted(one.config.name)
        ],
        "dynamic_route_configs": [
            _dynamic(one, one.config) for one in routes.dynamic_routes() if one.config is not None and is_wanted(one.config.name)
        ],
    }
    return {name: found for name, found in tree.items() if found}


def _dynamic(routes: DynamicRoutesView, config: RouteConfiguration) -> Tree:
    version = {"version_info": routes.version} if routes.version else {}
    return {**version, "route_config": dump_any(config), "last_updated": timestamp(routes.updated_at)}
