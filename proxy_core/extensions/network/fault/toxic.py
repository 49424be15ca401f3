"""A toxic as it is configured: Toxiproxy's fields, checked, with the attributes of its type."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, NamedTuple, Optional, Tuple

from ....config.context import Context, did_you_mean
from ....config.decode import decode_into
from ....config.fields import Double, Message, Report, String, Struct, TypeRegistry, message, optional, plain
from ....config.nested import Nested
from . import bandwidth, latency, limit_data, reset_peer, slicer, slow_close, timeout
from .stage import ToxicKind

UPSTREAM: Final = "upstream"
DOWNSTREAM: Final = "downstream"

KINDS: Final[Dict[str, ToxicKind]] = {
    module.KIND.name: module.KIND
    for module in (latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data)
}


@message("proxy_core.filters.network.fault.v1.Toxic")
@dataclasses.dataclass(eq=False, repr=False)
class ToxicConfig(Message):
    """One fault of one direction."""

    name: str = plain(String(), help="What it is changed and removed by; default <type>_<stream>.")
    type: str = plain(String(min_len=1), help=f"One of {', '.join(KINDS)}.")
    stream: str = plain(String(), help="downstream (default): from the server to the client; upstream: the other way.")
    toxicity: Optional[float] = optional(Double(gte=0, lte=1), help="The share of connections that it affects; default 1.")
    attributes: Optional[Dict[str, Any]] = optional(Struct(), help="The attributes of its type, as Toxiproxy's.")

    def check(self, report: Report) -> None:
        """The type exists, and the attributes are its own."""
        if self.stream not in ("", UPSTREAM, DOWNSTREAM):
            report("stream", f"expected {UPSTREAM} or {DOWNSTREAM}", did_you_mean(self.stream, (UPSTREAM, DOWNSTREAM)))
        kind = KINDS.get(self.type)
        if kind is None:
            hint = 'write "enabled": false' if self.type == "down" else did_you_mean(self.type, KINDS)
            report("type", f"there is no toxic '{self.type}'; there are {', '.join(KINDS)}", hint)
            return
        context = Context(TypeRegistry())
        decode_into(kind.attributes, self.attributes or {}, "attributes", context)
        for problem in context.problems:
            report(problem.path, problem.message, problem.hint, uses=("type",))


@message("proxy_core.filters.network.fault.v1.ToxicUpdate")
@dataclasses.dataclass(eq=False, repr=False)
class ToxicUpdate(Message):
    """New values for a toxic; what is not given stays."""

    name: str = plain(String(min_len=1))
    toxicity: Optional[float] = optional(Double(gte=0, lte=1))
    attributes: Optional[Dict[str, Any]] = optional(Struct())


class Toxic(NamedTuple):
    """A toxic that can be applied. attributes: a message of `kind.attributes`."""

    name: str
    kind: ToxicKind
    stream: str
    toxicity: float
    attributes: Message

    def to_json(self) -> Dict[str, Any]:
        """As Toxiproxy prints one, with every attribute."""
        values = {name: getattr(self.attributes, name) for name in self.attributes.DESCRIPTOR.fields}
        return {
            "name": self.name, "type": self.kind.name, "stream": self.stream, "toxicity": self.toxicity,
            "attributes": values,
        }


def toxic_of(config: ToxicConfig) -> Toxic:
    """The toxic of a configuration that was checked."""
    kind = KINDS[config.type]
    stream = config.stream or DOWNSTREAM
    attributes = decode_into(kind.attributes, config.attributes or {}, "", Context(TypeRegistry()))
    toxicity = 1.0 if config.toxicity is None else config.toxicity
    return Toxic(config.name or f"{config.type}_{stream}", kind, stream, toxicity, attributes)


def updated(toxic: Toxic, update: ToxicUpdate) -> ToxicConfig:
    """The configuration of a toxic after an update; not checked."""
    return ToxicConfig(
        toxic.name, toxic.kind.name, toxic.stream, toxic.toxicity if update.toxicity is None else update.toxicity,
        {**toxic.attributes.to_json(), **(update.attributes or {})},
    )
