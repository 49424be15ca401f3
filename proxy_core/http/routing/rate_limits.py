"""The descriptors of a request, for filters that limit by them. Mirrors `RateLimitPolicyEntryImpl` and its actions."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...config.model.metadata import MetadataKey
from ...config.model.rate_limit import RateLimit as RateLimitConfig
from ...config.model.rate_limit import RateLimitAction
from ...errors import Problem
from ...network.cidr import CidrSet, ip_number
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .conditions import query_matcher, request_matcher
from .formatting import Formats
from .text import wire
from .values import ip_of, masked, query_value, request_values

Entry = Tuple[str, str]
Descriptor = Tuple[Entry, ...]


class Asked(NamedTuple):
    """What descriptors are made of. local_service: --service-cluster. cluster: the name of the route's. route_metadata: of the
    route, by namespace."""

    head: RequestHead
    info: StreamInfo
    local_service: str = ""
    cluster: str = ""
    route_metadata: Mapping[str, Any] = {}


# None: there is no descriptor at all; (): nothing to add to it.
Action = Callable[[Asked], Optional[Descriptor]]


class RateLimit:
    """One `rate_limits` entry. stage: for filters that ask for one; disable_key: a runtime key that switches it off."""

    __slots__ = ("stage", "disable_key", "_actions")

    def __init__(self, stage: int, disable_key: str, actions: List[Action]) -> None:
        self.stage = stage
        self.disable_key = disable_key
        self._actions = actions

    def descriptor(self, asked: Asked) -> Optional[Descriptor]:
        """The (key, value) pairs of this request; None if one of them can't be had, or there are none."""
        pairs: List[Entry] = []
        for action in self._actions:
            found = action(asked)
            if found is None:
                return None
            pairs.extend(found)
        return tuple(pairs) or None


def prepare_rate_limits(
    configs: Sequence[RateLimitConfig], formats: Formats, path: str, problems: List[Problem]
) -> List[RateLimit]:
    """The `rate_limits` at `path`."""
    found = []
    for index, config in enumerate(configs):
        actions = []
        for number, action in enumerate(config.actions):
            try:
                actions.append(_action(action, formats))
            except ValueError as error:
                problems.append(Problem(f"{path}[{index}].actions[{number}]", str(error)))
        found.append(RateLimit(config.stage or 0, config.disable_key, actions))
    return found


def _action(action: RateLimitAction, formats: Formats) -> Action:
    for name, build in _ACTIONS.items():
        config = getattr(action, name)
        if config is not None:
            return build(config, formats)
    raise ValueError("the action is empty")


def _source_cluster(config: Any, formats: Formats) -> Action:
    return lambda asked: (("source_cluster", asked.local_service),)


def _destination_cluster(config: Any, formats: Formats) -> Action:
    return lambda asked: (("destination_cluster", asked.cluster),)


def _request_headers(config: Any, formats: Formats) -> Action:
    values, key, absent = request_values(config.header_name), config.descriptor_key, () if config.skip_if_absent else None

    def get(asked: Asked) -> Optional[Descriptor]:
        found = values(asked.head)
        return ((key, found[0]),) if found else absent
    return get


def _query_parameters(config: Any, formats: Formats) -> Action:
    name, key, absent = wire(config.query_parameter_name), config.descriptor_key, () if config.skip_if_absent else None

    def get(asked: Asked) -> Optional[Descriptor]:
        value = query_value(asked.head.path, name)
        return absent if value is None else ((key, value),)
    return get


def _remote_address(config: Any, formats: Formats) -> Action:
    def get(asked: Asked) -> Optional[Descriptor]:
        ip = ip_of(asked.info.downstream_remote_address)
        return (("remote_address", ip),) if ip else None
    return get


def _masked_remote_address(config: Any, formats: Formats) -> Action:
    four = 32 if config.v4_prefix_mask_len is None else config.v4_prefix_mask_len
    six = 128 if config.v6_prefix_mask_len is None else config.v6_prefix_mask_len

    def get(asked: Asked) -> Optional[Descriptor]:
        ip = ip_of(asked.info.downstream_remote_address)
        return (("masked_remote_address", masked(ip, six if ":" in ip else four)),) if ip else None
    return get


def _text(pattern: str, default: str, formats: Formats) -> Callable[[StreamInfo], str]:
    render = formats.compile(pattern)
    return lambda info: render(info) or default


def _generic_key(config: Any, formats: Formats) -> Action:
    key, value = config.descriptor_key or "generic_key", _text(config.descriptor_value, config.default_value, formats)

    def get(asked: Asked) -> Optional[Descriptor]:
        text = value(asked.info)
        return ((key, text),) if text else None
    return get


def _matched(test: Callable[[Asked], bool], default_key: str, config: Any, formats: Formats) -> Action:
    key, value = config.descriptor_key or default_key, _text(config.descriptor_value, config.default_value, formats)

    def get(asked: Asked) -> Optional[Descriptor]:
        if not test(asked):
            return None
        text = value(asked.info)
        return ((key, text),) if text else None
    return get


def _header_value_match(config: Any, formats: Formats) -> Action:
    matches, wanted = request_matcher(config.headers), config.expect_match is not False
    return _matched(lambda asked: matches(asked.head) is wanted, "header_match", config, formats)


def _query_parameter_value_match(config: Any, formats: Formats) -> Action:
    matches, wanted = query_matcher(config.query_parameters), config.expect_match is not False
    return _matched(lambda asked: matches(asked.head) is wanted, "query_match", config, formats)


def _remote_address_match(config: Any, formats: Formats) -> Action:
    contains = CidrSet([one.network() for one in config.address_matcher.ranges]).contains
    invert = config.address_matcher.invert_match

    def test(asked: Asked) -> bool:
        number = ip_number(ip_of(asked.info.downstream_remote_address))
        return number >= 0 and contains(number) is not invert
    return _matched(test, "remote_address_match", config, formats)


def _metadata(config: Any, formats: Formats) -> Action:
    source = getattr(config, "source", "DYNAMIC")
    if source in ("CLUSTER_ENTRY", "CLUSTER_LOCALITY_ENTRY"):
        raise ValueError(f"metadata of a cluster (source {source}) is not supported by proxy_core yet")
    of_route, key, default = source == "ROUTE_ENTRY", config.descriptor_key, config.default_value
    absent = () if getattr(config, "skip_if_absent", False) else None
    where = config.metadata_key

    def get(asked: Asked) -> Optional[Descriptor]:
        text = _found(asked.route_metadata if of_route else asked.info.dynamic_metadata, where) or default
        return ((key, text),) if text else absent
    return get


def _found(metadata: Mapping[str, Any], where: MetadataKey) -> str:
    found: Any = metadata.get(where.key)
    for segment in where.path:
        if not isinstance(found, dict):
            return ""
        found = found.get(segment.key)
    return found if isinstance(found, str) else ""


_ACTIONS: Final[Dict[str, Callable[[Any, Formats], Action]]] = {
    "source_cluster": _source_cluster,
    "destination_cluster": _destination_cluster,
    "request_headers": _request_headers,
    "query_parameters": _query_parameters,
    "remote_address": _remote_address,
    "masked_remote_address": _masked_remote_address,
    "generic_key": _generic_key,
    "header_value_match": _header_value_match,
    "query_parameter_value_match": _query_parameter_value_match,
    "remote_address_match": _remote_address_match,
    "metadata": _metadata,
    "dynamic_metadata": _metadata,
}
