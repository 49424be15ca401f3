"""What is wrong with a configuration, printed: for people on standard error, as JSON on standard output."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

from ..errors import Problem


def problems_text(path: str, problems: Sequence[Problem]) -> str:
    """Envoy's first line, then each problem on a line of its own: path, message, hint."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"error initializing configuration '{path}': {count}"]
    lines += [f"  {one_line(problem)}" for problem in problems]
    return "\n".join(lines) + "\n"


def warnings_text(warnings: Sequence[Problem]) -> str:
    """Each warning on a line of its own, with its line end."""
    return "".join(f"warning: {one_line(problem)}\n" for problem in warnings)


def one_line(problem: Problem) -> str:
    """Nothing that a file holds breaks out of its line, or moves a terminal's cursor."""
    text = str(problem)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def as_json(path: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> str:
    """The same for programs: {"path", "ok", "problems": [{"path", "message", "hint"}], "warnings": [...]}."""
    result = {"path": path, "ok": not problems, "problems": _list(problems), "warnings": _list(warnings)}
    return json.dumps(result, indent=2) + "\n"


def _list(problems: Sequence[Problem]) -> List[Dict[str, Any]]:
    return [{"path": one.path, "message": one.message, "hint": one.hint} for one in problems]
