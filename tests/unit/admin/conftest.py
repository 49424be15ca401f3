from __future__ import annotations

from typing import Iterator

import pytest

from tests.unit.admin.admin_kit import AdminRig


@pytest.fixture
def rig() -> Iterator[AdminRig]:
    made = AdminRig()
    yield made
    made.close()
