"""/faults: the fault filters of the active listeners, and changes of them while connections live. Ours; Envoy has none.

    GET /faults      each filter: its name, listener, seed, toxics, and on how many connections it is in force
    POST /faults     a change, or a list of changes that are made all or not at all; answers as GET

A change is a JSON object: `name` of the filters that it is for (without it all of them), and what is to be done:

    {"name": "redis", "add": [{"type": "latency", "attributes": {"latency": 1000}}]}
    {"name": "redis", "update": [{"name": "latency_downstream", "attributes": {"latency": 10}}]}
    {"name": "redis", "remove": ["latency_downstream"]}
    {"name": "redis", "enabled": false}      the service is down: connections are reset, new ones refused
    {"name": "redis", "seed": 7}             a new seed, and connections are numbered from 0 again
    {"reset": true}                          everything enabled, no toxics

While a service is down its listener refuses, and keeps its address; but if it has a filter chain that is not down, it accepts,
and the filter resets.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, NamedTuple, Tuple

from ..config.context import did_you_mean, found, join
from ..config.json_text import parse
from ..errors import ConfigError, Problem
from ..filters.fault_point import FaultPoint, PreparedChange, is_down, points_of
from ..listener.binding import BindError
from ..listener.lists import Entry
from ..observe.log import component_logger
from .api import Request, Response, json_reply, text
from .host import AdminHost

SOURCE: Final = "the body"

_log = component_logger("admin")


class _Place(NamedTuple):
    """A fault filter in service."""

    point: FaultPoint
    listener: str


def faults(host: AdminHost, request: Request) -> Response:
    """GET, or POST with a change. 400 with every problem, 409 if an address can't be listened on again: nothing has changed
    then."""
    if request.method == "POST":
        try:
            _change(host, request.body)
        except ConfigError as error:
            return text("".join(f"{problem}\n" for problem in error.problems), 400)
        except BindError as error:
            return text(f"{error}\n", 409)
    elif request.method not in ("GET", "HEAD"):
        return text(f"Method {request.method} not allowed, GET or POST required.\n", 405)
    places = _places(host)
    return json_reply({"faults": [{**place.point.to_json(), "listener": place.listener} for place in places]})


def _places(host: AdminHost) -> List[_Place]:
    return [
        _Place(point, entry.name)
        for entry in host.listeners.lists.active.values() for chain in entry.chains for point in points_of(chain.factories)
    ]


def _change(host: AdminHost, body: bytes) -> None:
    """Prepare everything, then do it. Raises ConfigError, BindError."""
    points = [place.point for place in _places(host)]
    prepared = _prepared(points, _changes(body))
    _obey(host, prepared)
    for one in prepared.values():
        one.put_in_force()
    _log.info("faults changed: %s", ", ".join(sorted({point.name for point in prepared})))


def _changes(body: bytes) -> List[Tuple[str, Dict[str, Any]]]:
    """Each change with its path. Raises ConfigError."""
    if not body.strip():
        raise ConfigError([Problem("", f"{SOURCE} is empty: expected a change", "send it as application/json")])
    value = parse(body, SOURCE)
    listed = [(f"[{index}]", one) for index, one in enumerate(value)] if isinstance(value, list) else [("", value)]
    for path, one in listed:
        if not isinstance(one, dict):
            raise ConfigError([Problem(path or SOURCE, f"expected an object with a change, found {found(one)}")])
    return listed


def _prepared(
    points: List[FaultPoint], changes: List[Tuple[str, Dict[str, Any]]]
) -> Dict[FaultPoint, PreparedChange]:
    """What will be of each filter that is changed. Raises ConfigError."""
    problems: List[Problem] = []
    names = {point.name for point in points}
    for path, change in changes:
        name = change.get("name")
        if name is not None and (not isinstance(name, str) or name not in names):
            hint = did_you_mean(name, names) if isinstance(name, str) else ""
            problems.append(Problem(join(path, "name"), f"there is no fault filter {found(name)}", hint))
    if problems:
        raise ConfigError(problems)
    prepared: Dict[FaultPoint, PreparedChange] = {}
    for point in points:
        mine = [(path, change) for path, change in changes if change.get("name", point.name) == point.name]
        if not mine:
            continue
        try:
            prepared[point] = point.prepare(mine)
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError(problems)
    return prepared


def _obey(host: AdminHost, prepared: Dict[FaultPoint, PreparedChange]) -> None:
    """Have the listeners refuse, or not, as it will be: all of them, or none. Raises BindError."""
    def will_be_enabled(point: FaultPoint) -> bool:
        return prepared[point].enabled if point in prepared else point.enabled

    changed: List[Entry] = []
    try:
        for entry in host.listeners.lists.active.values():
            down = is_down([chain.factories for chain in entry.chains], will_be_enabled)
            if down != entry.listener.is_down:
                entry.listener.take_down(down)
                changed.append(entry)
    except BindError:
        for entry in changed:
            entry.listener.take_down(not entry.listener.is_down)
        raise
