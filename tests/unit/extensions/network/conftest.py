"""Sessions of tcp_proxy between far ends that the test plays."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.support.peers import RefusedPort
from tests.support.proxied import Proxied

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
def refused() -> Iterator[int]:
    """A port that refuses."""
    port = RefusedPort()
    yield port.port
    port.close()
