"""Tests that wait for the wall clock are slow and flaky: no unit or contract test may sleep, and no engine code at all."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

ROOT = Path(__file__).parents[2]
# Calls that wait for real time. `run` and `join` are not here: they wait for a process or thread, not for a time.
WAITING = {("time", "sleep"), ("asyncio", "sleep")}


def calls(tree: ast.AST) -> Iterator[Tuple[str, str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            yield node.func.value.id, node.func.attr, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            for name in node.names:
                yield node.module, name.name, node.lineno


def waits(folder: str) -> List[str]:
    found = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        for module, name, line in calls(ast.parse(file.read_text(encoding="utf-8"))):
            if (module, name) in WAITING:
                found.append(f"{file.relative_to(ROOT)}:{line} {module}.{name}")
    return found


@pytest.mark.parametrize("folder", ["proxy_core", "tests/unit", "tests/contract"])
def test_nothing_sleeps(folder: str) -> None:
    assert waits(folder) == []


@pytest.mark.parametrize("folder", ["tests/unit", "tests/contract"])
def test_no_test_reads_the_wall_clock(folder: str) -> None:
    """An assertion on measured time fails on a busy machine."""
    clocks = {("time", name) for name in ("time", "monotonic", "perf_counter", "process_time")}
    found = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        for module, name, line in calls(ast.parse(file.read_text(encoding="utf-8"))):
            if (module, name) in clocks:
                found.append(f"{file.relative_to(ROOT)}:{line} {module}.{name}")
    assert found == []
