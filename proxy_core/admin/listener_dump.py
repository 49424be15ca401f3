"""The ListenersConfigDump of /config_dump: which listeners there are, where they come from, and what was
refused. Mirrors `ListenerManagerImpl::dumpListenerConfigs`.

A dynamic listener has up to four states: `active_state`, `warming_state`, `draining_state` (of what it was
before) and `error_state` (what the last update wanted of it and could not have). What was wrong with the last
update as a whole stands at the end, without a name.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ..config.dump import dump_any
from ..listener.lists import Entry, Origin
from ..listener.manager import Failure, ListenerManager
from .api import timestamp

Tree = Dict[str, Any]


def listeners_dump(manager: ListenerManager, is_wanted: Callable[[str], bool]) -> Tree:
    """The section's fields, empty ones left out. is_wanted: whether a listener of that name is asked for."""
    tree = {
        "version_info": manager.version_info,
        "static_listeners": [
            _state(entry) for entry in manager.lists.active.values()
            if entry.origin is Origin.STATIC and is_wanted(entry.name)
        ],
        "dynamic_listeners": _dynamic(manager, is_wanted),
    }
    return {name: value for name, value in tree.items() if value}


def _dynamic(manager: ListenerManager, is_wanted: Callable[[str], bool]) -> List[Tree]:
    found: Dict[str, Tree] = {}

    def note(name: str, field: str, value: Tree) -> None:
        if is_wanted(name):
            found.setdefault(name, {"name": name})[field] = value

    for entry in manager.lists.active.values():
        if entry.origin is not Origin.STATIC:
            note(entry.name, "active_state", _state(entry))
    for entry in manager.lists.warming:
        note(entry.name, "warming_state", _state(entry))
    for entry in manager.lists.draining:
        note(entry.name, "draining_state", _state(entry))
    for failure in manager.failures:
        note(failure.name, "error_state", _error(failure))
    overall = [failure for failure in manager.update_failures if is_wanted(failure.name)]
    return [*found.values(), *({"error_state": _overall_error(failure)} for failure in overall)]


def _state(entry: Entry) -> Tree:
    state = {"version_info": entry.version_info} if entry.version_info else {}
    return {**state, "listener": dump_any(entry.config), "last_updated": timestamp(entry.updated_at)}


def _error(failure: Failure) -> Tree:
    return {
        "failed_configuration": failure.raw,
        "last_update_attempt": timestamp(failure.at),
        "details": failure.details,
    }


def _overall_error(failure: Failure) -> Tree:
    return {"failed_configuration": failure.raw, "details": failure.details}
