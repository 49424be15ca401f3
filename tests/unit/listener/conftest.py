"""What several listener tests start."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.support.engine import Json
from tests.support.updates import Updated


@pytest.fixture
def new() -> Iterator[Callable[..., Updated]]:
    """Makes engines whose listeners change; each must end without an error."""
    made: List[Updated] = []

    def make(*static: Json, start: bool = True, **settings: Any) -> Updated:
        made.append(Updated(*static, **settings))
        if start:
            made[-1].start()
        return made[-1]
    yield make
    for one in made:
        one.close()
        assert one.errors == []
