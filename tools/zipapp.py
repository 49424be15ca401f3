#!/usr/bin/env python3
"""Build proxy_core.pyz: the whole program in one file that Python runs as it is.

    python3 tools/zipapp.py -o proxy_core.pyz && python3 proxy_core.pyz demo --once

The result is reproducible: the same sources give the same bytes, on any machine and at any time. So entries
are sorted, carry one fixed time and mode, and are stored, not deflated (deflate's output depends on the zlib
version). The standard library's own `zipapp` keeps file times and directory order, which is why it is not
used here.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "proxy_core"
SHEBANG = b"#!/usr/bin/env python3\n"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time that the zip format can hold
DATA_SUFFIXES = (".py", ".json", ".typed", ".css", ".html", ".js")

# runpy does as `python -m proxy_core` does, and leaves sys.argv[0] the name of the file.
MAIN = b"""import runpy

runpy.run_module("proxy_core", run_name="__main__")
"""


def sources(root: Path) -> Iterator[Tuple[str, bytes]]:
    """Yields (name in the archive, content) of every file of the package, sorted by name.

    Taken are modules, the examples' JSON, the parts of the admin's page and the typing marker; caches and editors' files are left out.
    """
    files = (path for path in (root / PACKAGE).rglob("*") if path.suffix in DATA_SUFFIXES and path.is_file())
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        yield name, path.read_bytes()


def archive(entries: Iterator[Tuple[str, bytes]]) -> bytes:
    """Returns the bytes of the runnable archive that holds `entries` and starts the program."""
    packed = io.BytesIO()
    packed.write(SHEBANG)  # zipfile counts its offsets from the start, with this line
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for name, content in [("__main__.py", MAIN), *entries]:
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.create_system = 3  # Unix, whatever this runs on
            entry.external_attr = 0o100644 << 16
            target.writestr(entry, content)
    return packed.getvalue()


def write_executable(path: Path, content: bytes) -> None:
    """Writes the file beside its place and renames it, so that a half-written one is never run."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    unfinished.chmod(0o755)
    os.replace(unfinished, path)


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description="Build proxy_core as a single runnable file.")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("proxy_core.pyz"), help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    content = archive(sources(ROOT))
    write_executable(options.output, content)
    print(f"{options.output}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
