"""A few hundred mutated requests for Envoy and for the engine: they differ only where the engine means to be stricter.

Only where ENVOY names Envoy's program. `tools/http_differential.py` goes on for as long as one likes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.http_differential import ENVOY_OPTIONS, FIELDS, Side, compare

pytestmark = pytest.mark.live


def test_envoy_and_the_engine_treat_mutated_requests_alike(tmp_path: Path) -> None:
    program = os.environ.get("ENVOY", "")
    if not program:
        pytest.skip("ENVOY does not name Envoy's program")
    with Side([program, *ENVOY_OPTIONS], tmp_path / "envoy", FIELDS) as envoy:
        with Side([sys.executable, "-m", "proxy_core"], tmp_path / "ours", FIELDS) as ours:
            for seed in range(200):
                difference = compare([envoy, ours], seed)
                assert difference.kind == "none" or difference.ours_is_stricter, f"seed {seed}: {difference}"
            assert ours.violations() == []
