"""/config_dump: what is loaded, section by section. Mirrors `ConfigDumpHandler` and the callbacks of
`ConfigTracker`.

    resource=static_clusters    only the elements of one list, from whichever section has it
    mask=cluster.name           only these fields: of each element with `resource`, else of each section
    name_regex=web.*            only clusters, listeners and endpoints whose whole name matches
    include_eds                 with the section of endpoints

Configuration comes back as it was loaded: Envoy's field names, only what was set.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Pattern, Sequence, Tuple, Type

from ..config.descriptor import Message
from ..config.dump import redacted
from ..config.model.bootstrap import Bootstrap
from ..config.model.cluster import Cluster as ClusterConfig
from ..config.model.endpoint import ClusterLoadAssignment
from ..config.model.listener import Listener as ListenerConfig
from ..config.model.route import RouteConfiguration
from ..config.nested import TYPE_KEY, TYPE_PREFIX
from ..observe.query import compile_filter
from .api import PLAIN, Request, Response, json_reply, text, timestamp
from .cluster_dump import clusters_dump, endpoints_dump
from .field_mask import Path, Shape, fits, parse_mask, trim
from .host import AdminHost
from .listener_dump import listeners_dump
from .process import node_json
from .routes_dump import routes_dump

_PACKAGE: Final = TYPE_PREFIX + "envoy.admin.v3."


class Element(NamedTuple):
    """The message in a list of a section: its name inside the section's, and its fields. any_field: the one
    that holds an Any, of which a mask must pick something.
    """

    name: str
    shape: Shape
    any_field: str = ""

    def takes(self, paths: Sequence[Path]) -> bool:
        """Whether a mask fits."""
        return fits(paths, self.shape) and not any(list(path) == [self.any_field] for path in paths)


class Section(NamedTuple):
    """A kind of dump: its message, its single fields and its lists."""

    name: str
    single: Mapping[str, Optional[Type[Message]]]
    lists: Mapping[str, Element]


def _static(name: str, field: str, message: Optional[Type[Message]]) -> Element:
    return Element(name, {field: message, "last_updated": None}, field)


_DYNAMIC_FIELDS: Final = ("version_info", "last_updated", "error_state", "client_status")


def _dynamic(name: str, field: str, message: Optional[Type[Message]], more: Tuple[str, ...] = ()) -> Element:
    return Element(name, {field: message, **dict.fromkeys(_DYNAMIC_FIELDS + more)}, field)


_DYNAMIC_CLUSTER: Final = _dynamic("DynamicCluster", "cluster", ClusterConfig)
_DYNAMIC_SECRET: Final = _dynamic("DynamicSecret", "secret", None, ("name",))

BOOTSTRAP: Final = Section("BootstrapConfigDump", {"bootstrap": Bootstrap, "last_updated": None}, {})
CLUSTERS: Final = Section("ClustersConfigDump", {"version_info": None}, {
    "static_clusters": _static("StaticCluster", "cluster", ClusterConfig),
    "dynamic_active_clusters": _DYNAMIC_CLUSTER,
    "dynamic_warming_clusters": _DYNAMIC_CLUSTER,
})
ENDPOINTS: Final = Section("EndpointsConfigDump", {}, {
    "static_endpoint_configs": _static("StaticEndpointConfig", "endpoint_config", ClusterLoadAssignment),
    "dynamic_endpoint_configs": _dynamic("DynamicEndpointConfig", "endpoint_config", ClusterLoadAssignment),
})
LISTENERS: Final = Section("ListenersConfigDump", {"version_info": None}, {
    "static_listeners": _static("StaticListener", "listener", ListenerConfig),
    "dynamic_listeners": Element("DynamicListener", dict.fromkeys(
        ("name", "active_state", "warming_state", "draining_state", "error_state", "client_status")
    )),
})
ROUTES: Final = Section("RoutesConfigDump", {}, {
    "static_route_configs": _static("StaticRouteConfig", "route_config", RouteConfiguration),
    "dynamic_route_configs": _dynamic("DynamicRouteConfig", "route_config", RouteConfiguration),
})
SCOPED_ROUTES: Final = Section("ScopedRoutesConfigDump", {}, {})  # of no connection manager here
SECRETS: Final = Section("SecretsConfigDump", {}, {
    "static_secrets": Element("StaticSecret", {"name": None, "last_updated": None, "secret": None}, "secret"),
    "dynamic_active_secrets": _DYNAMIC_SECRET,
    "dynamic_warming_secrets": _DYNAMIC_SECRET,
})

Dumped = Tuple[Section, Dict[str, Any]]


def config_dump(host: AdminHost, request: Request) -> Response:
    """GET /config_dump"""
    query = request.query
    pattern: Optional[Pattern[str]] = None
    if query.get("name_regex"):
        try:
            pattern = compile_filter(query["name_regex"])
        except ValueError as error:
            reason = str(error).partition(": ")[2]
            where = f"Error while parsing name_regex from {query['name_regex']}"
            return _wrong(f"INVALID_ARGUMENT: {where}: {reason}")
    dumped = _dump(host, "include_eds" in query, pattern)
    resource, mask = query.get("resource", ""), query.get("mask", "")
    if resource:
        return _one_list(dumped, resource, mask)
    return _sections(dumped, mask)


def _wrong(message: str, status: int = 400) -> Response:
    return text(message, status, PLAIN)


def _sections(dumped: List[Dumped], mask: str) -> Response:
    paths = parse_mask(mask)
    configs = []
    for section, content in dumped:
        if paths:
            if not fits(paths, {**section.single, **dict.fromkeys(section.lists)}):
                continue
            content = trim(content, paths)
        configs.append({TYPE_KEY: _PACKAGE + section.name, **content})
    if not configs:
        return _wrong(f"FieldMask {mask} could not be successfully applied to any configs.")
    return json_reply({"configs": configs})


def _one_list(dumped: List[Dumped], resource: str, mask: str) -> Response:
    for section, content in dumped:
        if resource in section.single:
            return _wrong(f"{resource} is not a repeated field. Use ?mask={resource} to get only this field")
        element = section.lists.get(resource)
        if element is None:
            continue
        paths = parse_mask(mask)
        if not element.takes(paths):
            listed = "".join(f'paths: "{".".join(path)}"\n' for path in paths)
            return _wrong(f"FieldMask {listed} could not be successfully used.")
        type_url = f"{_PACKAGE}{section.name}.{element.name}"
        items = [trim(item, paths) if paths else item for item in content.get(resource, [])]
        return json_reply({"configs": [{TYPE_KEY: type_url, **item} for item in items]} if items else {})
    return _wrong(f"{resource} not found in config dump", 404)


def _dump(host: AdminHost, include_endpoints: bool, pattern: Optional[Pattern[str]]) -> List[Dumped]:
    """The sections in Envoy's order, without empty fields."""
    updated = timestamp(host.loaded_wall)
    bootstrap = {"node": node_json(host), **_without_node(host.loaded.bootstrap.to_json())}

    def is_wanted(name: str) -> bool:
        return _matches(pattern, name)
    dumped: List[Dumped] = [
        (BOOTSTRAP, {"bootstrap": bootstrap, "last_updated": updated}),
        (CLUSTERS, clusters_dump(host.clusters, host.loaded_wall, is_wanted)),
    ]
    if include_endpoints:
        dumped.append((ENDPOINTS, endpoints_dump(host.clusters, is_wanted)))
    dumped.append((LISTENERS, listeners_dump(host.listeners, is_wanted)))
    if host.route_configs.is_used:
        dumped += [(SCOPED_ROUTES, {}), (ROUTES, routes_dump(host.route_configs, is_wanted))]
    dumped.append((SECRETS, _secrets(host)))
    return [(section, redacted(content)) for section, content in dumped]


def _secrets(host: AdminHost) -> Dict[str, Any]:
    found: Dict[str, List[Dict[str, Any]]] = host.context.secrets.to_json()
    for item in found["dynamic_active_secrets"]:
        item["last_updated"] = timestamp(item["last_updated"])
    return {name: items for name, items in found.items() if items}


def _list(name: str, items: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {name: items} if items else {}


def _without_node(tree: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in tree.items() if name != "node"}


def _matches(pattern: Optional[Pattern[str]], name: str) -> bool:
    return pattern is None or re.fullmatch(pattern, name) is not None
