"""The two HTML pages: the home page with a form for every endpoint, and /stats?format=html. No script,
nothing external.
"""

from __future__ import annotations

from html import escape
from typing import Iterable

from .api import HTML, Param, Request, Response, Route, text

_STYLE = """
body { font-family: sans-serif; margin: 1em 2em; color-scheme: light dark; }
td { padding: 4px 8px; vertical-align: top; }
tr.command td { border-top: 1px solid #8888; }
form { margin: 0; } pre { font-size: 13px; }
"""


def _page(title: str, body: str, head: str = "") -> Response:
    return text(
        f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{title}</title>\n{head}"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        content_type=HTML,
    )


def home_page(routes: Iterable[Route]) -> Response:
    """GET /"""
    rows = "".join(_rows(route) for route in routes if not route.path.endswith("/"))
    return _page("Admin", f"<table>\n<tr><th>Command</th><th>Description</th></tr>\n{rows}</table>\n")


def _rows(route: Route) -> str:
    name = escape(route.path[1:], quote=True)
    if not route.params and not route.mutates:
        command = f"<a href='{name}'>{name}</a>"
    else:
        method = "post" if route.mutates else "get"
        command = f"<form action='{name}' method='{method}' id='{name}'><button>{name}</button></form>"
    lines = [f"<tr class='command'><td>{command}</td><td>{escape(route.help)}</td></tr>\n"]
    for param in route.params:
        lines.append(f"<tr><td align='right'>{_input(name, param)}</td><td>{escape(param.help)}</td></tr>\n")
    return "".join(lines)


def _input(form: str, param: Param) -> str:
    name = escape(param.name, quote=True)
    if param.choices is None:
        return f"<input type='checkbox' name='{name}' form='{form}'>"
    if not param.choices:
        return f"<input type='text' name='{name}' form='{form}' placeholder='{name}'>"
    options = "".join(f"<option value='{choice}'>{choice}</option>" for choice in param.choices)
    return f"<select name='{name}' form='{form}'>{options}</select>"


def stats_page(request: Request, body: str, live: bool) -> Response:
    """The text of /stats in a page. live: the browser asks again every 5 seconds, as often as histograms are
    merged.
    """
    fields = ["<input type='hidden' name='format' value='html'>"]
    for name in ("filter", "type"):
        value = escape(request.query.get(name, ""), quote=True)
        fields.append(f"<label>{name} <input name='{name}' value='{value}'></label>")
    form = f"<form method='get'>{' '.join(fields)} <button>show</button></form>"
    refresh = "<meta http-equiv='refresh' content='5'>\n" if live else ""
    return _page("Stats", f"{form}\n<pre>{escape(body)}</pre>\n", refresh)
