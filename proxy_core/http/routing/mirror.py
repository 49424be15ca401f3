"""`request_mirror_policies`: where copies of a request go. Mirrors `ShadowPolicyImpl`."""

from __future__ import annotations

from typing import Any, Callable, Final, List, Optional

from ...config.model.route_action import RequestMirrorPolicy
from ...errors import Problem
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .context import TableContext
from .formatting import Formats
from .fraction import fraction
from .header_mutation import prepare_mutations
from .hosts import without_port
from .text import wire
from .values import request_value

SUFFIX: Final = "-shadow"

_ONE_OF: Final = "Only one of cluster or cluster_header in request mirror policy can be specified"
_NONE_OF: Final = "Exactly one of cluster or cluster_header in request mirror policy need to be specified"


class PreparedMirror:
    """`route_api.MirrorPolicy`."""

    __slots__ = ("_cluster", "_cluster_header", "_is_on", "_appends", "_host", "_change")

    def __init__(
        self, config: RequestMirrorPolicy, formats: Formats, runtime: Any, path: str, problems: List[Problem]
    ) -> None:
        """path: of the policy; what is wrong with it is added to `problems`."""
        if bool(config.cluster) == bool(config.cluster_header):
            problems.append(Problem(path, _ONE_OF if config.cluster else _NONE_OF))
        self._cluster = config.cluster
        self._cluster_header = wire(config.cluster_header.lower())
        self._is_on = fraction(config.runtime_fraction, runtime)
        self._appends = not config.disable_shadow_host_suffix_append
        self._host = wire(config.host_rewrite_literal)
        where = f"{path}.request_headers_mutations"
        self._change = prepare_mutations(config.request_headers_mutations, formats, where, problems)

    def cluster(self, head: RequestHead) -> str:
        """See `route_api.MirrorPolicy`."""
        return self._cluster or request_value(head, self._cluster_header) or ""

    def is_on(self, random_value: int) -> bool:
        """See `route_api.MirrorPolicy`."""
        return self._is_on is None or self._is_on(random_value)

    def change_head(self, head: RequestHead, info: StreamInfo) -> None:
        """See `route_api.MirrorPolicy`."""
        if self._change is not None:
            self._change(head.headers, info)
        if self._host:
            head.authority = self._host
        elif self._appends and head.authority:
            name = without_port(head.authority)
            head.authority = f"{name}{SUFFIX}{head.authority[len(name):]}"


def mirrors_of(
    configs: List[RequestMirrorPolicy], context: TableContext, has_cluster: Optional[Callable[[str], bool]], path: str,
    problems: List[Problem],
) -> List[PreparedMirror]:
    """The `request_mirror_policies` of the message at `path`. has_cluster: None if clusters need not be there."""
    found = []
    for index, config in enumerate(configs):
        where = f"{path}.request_mirror_policies[{index}]"
        if config.cluster and has_cluster is not None and not has_cluster(config.cluster):
            problems.append(Problem(f"{where}.cluster", f"route: unknown shadow cluster '{config.cluster}'"))
        found.append(PreparedMirror(config, context.formats, context.runtime, where, problems))
    return found
