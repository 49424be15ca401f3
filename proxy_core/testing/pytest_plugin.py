"""A pytest fixture: in a conftest.py, `pytest_plugins = ["proxy_core.testing.pytest_plugin"]`, then

    def test_what_is_sent_comes_back(proxy_core_proxy):
        proxy = proxy_core_proxy(ECHO)

Each call starts one more `Proxy`; all of them end, and are checked, after the test. The rest of the kit needs no pytest, so
this module imports it only when pytest has loaded it.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

from .proxy import Proxy

NewProxy = Callable[..., Proxy]


def _proxies() -> Iterator[NewProxy]:
    """Makes proxies that run until the end of the test. Arguments: those of `proxy_core.testing.Proxy`."""
    with contextlib.ExitStack() as running:
        yield lambda config, **options: running.enter_context(Proxy(config, **options))


def pytest_configure(config: Any) -> None:
    """pytest's hook: register the fixture."""
    import pytest

    class Fixtures:
        """What pytest finds."""

        proxy_core_proxy = staticmethod(pytest.fixture(name="proxy_core_proxy")(_proxies))

    config.pluginmanager.register(Fixtures(), "proxy_core fixtures")
