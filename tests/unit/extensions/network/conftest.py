"""Far ends of sessions that the test plays."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.support.peers import RefusedPort


@pytest.fixture
def refused() -> Iterator[int]:
    """A port that refuses."""
    port = RefusedPort()
    yield port.port
    port.close()
