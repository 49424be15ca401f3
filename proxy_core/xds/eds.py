"""EDS: the hosts of one cluster from one watched file. Mirrors the receiving half of `EdsClusterImpl`.

A file names one assignment. Decoding it again costs little where nothing changed: an entry that was there
before, byte for byte the same value, is not decoded again but comes out as the same `Member`, which tells the
cluster that its host is as it was.
"""

from __future__ import annotations

import marshal
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Tuple

from ..config.context import Context, TypeResolver
from ..config.decode import decode_into
from ..config.json_text import parse_object
from ..config.model.discovery import EdsClusterConfig
from ..config.model.endpoint import (
    ClusterLoadAssignment, LbEndpoint, LoadAssignmentPolicy, LocalityLbEndpoints,
)
from ..errors import ConfigError, Problem
from ..network.address import address_of
from ..observe.log import component_logger
from ..observe.stats import Scope
from ..upstream.discovery.eds import Assignment, Receive
from ..upstream.discovery.members import Member
from .files import ResourceFiles
from .response import Rejected, decode_envelope, unpack
from .subscription import FileSubscription, source_problems

_MARSHAL_VERSION: Final = 2  # without references, so that equal values are equal bytes
_DNS_HINT: Final = ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"

_log = component_logger("upstream")


class Endpoints(NamedTuple):
    """A decoded file. assignment: None = there is none in it."""

    version_info: str
    warnings: List[Problem]
    assignment: Optional[Assignment]


class EndpointDecoder:
    """Decodes one file after the other for the assignment called `name`."""

    def __init__(self, name: str, types: TypeResolver) -> None:
        self._name = name
        self._types = types
        self._members: Dict[Tuple[bytes, bytes], Member] = {}  # by what the group and the entry said

    def decode(self, data: bytes, path: str) -> Endpoints:
        """The bytes of a file. Raises ConfigError if it is no response, Rejected if it can't be used here."""
        context = Context(self._types, allow_unknown=True)
        tree = parse_object(data, path)
        resources = tree.get("resources")
        if isinstance(resources, list):
            tree = {**tree, "resources": []}  # the envelope alone: the assignment may have thousands of hosts
        answer = decode_envelope(tree, context)
        if not resources:
            return Endpoints(answer.version_info, context.warnings, None)
        if len(resources) != 1:
            raise self._rejected(f"Unexpected EDS resource length: {len(resources)}")
        if not isinstance(resources[0], dict):
            raise ConfigError([Problem("resources[0]", "expected an object")])
        _, body, where = unpack(resources[0], "resources[0]", ClusterLoadAssignment)
        return Endpoints(answer.version_info, context.warnings, self._assignment(body, where, context))

    def _assignment(self, body: Dict[str, Any], path: str, context: Context) -> Assignment:
        entries, skeleton = _without_entries(body)
        assignment = decode_into(ClusterLoadAssignment, skeleton, path, context)
        self._check(context)
        name = assignment.cluster_name
        if name != self._name:
            raise self._rejected(f"Unexpected EDS cluster (expecting {self._name}): {name}")
        kept: Dict[Tuple[bytes, bytes], Member] = {}
        members: List[Member] = []
        for index, (group, raws) in enumerate(zip(assignment.endpoints, entries)):
            signature = marshal.dumps(skeleton["endpoints"][index], _MARSHAL_VERSION)
            where = f"{path}.endpoints[{index}].lb_endpoints"
            for number, raw in enumerate(raws):
                key = signature, marshal.dumps(raw, _MARSHAL_VERSION)
                member = self._members.get(key) or kept.get(key)
                if member is None or member.entry.endpoint_name is not None:
                    member = self._member(assignment, group, raw, f"{where}[{number}]", context)
                kept[key] = member
                members.append(member)
        self._check(context)
        self._members = kept
        return Assignment(members, assignment.policy or LoadAssignmentPolicy())

    def _member(
        self, assignment: ClusterLoadAssignment, group: LocalityLbEndpoints, raw: Any, path: str,
        context: Context,
    ) -> Member:
        entry = decode_into(LbEndpoint, raw, path, context)
        self._check(context)
        endpoint = assignment.endpoint_of(entry)
        if endpoint is None or endpoint.address is None:
            raise self._rejected(f"{path}: an endpoint needs an address, or the name of a named endpoint")
        try:
            address = address_of(endpoint.address)
        except ValueError:
            socket_address = endpoint.address.socket_address
            text = socket_address.address if socket_address is not None else ""
            raise self._rejected(f"malformed IP address: {text}{_DNS_HINT}") from None
        return Member(address, endpoint.hostname, entry, endpoint, group, group.priority)

    def _check(self, context: Context) -> None:
        if context.problems:
            raise self._rejected("; ".join(str(problem) for problem in context.problems))

    def _rejected(self, why: str) -> Rejected:
        _log.warning("eds: cluster '%s' config rejected: %s", self._name, why)
        return Rejected(why)


def _without_entries(body: Dict[str, Any]) -> Tuple[List[List[Any]], Dict[str, Any]]:
    """(the entries of each group, the rest). What has another form than it should stays in the rest, where
    that is found."""
    groups = body.get("endpoints")
    if not isinstance(groups, list):
        return [], body
    entries: List[List[Any]] = []
    rest: List[Any] = []
    for group in groups:
        given = group if isinstance(group, dict) else {}
        names = [name for name in ("lb_endpoints", "lbEndpoints") if name in given]
        if len(names) == 1 and isinstance(group[names[0]], list):
            entries.append(group[names[0]])
            rest.append({key: value for key, value in group.items() if key != names[0]})
        else:
            entries.append([])
            rest.append(group)
    return entries, {**body, "endpoints": rest}


class EndpointSubscriptions:
    """The way from clusters to their files: `upstream.discovery.eds.Subscribe`."""

    def __init__(self, files: ResourceFiles) -> None:
        self._files = files

    def __call__(
        self, config: EdsClusterConfig, name: str, scope: Scope, receive: Receive, path: str
    ) -> FileSubscription[Endpoints]:
        """See `Subscribe`."""
        source = config.eds_config
        assert source is not None
        problems = source_problems(source, f"{path}.eds_config")
        if problems:
            raise ConfigError(problems)
        decoder = EndpointDecoder(name, self._files.types)
        return self._files.subscribe(source, scope, decoder.decode, lambda found: receive(found.assignment))
