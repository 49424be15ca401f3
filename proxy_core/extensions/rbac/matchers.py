"""What a `matcher` permission may name, and the check of those that name something else."""

from __future__ import annotations

import dataclasses
from typing import Final, List, Optional

from ...config.fields import Message, Nested, Report, message, optional, walk
from ...config.model.address import CidrRange
from ...config.model.core import Int64Range, TypedExtensionConfig
from ...errors import Problem


@message("envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher")
@dataclasses.dataclass(eq=False, repr=False)
class UpstreamIpPortMatcher(Message):
    """A permission by the upstream's address, where an earlier filter has chosen it already."""

    upstream_ip: Optional[CidrRange] = optional(Nested(CidrRange))
    upstream_port_range: Optional[Int64Range] = optional(Nested(Int64Range), help="Both ends are included.")

    def check(self, report: Report) -> None:
        if self.upstream_ip is None and self.upstream_port_range is None:
            text = "Invalid UpstreamIpPortMatcher configuration - missing `upstream_ip` and/or `upstream_port_range`"
            report("", text)


MATCHERS: Final = (UpstreamIpPortMatcher,)


def unknown_matchers(config: Message, path: str) -> List[Problem]:
    """The `matcher` permissions anywhere in the message at `path` that name none of these."""
    problems: List[Problem] = []
    for where, spec, value in walk(config):
        if isinstance(value, TypedExtensionConfig) and spec.name == "matcher":
            assert value.typed_config is not None
            if not isinstance(value.typed_config.message, MATCHERS):
                type_name = value.typed_config.type_name
                text = f"Didn't find a registered implementation for '{value.name}' with type URL: '{type_name}'"
                problems.append(Problem(f"{path}.{where}.typed_config", text))
    return problems


def refuse_matcher_trees(config: Message, report: Report) -> None:
    """For `check`: report `matcher` and `shadow_matcher`. They are declared, and not merely listed as unsupported: an empty one
    denies everybody, so it may not count as unset."""
    for name in ("matcher", "shadow_matcher"):
        if getattr(config, name) is not None:
            report(name, f"`{name}` is a field of Envoy's RBAC that proxy_core does not support yet")
