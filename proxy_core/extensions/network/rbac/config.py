"""What may be configured about rbac: `envoy.extensions.filters.network.rbac.v3.RBAC`, and what does not work without HTTP."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, Iterator, Optional, Tuple

from ....config.fields import Duration, Enum, Message, Nested, Report, String, Struct, message, optional, plain, walk
from ....config.model.rbac import Rbac
from ...rbac.matchers import refuse_matcher_trees


@message("envoy.extensions.filters.network.rbac.v3.RBAC")
@dataclasses.dataclass(eq=False, repr=False)
class RbacConfig(Message):
    """Lets connections in or turns them away by rules."""

    rules: Optional[Rbac] = optional(Nested(Rbac), help="Unset: everybody is let in. Empty: nobody is.")
    shadow_rules: Optional[Rbac] = optional(Nested(Rbac), help="Only counted, never enforced.")
    stat_prefix: str = plain(String(min_len=1), help="Stats are named <stat_prefix>.rbac.")
    enforcement_type: str = plain(
        Enum(ONE_TIME_ON_FIRST_BYTE=0, CONTINUOUS=1),
        help="CONTINUOUS: decide again whenever bytes arrive. Either way a connection is denied as early as its facts are known.",
    )
    shadow_rules_stat_prefix: str = plain(String(), help="Put before the names of shadow stats and metadata.")
    matcher: Optional[Dict[str, Any]] = optional(Struct(), help="Not supported.")
    shadow_matcher: Optional[Dict[str, Any]] = optional(Struct(), help="Not supported.")
    delay_deny: Optional[float] = optional(
        Duration(), help="A denied connection is closed this much later; default at once."
    )

    def check(self, report: Report) -> None:
        refuse_matcher_trees(self, report)
        for path, text in _http_only(self):
            report(path, f"Found header({text}) rule,not supported by RBAC network filter")


def _http_only(config: RbacConfig) -> Iterator[Tuple[str, str]]:
    """Paths of the rules that ask about a request, with their text. Envoy takes `url_path` here, and it never matches."""
    for path, spec, value in walk(config):
        if spec.oneof in ("rule", "identifier") and spec.name in ("header", "url_path"):
            yield path, json.dumps(value.to_json(), ensure_ascii=False)
