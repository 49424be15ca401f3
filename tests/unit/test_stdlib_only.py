"""The package runs on a bare interpreter: nothing outside the standard library is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

import proxy_core

PACKAGE = Path(proxy_core.__file__).parent

# Imports everything, one module after another, with no site-packages and no environment, and says what came along.
PROGRAM = """
import importlib, sys
sys.path.insert(0, {checkout!r})
before = set(sys.modules)
for name in {modules!r}:
    importlib.import_module(name)
for name in sorted(set(sys.modules) - before):
    print(name.partition(".")[0])
"""


def module_names() -> List[str]:
    names = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] != "__main__" and "examples" not in parts:
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def test_every_module_can_be_imported_with_nothing_but_the_standard_library() -> None:
    program = PROGRAM.format(checkout=str(PACKAGE.parent), modules=module_names())
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True, timeout=120,
    )
    assert run.returncode == 0, run.stderr
    if sys.version_info >= (3, 10):
        loaded = set(run.stdout.split()) - {"proxy_core"}
        assert {name for name in loaded if name not in sys.stdlib_module_names} == set()


def imported_roots(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names is new in 3.10")
def test_no_import_hidden_in_a_function_leaves_the_standard_library() -> None:
    found = {
        f"{file.relative_to(PACKAGE)}: {root}"
        for file in PACKAGE.rglob("*.py")
        for root in imported_roots(ast.parse(file.read_text(encoding="utf-8")))
        if root not in sys.stdlib_module_names and "examples" not in file.parts  # those are files of a user
    }
    assert found == {"testing/pytest_plugin.py: pytest"}  # by a hook of pytest's, which has imported itself by then
