"""One connection with a fault filter, in memory."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.extensions.network.fault.config import Fault
from proxy_core.extensions.network.fault.filter import FaultFilter
from proxy_core.extensions.network.fault.point import Point
from proxy_core.testing import ChainHarness

Json = Dict[str, Any]
UP = "upstream"
DOWN = "downstream"


class Errors:
    """A reactor, as far as a point needs one."""

    def __init__(self) -> None:
        self.contained: List[Exception] = []

    def contain(self, error: Exception, owner: Any) -> None:
        self.contained.append(error)


def toxic(type: str, stream: str = DOWN, name: str = "", toxicity: float = 1.0, **attributes: int) -> Json:
    """A toxic as JSON."""
    return {"type": type, "stream": stream, "name": name, "toxicity": toxicity, "attributes": attributes}


def point(*toxics: Json, **fields: Any) -> Point:
    """A configured filter."""
    config = decode(Fault, {"name": "f", "toxics": list(toxics), **fields}, TypeRegistry())
    return Point(config, Errors())


def change(faults: Point, *changes: Json) -> None:
    """As POST /faults."""
    faults.prepare([(f"[{index}]", one) for index, one in enumerate(changes)]).put_in_force()


class Faulty(ChainHarness):
    """A connection of `faults`. around: (filters in front, filters behind)."""

    def __init__(
        self, faults: Point, front: Sequence[Any] = (), behind: Sequence[Any] = (), **options: Any
    ) -> None:
        self.faults = faults
        super().__init__([*front, FaultFilter(faults), *behind], **options)

    def change(self, *changes: Json) -> None:
        """As POST /faults, in a turn of this connection's loop."""
        self.act(lambda: change(self.faults, *changes))

    def move(self, stream: str, data: bytes, end_stream: bool = False) -> None:
        """Bytes that go this way."""
        (self.feed if stream == UP else self.write)(data, end_stream)

    def moved(self, stream: str) -> bytes:
        """What came out that way."""
        return self.onward if stream == UP else self.sent

    def ended(self, stream: str) -> bool:
        """Whether the end came out that way."""
        return self.onward_ends == 1 if stream == UP else self.sent_end

    def arrivals_of(self, stream: str) -> List[Any]:
        """(at, data) of everything that came out that way."""
        found: Any = self.arrivals if stream == UP else self.sends
        return [(one.at, one.data) for one in found if one.data]


def faulty(*toxics: Json, seed: int = 0, front: Sequence[Any] = (), behind: Sequence[Any] = (),
           **options: Any) -> Faulty:
    """A connection with these toxics."""
    return Faulty(point(*toxics, seed=seed), front, behind, **options)


def first_time(harness: Faulty, stream: str) -> Optional[float]:
    """When the first byte came out."""
    found = harness.arrivals_of(stream)
    return found[0][0] if found else None
