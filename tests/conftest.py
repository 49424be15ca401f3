"""What every test may rely on: nothing is left to chance by the surroundings of the run."""

from __future__ import annotations

import os
from typing import Any, Iterator, List

import pytest

from tests.support.proxied import NewProxied, Proxied

# Service managers and terminals speak to programs through the environment; tests must not hear them.
for _name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FORCE_COLOR"):
    os.environ.pop(_name, None)


def pytest_report_header() -> str:
    engine = os.environ.get("PROXY_CORE_TEST_ENGINE")
    return f"engine of the live tests: {engine or 'proxy_core of this checkout'}"


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
