"""One name that is asked for again and again for as long as a cluster lives."""

from __future__ import annotations

import random
from typing import Callable, Optional

from ...event.reactor import Reactor
from ...event.timers import Timer
from ..resolver import Answer, Query, Resolver
from .dns_settings import DnsSettings, Pace


class Lookup:
    """name: what to ask for. on_answer: takes an answer; False = that it can't be used, so ask again as after
    a failure."""

    def __init__(
        self, name: str, settings: DnsSettings, reactor: Reactor, resolver: Resolver, rng: random.Random,
        on_ask: Callable[[], None], on_answer: Callable[[Answer], bool],
    ) -> None:
        self.name = name
        self._family = settings.family
        self._pace = Pace(settings, rng)
        self._reactor = reactor
        self._resolver = resolver
        self._on_ask = on_ask
        self._on_answer = on_answer
        self._query: Optional[Query] = None
        self._timer: Optional[Timer] = None

    def ask(self) -> None:
        """Ask now, and from then on at the configured pace."""
        self._timer = None
        self._on_ask()
        self._query = self._resolver.resolve(self.name, self._family, self._answered)

    def close(self) -> None:
        """Ask no more; an answer under way is dropped."""
        if self._query is not None:
            self._query.cancel()
            self._query = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _answered(self, answer: Answer) -> None:
        self._query = None
        is_good = self._on_answer(answer)
        delay = self._pace.after_success() if is_good else self._pace.after_failure()
        self._timer = self._reactor.after(delay, self.ask)
