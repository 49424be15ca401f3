"""The single-file build: the same sources give the same bytes, and nothing that is needed is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tools import zipapp


def test_building_twice_gives_the_same_bytes_whatever_the_files_times_and_modes_are(tmp_path: Path) -> None:
    package = tmp_path / "proxy_core"
    (package / "examples").mkdir(parents=True)
    for name in ("b.py", "__init__.py", "a.py", "examples/demo.json", "py.typed"):
        (package / name).write_text(f"# {name}\n")
    first = zipapp.archive(zipapp.sources(tmp_path))
    for path in package.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (package / "a.py").chmod(0o600)
    assert zipapp.archive(zipapp.sources(tmp_path)) == first


def test_caches_and_foreign_files_stay_out_and_entries_are_sorted(tmp_path: Path) -> None:
    cache = tmp_path / "proxy_core" / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "a.cpython-39.pyc").write_bytes(b"x")
    for name in ("b.py", "a.py", "a.py~", "notes.txt"):
        (tmp_path / "proxy_core" / name).write_bytes(b"")
    assert [name for name, _ in zipapp.sources(tmp_path)] == ["proxy_core/a.py", "proxy_core/b.py"]


def test_the_command_writes_a_runnable_file_with_every_module_and_example(tmp_path: Path) -> None:
    output = tmp_path / "out.pyz"
    assert zipapp.main(["-o", str(output)]) == 0
    assert os.access(output, os.X_OK)
    assert output.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(output) as built:
        assert built.testzip() is None
        names = set(built.namelist())
    package = zipapp.ROOT / "proxy_core"
    expected = {path.relative_to(zipapp.ROOT).as_posix() for path in package.rglob("*.py")}
    expected |= {path.relative_to(zipapp.ROOT).as_posix() for path in (package / "examples").glob("*.json")}
    assert expected <= names and "__main__.py" in names


def test_the_built_file_runs_alone_and_knows_its_version(tmp_path: Path) -> None:
    output = tmp_path / "out.pyz"
    zipapp.main(["-o", str(output)])
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(output), "--version"], cwd=tmp_path, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.strip()
