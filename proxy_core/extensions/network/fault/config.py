"""The messages of the fault filter: its configuration, and a change of it at run time. The toxics are in `toxic`."""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Optional

from ....config.fields import Bool, Message, Nested, Report, String, UInt64, message, optional, plain, repeated
from .toxic import DOWNSTREAM, ToxicConfig, ToxicUpdate


@message("proxy_core.filters.network.fault.v1.Fault")
@dataclasses.dataclass(eq=False, repr=False)
class Fault(Message):
    """Faults on purpose, with Toxiproxy's toxics. Not in Envoy."""

    name: str = plain(String(min_len=1), help="What POST /faults calls it.")
    enabled: Optional[bool] = optional(Bool(), help="false = the service is down: connections are reset; default true.")
    seed: int = plain(UInt64(), help="What everything random is drawn from; the same seed gives the same draws.")
    toxics: List[ToxicConfig] = repeated(Nested(ToxicConfig), help="What is in force from the first connection on.")

    def check(self, report: Report) -> None:
        """Toxics are told apart by name."""
        seen: Dict[str, int] = {}
        for index, toxic in enumerate(self.toxics):
            name = toxic.name or f"{toxic.type}_{toxic.stream or DOWNSTREAM}"
            if seen.setdefault(name, index) != index:
                report(f"toxics[{index}].name", f"`toxics[{seen[name]}]` is named '{name}' as well")


@message("proxy_core.filters.network.fault.v1.Change")
@dataclasses.dataclass(eq=False, repr=False)
class Change(Message):
    """A change by POST /faults. Its parts are done in the order of these fields, all of them or none."""

    name: str = plain(String(), help="Of the fault filters to change; all if it is not given.")
    reset: bool = plain(Bool(), help="Remove all toxics, enable, and number connections from 0 again.")
    remove: List[str] = repeated(String(min_len=1), help="Names of toxics.")
    update: List[ToxicUpdate] = repeated(Nested(ToxicUpdate))
    add: List[ToxicConfig] = repeated(Nested(ToxicConfig))
    enabled: Optional[bool] = optional(Bool(), help="false = the service is down.")
    seed: Optional[int] = optional(UInt64(), help="A new seed; connections are numbered from 0 again.")
