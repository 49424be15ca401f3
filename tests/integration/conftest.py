"""What several integration tests look at or talk to."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.support.peers import Server
from tests.support.spliced import Splices


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Splices:
    """What goes through the kernel's pipe."""
    return Splices(monkeypatch)


@pytest.fixture
def backend() -> Iterator[Server]:
    """A server on a free port of loopback, turned by the test."""
    server = Server()
    yield server
    server.close()
