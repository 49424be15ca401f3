"""The ClustersConfigDump and EndpointsConfigDump of /config_dump: which clusters there are, where they come
from, and their hosts as they are now. Mirrors `ClusterManagerImpl::dumpClusterConfigs` and
`ConfigDumpHandler::dumpEndpointConfigs`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from ..config.dump import dump_any
from ..config.model.endpoint import ClusterLoadAssignment
from ..config.nested import TYPE_KEY, TYPE_PREFIX
from ..upstream.cluster import Cluster
from ..upstream.host import Host
from ..upstream.manager import ClusterManager, Entry
from ..upstream.priority_load import DEFAULT_OVERPROVISIONING
from .api import timestamp
from .inventory import address_json, eds_health, locality_json

Tree = Dict[str, Any]


def clusters_dump(manager: ClusterManager, loaded_at: float, is_wanted: Callable[[str], bool]) -> Tree:
    """The section's fields, empty ones left out. loaded_at: when the bootstrap was, in seconds since the
    epoch."""
    active = _wanted(manager.active, is_wanted)
    static = [
        {"cluster": dump_any(entry.cluster.config), "last_updated": timestamp(loaded_at)}
        for entry in active if not entry.source.is_dynamic
    ]
    tree = {
        "version_info": manager.version_info,
        "static_clusters": static,
        "dynamic_active_clusters": [_dynamic(entry) for entry in active if entry.source.is_dynamic],
        "dynamic_warming_clusters": [_dynamic(entry) for entry in _wanted(manager.warming, is_wanted)],
    }
    return {name: value for name, value in tree.items() if value}


def endpoints_dump(manager: ClusterManager, is_wanted: Callable[[str], bool]) -> Tree:
    """The section's fields, empty ones left out."""
    static: List[Tree] = []
    dynamic: List[Tree] = []
    for entry in _wanted(manager.active, is_wanted):
        endpoints = {"endpoint_config": _assignment(entry.cluster)}
        (dynamic if entry.source.is_dynamic else static).append(endpoints)
    tree = {"static_endpoint_configs": static, "dynamic_endpoint_configs": dynamic}
    return {name: value for name, value in tree.items() if value}


def _wanted(entries: Dict[str, Entry], is_wanted: Callable[[str], bool]) -> List[Entry]:
    return [entries[name] for name in sorted(entries) if is_wanted(name)]


def _dynamic(entry: Entry) -> Tree:
    version = {"version_info": entry.source.version_info} if entry.source.version_info else {}
    config = dump_any(entry.cluster.config)
    return {**version, "cluster": config, "last_updated": timestamp(entry.source.updated_at)}


def _assignment(cluster: Cluster) -> Tree:
    """The hosts as they are now, in the form of a ClusterLoadAssignment."""
    groups: Dict[Tuple[int, str, str, str], List[Host]] = {}
    for member in cluster.hosts:
        groups.setdefault((member.priority, member.region, member.zone, member.sub_zone), []).append(member)
    endpoints = []
    for (priority, _, _, _), members in sorted(groups.items(), key=lambda group: group[0]):
        group: Tree = {
            "locality": locality_json(members[0]),
            "lb_endpoints": [_endpoint(member) for member in members],
            "load_balancing_weight": members[0].locality_weight,
        }
        endpoints.append({**group, "priority": priority} if priority else group)
    factor = cluster.policy.overprovisioning_factor if cluster.policy is not None else None
    tree: Tree = {
        TYPE_KEY: TYPE_PREFIX + ClusterLoadAssignment.DESCRIPTOR.full_name,
        "cluster_name": cluster.assignment_name,
        "endpoints": endpoints,
        "policy": {"overprovisioning_factor": factor or DEFAULT_OVERPROVISIONING},
    }
    return {name: value for name, value in tree.items() if value != []}  # as Envoy: no empty list


def _endpoint(member: Host) -> Tree:
    endpoint: Tree = {"address": address_json(member.address), "health_check_config": {}}
    if member.hostname:
        endpoint["hostname"] = member.hostname
    health = eds_health(member)
    metadata = {"metadata": {"filter_metadata": member.metadata}} if member.metadata else {}
    return {
        "endpoint": endpoint,
        "health_status": "UNHEALTHY" if health == "DRAINING" else health,  # as Envoy prints it here
        **metadata,
        "load_balancing_weight": member.weight,
    }
