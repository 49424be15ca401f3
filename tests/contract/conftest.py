"""The contract suite runs each test against a scripted socket and against real ones."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.support.rig import Rig

NewRig = Callable[..., Rig]


@pytest.fixture(params=["scripted", "socketpair", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    """What the connection under test stands on."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def new_rig(kind: str) -> Iterator[NewRig]:
    """Makes rigs of this kind and gives them back."""
    rigs: List[Rig] = []

    def make(**settings: Any) -> Rig:
        rigs.append(Rig(kind, **settings))
        return rigs[-1]
    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(new_rig: NewRig) -> Rig:
    """A rig with the defaults."""
    return new_rig()
