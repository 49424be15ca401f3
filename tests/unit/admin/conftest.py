from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from tests.unit.admin.admin_kit import AdminRig
from tests.unit.admin.proxied_kit import ProxiedRig

NewProxyRig = Callable[..., ProxiedRig]


@pytest.fixture
def rig() -> Iterator[AdminRig]:
    made = AdminRig()
    yield made
    made.close()


@pytest.fixture
def new_proxy() -> Iterator[NewProxyRig]:
    """Makes servers that proxy; see `ProxiedRig` for the arguments."""
    made: List[ProxiedRig] = []

    def make(*args: Any, **fields: Any) -> ProxiedRig:
        made.append(ProxiedRig(*args, **fields))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def proxy(new_proxy: NewProxyRig) -> ProxiedRig:
    return new_proxy()
