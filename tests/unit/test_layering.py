"""The package's parts know each other one way only, and every file keeps the size and form of this house.

The table below is the one of the design: which part may import which. Imports are read with `ast`, so one inside a function
counts as well.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

import proxy_core

PACKAGE = Path(proxy_core.__file__).parent
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_COLUMNS = 130

LEAVES = {"buffer", "errors", "hashing", "re2"}
# A part -> the parts or modules of others it may import. A module allows what is below it.
ALLOWED: Dict[str, Set[str]] = {
    "buffer": set(),
    "errors": set(),
    "hashing": set(),
    "event": set(),
    "re2": set(),
    # re2: what a configuration may say as a regular expression, and what is done with it.
    "observe": {"errors", "re2"},
    "config": {"errors", "re2"},
    "filters": LEAVES,
    # observe.reasons: the table of connections keeps a record of those that ended.
    "network": LEAVES | {
        "filters.api", "filters.chain", "event", "observe.stats", "observe.stream_info", "observe.reasons",
    },
    # config.model, config.nested: a route table is prepared from its message, with an Any for each filter; the codec knows none.
    "http": LEAVES | {"filters", "network", "event", "observe", "config.model", "config.nested"},
    "listener": LEAVES | {"network", "filters", "event", "config", "observe"},
    # http: its codec speaks with upstreams, in health checks and in the HTTP pool. It knows nobody above `network` itself.
    "upstream": LEAVES | {"http", "network", "filters", "event", "config", "observe"},
    "extensions": LEAVES | {"http", "upstream", "network", "filters", "config", "observe", "event.timers"},
    "admin": LEAVES | {"listener", "upstream", "http", "observe", "config", "network", "filters", "event"},
    "xds": LEAVES | {"listener", "upstream", "http", "observe", "config", "network", "filters", "event"},
    # A program of its own that speaks HTTP with an admin; it shares the parser of command lines and the wording.
    "client": {"errors", "observe.reasons", "observe.escape", "server.arguments"},
    # client.ask: what a running proxy says of itself is asked of its admin.
    "testing": LEAVES | {
        "http", "network", "filters", "event", "observe", "config", "listener", "upstream", "server", "client.ask",
    },
}
# The composition root and what starts it may import anything.
UNLIMITED = {"server", "cli", "__main__", "__init__"}
# Exceptions, each with its reason. There is none.
EXTRA: Dict[str, Set[str]] = {}


def sources() -> List[Path]:
    """Every module of the package but the examples, which are files of a user."""
    return [file for file in sorted(PACKAGE.rglob("*.py")) if "examples" not in file.parts]


def module_of(file: Path) -> str:
    """"network.sockets" for its file, "network" for the package's `__init__`, "__init__" for the top one."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] or parts if parts[-1] == "__init__" else parts)


SOURCES = sources()
MODULES = {module_of(file) for file in SOURCES}
TREES = {module_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in SOURCES}
FILES = {module_of(file): file for file in SOURCES}


def imports(module: str, eager_only: bool = False) -> Iterator[Tuple[str, int]]:
    """The modules of this package that `module` imports, with the line; "" stands for the package (its version)."""
    tree = TREES[module]
    nodes: List[ast.AST] = list(tree.body) if eager_only else list(ast.walk(tree))
    here = module.split(".") if module != "__init__" else []
    package = here if FILES[module].name == "__init__.py" else here[:-1]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join(base + (node.module.split(".") if node.module else []))
            for name in node.names:
                longer = f"{target}.{name.name}" if target else name.name
                yield longer if longer in MODULES else target, node.lineno


def covers(allowed: Set[str], target: str) -> bool:
    return any(target == one or target.startswith(one + ".") for one in allowed)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_part_may_know(module: str) -> None:
    part = module.split(".")[0]
    if part in UNLIMITED:
        return
    assert part in ALLOWED, f"{part} is not in the table: say what it may import"
    allowed = ALLOWED[part] | {part} | EXTRA.get(module, set())
    wrong = [f"line {line}: {target}" for target, line in imports(module) if target and not covers(allowed, target)]
    assert wrong == []


def test_every_exception_of_the_table_is_still_needed() -> None:
    for module, extra in EXTRA.items():
        targets = {target for target, _ in imports(module)}
        assert all(any(covers({one}, target) for target in targets) for one in extra), module


def test_there_is_no_import_cycle() -> None:
    graph = {module: {target for target, _ in imports(module, eager_only=True) if target} for module in MODULES}
    # Importing a.b imports a as well, but a package's __init__ that imports its own modules is no cycle of theirs.
    done: Set[str] = set()
    path: List[str] = []

    def visit(module: str) -> None:
        if module in path:
            raise AssertionError(" -> ".join([*path[path.index(module):], module]))
        if module in done:
            return
        path.append(module)
        for target in sorted(graph.get(module, ())):
            visit(target)
        path.pop()
        done.add(module)
    for module in sorted(MODULES):
        visit(module)


def test_imports_are_relative_and_none_is_only_for_the_type_checker() -> None:
    """Relative: the package can be put into another one. TYPE_CHECKING hides a cycle."""
    found = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            absolute = any(name.split(".")[0] == PACKAGE.name for name in names)
            checking = isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
            if absolute or checking or isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING":
                found.append(f"{module}:{node.lineno}")
    assert found == []


def test_every_module_says_what_it_is_and_keeps_its_size() -> None:
    found = []
    for module, tree in TREES.items():
        lines = FILES[module].read_text(encoding="utf-8").splitlines()
        if not ast.get_docstring(tree):
            found.append(f"{module} has no docstring")
        if len(lines) > MOST_LINES:
            found.append(f"{module} has {len(lines)} lines")
        found += [f"{module}:{number} is too long" for number, line in enumerate(lines, 1) if len(line) > MOST_COLUMNS]
    assert found == []


def test_every_function_fits_a_screen() -> None:
    found = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_LINES_OF_A_FUNCTION:
                    found.append(f"{module}:{node.lineno} {node.name} has {length} lines")
    assert found == []


def test_annotations_are_never_evaluated() -> None:
    """Python 3.9 can't evaluate `X | Y`."""
    found = []
    for module, tree in TREES.items():
        annotated = any(isinstance(node, (ast.AnnAssign, ast.FunctionDef)) for node in ast.walk(tree))
        if annotated and not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
            found.append(module)
    assert found == []


def test_no_module_keeps_state_that_changes() -> None:
    """A list, dict or set at module level must be a constant, by its name."""
    found = []
    for module, tree in TREES.items():
        for node in tree.body:
            targets: List[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            if isinstance(getattr(node, "value", None), (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                found += [f"{module}: {name}" for name in names if not name.strip("_").isupper() and name != "__all__"]
    assert found == []
