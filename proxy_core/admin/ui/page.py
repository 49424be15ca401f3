"""GET /ui: the page, one document without anything from outside.

It is kept as the files beside this one and joined whenever it is asked for. The policy that the browser is given
allows exactly these scripts and styles, by their hashes, and connections to nobody but us: whatever a name on the
wire contains, it stays text.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from typing import Final, Iterable, NamedTuple, Tuple

from ..api import HTML, Request, Response
from ..host import AdminHost

STYLES: Final = ("page.css", "map.css", "rows.css", "detail.css")
SCRIPTS: Final = ("words.js", "shapes.js", "map.js", "rows.js", "detail.js", "main.js")
MARK: Final = "<!-- %s -->"


class Page(NamedTuple):
    """The document and the value of its Content-Security-Policy."""

    body: bytes
    policy: str


def page(host: AdminHost, request: Request) -> Response:
    """GET /ui"""
    made = build()
    return Response(200, made.body, HTML, headers=(
        ("content-security-policy", made.policy), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY"),
    ))


def build() -> Page:
    """Join the files."""
    styles, scripts = _join(STYLES), _script(SCRIPTS)
    document = read("page.html")
    for name, tag, content in (("styles", "style", styles), ("scripts", "script", scripts)):
        document = document.replace(MARK % name, f"<{tag}>{content}</{tag}>")
    policy = (
        f"default-src 'none'; script-src {_source(scripts)}; style-src {_source(styles)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(document.encode("utf-8"), policy)


def read(name: str) -> str:
    """A file of this directory, also when the package is in a zip file."""
    data = pkgutil.get_data(__name__, name)
    assert data is not None
    return data.decode("utf-8")


def _join(names: Iterable[str]) -> str:
    return "\n" + "\n".join(read(name) for name in names)


def _script(names: Tuple[str, ...]) -> str:
    """All scripts in one scope of their own, so that they see each other and nobody else does."""
    return f"\n(() => {{\n\"use strict\";\n{_join(names)}\n}})();\n"


def _source(content: str) -> str:
    """How a policy names an inline script or style (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"
