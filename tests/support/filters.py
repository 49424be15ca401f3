"""Filters built from their extensions as a filter chain does it, on one connection whose far end the test plays."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

from proxy_core.filters.registry import NetworkExtension
from proxy_core.filters.singletons import Singletons
from proxy_core.listener.filter_chain import Assembly
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from tests.support.rig import Rig


class Switches:
    """The runtime, as feature flags ask it."""

    def __init__(self, **values: bool) -> None:
        self.values: Dict[str, bool] = values

    def boolean(self, key: str, default: bool) -> bool:
        return self.values.get(key, default)


class FilterRig(Rig):
    """A `Rig` that is brought up by `start`, after `use` and `add` have filled its chains."""

    def __init__(self, kind: str = "scripted", half_close: bool = True, **settings: Any) -> None:
        super().__init__(kind, filters=[], half_close=half_close, established=False, **settings)
        self.switches = Switches()
        self.stats = StatsStore(self.clock)
        self.context: Any = factory_context(self.reactor, self.stats, self.switches)
        self.assembly: Any = Assembly(self.connection)

    def use(self, extension: NetworkExtension, **fields: Any) -> FilterRig:
        """Append a filter of this kind; fields: of its configuration message."""
        extension.build(extension.config(**fields), self.context)(self.assembly)
        return self

    def add(self, *filters: Any) -> FilterRig:
        """Append read filters of the test's own."""
        for one in filters:
            self.assembly.add_read_filter(one, getattr(one, "name", "test"))
        return self

    def start(self) -> FilterRig:
        """As a listener does with an accepted socket."""
        self.establish()
        return self

    def value(self, name: str) -> int:
        """A stat by its full name."""
        found: Any = self.stats.find(name)
        assert found is not None, f"there is no stat {name}"
        return int(found.value)

    def wait(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass in small steps, turning the reactor at each."""
        end = self.clock.now + seconds
        while self.clock.now < end - 1e-9:
            self.advance(step)
            self.turn()


def factory_context(
    reactor: Any, stats: StatsStore, runtime: Any = None, path: str = "f", singletons: Optional[Singletons] = None
) -> Any:
    """What a filter's `build` is given, as far as filters without clusters and logs look at it."""
    return SimpleNamespace(
        reactor=reactor, stats=stats, runtime=runtime or Switches(), path=path, random=random.Random(1),
        singletons=singletons or Singletons(),
    )


def still_reactor() -> SimulatedClock:
    """A clock that is enough of a reactor for a filter that only asks for the time."""
    return SimulatedClock()


def facts(rig: Rig) -> List[str]:
    """What an access log would say of a refusal: local close reason and flags."""
    return [rig.connection.local_close_details, *rig.connection.info.response_flags]
