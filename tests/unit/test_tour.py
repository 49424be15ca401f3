"""The tour in the package's docstring names modules and functions; each must exist."""

import importlib
import re
from typing import Any, List

import proxy_core
import pytest

NAME = re.compile(r"\b(?:event|network|buffer|filters|extensions|listener|upstream|config|server)(?:\.\w+)+")


def names() -> List[str]:
    found = set(NAME.findall(proxy_core.__doc__ or ""))
    return sorted(name for name in found if not name.endswith(".json"))


def resolve(dotted: str) -> Any:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module("proxy_core." + ".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"no module for {dotted}")


@pytest.mark.parametrize("dotted", names())
def test_every_name_in_the_tour_exists(dotted: str) -> None:
    resolve(dotted)


def test_the_tour_names_the_way_of_a_byte() -> None:
    assert len(names()) >= 20
