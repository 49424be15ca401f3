"""What is wrong with how a cluster is to find its hosts. Envoy's sentences where it has one."""

from __future__ import annotations

from typing import Callable, Dict, Final, Iterator, List

from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.discovery import CaresDnsResolverConfig, GetAddrInfoDnsResolverConfig
from ...config.model.endpoint import ClusterLoadAssignment
from ...errors import Problem
from .dns_settings import dns_settings

_ONE_ENDPOINT: Final = "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint"


def discovery_problems(config: ClusterConfig, path: str) -> List[Problem]:
    """All of them. path: where the cluster stands."""
    kind = config.discovery_type
    if not kind:
        assert config.cluster_type is not None
        name = config.cluster_type.name
        text = f"Didn't find a registered cluster factory implementation for name: '{name}'"
        return [Problem(f"{path}.cluster_type.name", text)]
    found = []
    if config.eds_cluster_config is not None and kind != "EDS":
        found.append(Problem(f"{path}.eds_cluster_config", "eds_cluster_config set in a non-EDS cluster"))
    found.extend(_RULES[kind](config, path))
    if config.load_assignment is not None:
        found.extend(_unknown_names(config.load_assignment, f"{path}.load_assignment"))
    return found


def _nothing(config: ClusterConfig, path: str) -> Iterator[Problem]:
    return iter(())


def _strict_dns(config: ClusterConfig, path: str) -> Iterator[Problem]:
    yield from _resolver(config, path)
    if config.load_assignment is not None:
        yield from _no_pipes(config.load_assignment, f"{path}.load_assignment")


def _logical_dns(config: ClusterConfig, path: str) -> Iterator[Problem]:
    groups = config.load_assignment.endpoints if config.load_assignment is not None else []
    if not groups:
        yield Problem(f"{path}.load_assignment", "LOGICAL_DNS clusters must have a single host")
    elif len(groups) != 1 or len(groups[0].lb_endpoints) != 1:
        yield Problem(f"{path}.load_assignment.endpoints", _ONE_ENDPOINT)
    yield from _strict_dns(config, path)


def _eds(config: ClusterConfig, path: str) -> Iterator[Problem]:
    if config.eds_cluster_config is None:
        yield Problem(f"{path}.eds_cluster_config", "cannot create an EDS cluster without an EDS config")


def _original_dst(config: ClusterConfig, path: str) -> Iterator[Problem]:
    if config.load_assignment is not None:
        text = "ORIGINAL_DST clusters must have no load assignment configured"
        yield Problem(f"{path}.load_assignment", text)


_RULES: Final[Dict[str, Callable[[ClusterConfig, str], Iterator[Problem]]]] = {
    "STATIC": _nothing, "STRICT_DNS": _strict_dns, "LOGICAL_DNS": _logical_dns, "EDS": _eds,
    "ORIGINAL_DST": _original_dst,
}


def _resolver(config: ClusterConfig, path: str) -> Iterator[Problem]:
    resolver = dns_settings(config).resolver
    if resolver is None or resolver.typed_config is None:
        return
    if not isinstance(resolver.typed_config.message, (CaresDnsResolverConfig, GetAddrInfoDnsResolverConfig)):
        where = f"{path}.cluster_type.typed_config" if config.dns_cluster is not None else path
        text = f"'{resolver.typed_config.type_name}' is not a DNS resolver"
        yield Problem(f"{where}.typed_dns_resolver_config.typed_config", text)


def _no_pipes(assignment: ClusterLoadAssignment, path: str) -> Iterator[Problem]:
    """Only names and IP addresses can be looked up."""
    for index, group in enumerate(assignment.endpoints):
        for number, entry in enumerate(group.lb_endpoints):
            endpoint = assignment.endpoint_of(entry)
            if endpoint is None or endpoint.address is None or endpoint.address.socket_address is None:
                where = f"{path}.endpoints[{index}].lb_endpoints[{number}].endpoint.address"
                yield Problem(where, "expected a socket_address with a name to look up")


def _unknown_names(assignment: ClusterLoadAssignment, path: str) -> Iterator[Problem]:
    for index, group in enumerate(assignment.endpoints):
        for number, entry in enumerate(group.lb_endpoints):
            if entry.endpoint_name is not None and entry.endpoint_name not in assignment.named_endpoints:
                where = f"{path}.endpoints[{index}].lb_endpoints[{number}].endpoint_name"
                yield Problem(where, f"there is no named endpoint '{entry.endpoint_name}'")
