"""The share of requests that a filter is meant for."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from proxy_core.config.model.core import FractionalPercent, RuntimeFractionalPercent
from proxy_core.extensions.http.chance import chance
from proxy_core.server.runtime import Runtime


def asked(share: Optional[RuntimeFractionalPercent], unset: bool = False, runtime: Any = None, times: int = 1000) -> int:
    values = SimpleNamespace(get=(runtime or {}).get) if runtime is not None else Runtime(None)
    context: Any = SimpleNamespace(runtime=values, random=random.Random(1))
    is_on = chance(share, context, unset)
    return sum(is_on() for _ in range(times))


def share(numerator: int, denominator: str = "HUNDRED", key: str = "") -> RuntimeFractionalPercent:
    return RuntimeFractionalPercent(FractionalPercent(numerator, denominator), key)


def test_where_nothing_is_configured_the_filter_says_what_that_means() -> None:
    assert asked(None, unset=True) == 1000 and asked(None, unset=False) == 0


@pytest.mark.parametrize("numerator, denominator, low, high", [
    (0, "HUNDRED", 0, 0), (100, "HUNDRED", 1000, 1000), (200, "HUNDRED", 1000, 1000), (50, "HUNDRED", 400, 600),
    (100, "TEN_THOUSAND", 1, 30), (10_000, "TEN_THOUSAND", 1000, 1000), (100_000, "MILLION", 60, 140),
])
def test_a_share_is_met_about(numerator: int, denominator: str, low: int, high: int) -> None:
    assert low <= asked(share(numerator, denominator)) <= high


def test_the_runtime_overrides_it_each_time() -> None:
    runtime = {"k": 100}
    assert asked(share(0, key="k"), runtime=runtime) == 1000
    assert asked(share(100, key="k"), runtime={"k": 0}) == 0
    assert asked(share(100, key="k"), runtime={}) == 1000
    assert asked(share(0, key="k"), runtime={"k": {"numerator": 1_000_000, "denominator": "MILLION"}}) == 1000
