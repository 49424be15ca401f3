"""What the splice tests look at."""

from __future__ import annotations

import pytest

from tests.support.spliced import Splices


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Splices:
    """What goes through the kernel's pipe."""
    return Splices(monkeypatch)
