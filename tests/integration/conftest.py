"""Sessions of tcp_proxy over real sockets, in this process and under simulated time."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.support.proxied import Proxied
from tests.support.spliced import Splices

NewProxied = Callable[..., Proxied]


@pytest.fixture
def proxied() -> Iterator[NewProxied]:
    """Makes `Proxied`s, closes them, and checks that nothing is left counted."""
    made: List[Proxied] = []

    def make(**settings: Any) -> Proxied:
        made.append(Proxied(**settings))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Splices:
    """What goes through the kernel's pipe."""
    return Splices(monkeypatch)
