"""Rules between the messages of a bootstrap: what Envoy finds while it builds listeners and clusters.

Each rule is one function that yields problems; the sentences are Envoy's, the paths ours. Not errors here, as
in
Envoy: listeners of the same name or without one, chains without filters. A cluster that is referred to but
not declared is a warning (Envoy says nothing and answers NC at run time).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from ..errors import Problem
from .check_chains import IsTerminal, chain_problems
from .check_unreachable import unreachable_chains
from .context import did_you_mean
from .descriptor import walk
from .model.address import Address, SocketAddress, parse_ip
from .model.bootstrap import Bootstrap, StaticResources
from .model.cluster import Cluster
from .model.listener import Listener

__all__ = ["Checked", "IsTerminal", "check", "check_cluster", "check_listener"]

_DNS_HINT = ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
_MAX_GUESSES = 500  # with more clusters, looking for the nearest name would cost minutes in all
_DUPLICATE = (
    "error adding listener: '{}' has duplicate address '{}' as existing listener, to check if the listener "
    "has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener"
)


@dataclass
class Checked:
    """What was found: `problems` forbid to run, `warnings` do not."""

    problems: List[Problem]
    warnings: List[Problem]


def check(bootstrap: Bootstrap, is_terminal: Optional[IsTerminal] = None) -> Checked:
    """Look at a decoded bootstrap as a whole.

    is_terminal: whether the network filter with this type URL consumes its data and so must end its chain;
    None = the order of filters is not looked at.
    """
    resources = bootstrap.static_resources or StaticResources()
    problems = [
        *_clusters(resources.clusters),
        *_listeners(resources.listeners, is_terminal),
        *_ip_problems(bootstrap.admin.address if bootstrap.admin else None, "admin.address"),
    ]
    manager = bootstrap.cluster_manager
    if manager is not None and manager.upstream_bind_config is not None:
        source = manager.upstream_bind_config.source_address
        problems.extend(_ip_problems(source, "cluster_manager.upstream_bind_config.source_address"))
    warnings = list(_unknown_clusters(bootstrap, resources.clusters))
    if not problems:
        for index, listener in enumerate(resources.listeners):
            warnings.extend(unreachable_chains(listener, f"static_resources.listeners[{index}]"))
    return Checked(problems, warnings)


def _clusters(clusters: List[Cluster]) -> Iterator[Problem]:
    seen = set()
    for index, cluster in enumerate(clusters):
        path = f"static_resources.clusters[{index}]"
        if cluster.name and cluster.name in seen:
            yield Problem(f"{path}.name", f"cluster manager: duplicate cluster '{cluster.name}'")
        seen.add(cluster.name)
        yield from check_cluster(cluster, path)


def check_cluster(cluster: Cluster, path: str) -> Iterator[Problem]:
    """What is wrong with the addresses of the cluster at `path`, whatever others there are."""
    if cluster.upstream_bind_config is not None:
        source = cluster.upstream_bind_config.source_address
        yield from _ip_problems(source, f"{path}.upstream_bind_config.source_address")
    if cluster.discovery_type == "STATIC":
        yield from _static_hosts(cluster, f"{path}.load_assignment")


def _static_hosts(cluster: Cluster, path: str) -> Iterator[Problem]:
    assignment = cluster.load_assignment
    for group_index, group in enumerate(assignment.endpoints if assignment is not None else []):
        for index, host in enumerate(group.lb_endpoints):
            where = f"{path}.endpoints[{group_index}].lb_endpoints[{index}].endpoint"
            endpoint = assignment.endpoint_of(host) if assignment is not None else None
            if endpoint is None or endpoint.address is None:
                yield Problem(f"{where}.address", "Address must be set, for each host of a STATIC cluster")
                continue
            yield from _ip_problems(endpoint.address, f"{where}.address", _DNS_HINT)
            for extra, one in enumerate(endpoint.additional_addresses):
                place = f"{where}.additional_addresses[{extra}].address"
                yield from _ip_problems(one.address, place, _DNS_HINT)


def _listeners(listeners: List[Listener], is_terminal: Optional[IsTerminal]) -> Iterator[Problem]:
    owners: Dict[str, int] = {}  # address -> the listener that has it
    for index, listener in enumerate(listeners):
        path = f"static_resources.listeners[{index}]"
        yield from check_listener(listener, path, is_terminal)
        for where, address in _listener_addresses(listener, path):
            if address is None or not address.text or _is_any_port(address):
                continue
            # Twice in one listener is allowed, as in Envoy.
            if owners.setdefault(address.text, index) != index:
                yield Problem(where, _DUPLICATE.format(listener.name, address.text))


def check_listener(listener: Listener, path: str, is_terminal: Optional[IsTerminal]) -> Iterator[Problem]:
    """What is wrong with the listener at `path`, whatever others there are."""
    label = listener.address.text if listener.address is not None else ""
    if listener.address is None:
        text = f"error adding listener named '{listener.name}': address is necessary"
        yield Problem(f"{path}.address", text)
    if not listener.filter_chains and listener.default_filter_chain is None:
        text = f"error adding listener '{label}': no filter chains specified"
        yield Problem(f"{path}.filter_chains", text)
    for where, address in _listener_addresses(listener, path):
        yield from _ip_problems(address, where)
    yield from chain_problems(listener, path, label, is_terminal)


def _listener_addresses(listener: Listener, path: str) -> List[Tuple[str, Optional[Address]]]:
    addresses: List[Tuple[str, Optional[Address]]] = [(f"{path}.address", listener.address)]
    for extra, one in enumerate(listener.additional_addresses):
        addresses.append((f"{path}.additional_addresses[{extra}].address", one.address))
    return addresses


def _is_any_port(address: Address) -> bool:
    return address.socket_address is not None and not address.socket_address.port_value


def _ip_problems(address: object, path: str, advice: str = "") -> Iterator[Problem]:
    """An address that must be numeric. `address`: an Address, a SocketAddress or None."""
    if isinstance(address, Address):
        path, address = f"{path}.socket_address", address.socket_address
    if not isinstance(address, SocketAddress) or not address.address:
        return
    parsed = parse_ip(address.address)
    if parsed is None:
        yield Problem(f"{path}.address", f"malformed IP address: {address.address}{advice}")
    elif address.ipv4_compat and parsed.version == 4:
        yield Problem(f"{path}.ipv4_compat", "ipv4_compat is for IPv6 addresses, this one is IPv4")


def _unknown_clusters(bootstrap: Bootstrap, clusters: List[Cluster]) -> Iterator[Problem]:
    dynamic = bootstrap.dynamic_resources
    if dynamic is not None and dynamic.cds_config is not None:
        return  # nobody knows yet which there will be
    names = {cluster.name for cluster in clusters}
    for path, spec, value in walk(bootstrap):
        if spec.refers_to == "cluster" and value and value not in names:
            text = f"unknown cluster '{value}': connections to it will fail until there is one"
            yield Problem(path, text, did_you_mean(value, names) if len(names) <= _MAX_GUESSES else "")


