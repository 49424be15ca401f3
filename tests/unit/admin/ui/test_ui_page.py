"""The page as a document: one piece, small, nothing from outside, and a policy that fits it exactly."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

import proxy_core
from proxy_core.admin.ui import page
from tests.unit.admin.admin_kit import AdminRig
from tools import zipapp

MOST_BYTES = 100_000
PACKAGE = Path(proxy_core.__file__).parent
PRINT = "from {0}admin.ui.page import build; made = build(); print(made.policy, len(made.body))"


def inside(tag: str, document: str) -> List[str]:
    return re.findall(rf"<{tag}>(.*?)</{tag}>", document, re.S)


def test_it_is_one_document_below_the_limit_with_every_file_of_its_directory_in_it() -> None:
    made = page.build()
    assert len(made.body) < MOST_BYTES
    document = made.body.decode()
    folder = Path(page.__file__).parent
    files = [file for file in folder.iterdir() if file.suffix in (".css", ".js")]
    assert len(files) == len(page.STYLES) + len(page.SCRIPTS)
    assert all(file.read_text() in document for file in files)
    assert page.MARK % "styles" not in document and page.MARK % "scripts" not in document
    assert len(inside("style", document)) == 1 and len(inside("script", document)) == 1


def test_it_refers_to_nothing_outside() -> None:
    document = page.build().body.decode()
    addresses = set(re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"(?m)^\s*//.*$|; // .*$", "", document)))
    assert addresses <= {"http://www.w3.org"}  # the name of SVG, which nobody fetches
    assert not re.search(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=\"(?!data:)", document)
    assert "@import" not in document and not re.search(r"url\((?!data:)", document)


def test_what_comes_from_the_wire_can_only_become_text() -> None:
    script, = inside("script", page.build().body.decode())
    for markup in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setHTML"):
        assert markup not in script


def test_the_policy_allows_exactly_this_script_and_this_style() -> None:
    made = page.build()
    policy = dict(rule.strip().partition(" ")[::2] for rule in made.policy.split(";"))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        content, = inside(tag, made.body.decode())
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[rule] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"


def test_it_is_served_with_its_policy_and_listed_in_the_help(rig: AdminRig) -> None:
    reply = rig.ask("/ui")
    assert reply.status == 200 and reply.content_type.startswith("text/html") and reply.body == page.build().body
    assert dict(reply.headers)["content-security-policy"] == page.build().policy
    client = rig.client()
    client.send(b"GET /ui HTTP/1.1\r\nHost: localhost\r\n\r\n")
    rig.turn(12)
    assert f"\r\ncontent-security-policy: {page.build().policy}\r\n".encode() in client.got
    assert "  /ui: " in rig.text("/help") and "  /ui/events: " in rig.text("/help")


@pytest.mark.parametrize("way", ["zip file", "vendored"])
def test_it_is_the_same_from_a_zip_file_and_inside_another_package(tmp_path: Path, way: str) -> None:
    if way == "zip file":
        path, package = tmp_path / "one.pyz", "proxy_core."
        assert zipapp.main(["-o", str(path)]) == 0
    else:
        path, package = tmp_path, "outer.inner."
        shutil.copytree(PACKAGE, tmp_path / "outer" / "inner", ignore=shutil.ignore_patterns("__pycache__"))
        (tmp_path / "outer" / "__init__.py").touch()
    script = f"import sys; sys.path.insert(0, {str(path)!r}); {PRINT.format(package)}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    made = page.build()
    assert done.stdout.decode().strip() == f"{made.policy} {len(made.body)}"
