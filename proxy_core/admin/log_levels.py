"""/logging: show and change the levels of the process log. Mirrors `LogsHandler`.

All changes of one request are made, or none.
"""

from __future__ import annotations

from typing import Dict, Final, List, Tuple

from ..observe.log import component_logger
from ..observe.log_levels import COMPONENTS, LEVELS, level_name
from .api import Request, Response, text
from .host import AdminHost

_USAGE: Final = (
    "usage: /logging?<name>=<level> (change single level)\n"
    "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"
    "usage: /logging?level=<level> (change all levels)\n"
    "usage: /logging?group=<group_name>:<level> (change group of loggers)\n"
)


def logging(host: AdminHost, request: Request) -> Response:
    """POST /logging"""
    try:
        for component, level in _changes(request.query):
            component_logger(component).setLevel(level)
    except ValueError as error:
        levels = "".join(f"{name} " for name in LEVELS)
        return text(f"error: {error}\n\n{_USAGE}levels: {levels}\n{_active()}", 400)
    return text(_active())


def _active() -> str:
    lines = [f"  {name}: {level_name(component_logger(name).level)}\n" for name in COMPONENTS]
    return "active loggers:\n" + "".join(lines) + "\n"


def _changes(query: Dict[str, str]) -> List[Tuple[str, int]]:
    """(component, level number) for each level to set. Raises ValueError with Envoy's words."""
    if not query:
        return []
    if len(query) > 1:
        raise ValueError("invalid number of parameters")
    name, value = next(iter(query.items()))
    if not value:  # a form that was sent without a choice
        return []
    if name == "level":
        level = _level(value)
        return [(component, level) for component in COMPONENTS]
    if name == "group":
        raise ValueError("group parameter requires fine-grain logging to be enabled")
    if name != "paths":
        return [(_component(name), _level(value))]
    return [_pair(item) for item in value.split(",")]


def _pair(item: str) -> Tuple[str, int]:
    component, _, level = item.partition(":")
    if not component or not level:
        raise ValueError("empty logger name or empty logger level")
    number = _level(level)  # Envoy looks at the levels first
    return _component(component), number


def _component(name: str) -> str:
    if name not in COMPONENTS:
        raise ValueError("unknown logger name")
    return name


def _level(name: str) -> int:
    number = LEVELS.get(name)
    if number is None:
        raise ValueError("unknown logger level")
    return number
