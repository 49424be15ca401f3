"""A configuration made ready for a test: its own copy, an admin in any case, free ports where they are asked for."""

from __future__ import annotations

import copy
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Union

from ..config.json_text import parse_object
from ..config.load import read_file

Json = Dict[str, Any]
Config = Union[Mapping[str, Any], str, "os.PathLike[str]"]

LOOPBACK = "127.0.0.1"


def prepared(config: Config, free_ports: bool, port: Optional[int]) -> Json:
    """A bootstrap to run. config: one as JSON, or the path of its file. free_ports: every listener, the admin too, gets port 0.
    port: of the first listener. Raises ConfigError for a file that can't be read."""
    if isinstance(config, Mapping):
        raw: Json = copy.deepcopy(dict(config))
    else:
        path = os.fspath(config)
        raw = parse_object(read_file(path), path)
    raw.pop("$schema", None)
    listeners = _listeners(raw)
    if free_ports:
        for entry in (*listeners, raw.get("admin") or {}):
            _set_port(entry, 0)
    if port is not None:
        if not listeners:
            raise ValueError("there is no listener to give a port to")
        _set_port(listeners[0], port)
    raw.setdefault("admin", {"address": {"socket_address": {"address": LOOPBACK, "port_value": 0}}})
    return raw


def directory_of(config: Config) -> List[str]:
    """Where filters of one's own lie beside a configuration file: a list of at most one directory."""
    return [] if isinstance(config, Mapping) else [os.path.dirname(os.path.abspath(os.fspath(config)))]


def to_text(raw: Json) -> str:
    """For a file or a command line."""
    return json.dumps(raw)


def _field(message: Any, name: str) -> Any:
    """A field of a message in JSON, under its own name or in camelCase; None if there is none."""
    if not isinstance(message, dict):
        return None
    first, *rest = name.split("_")
    return message.get(name, message.get(first + "".join(word.capitalize() for word in rest)))


def _listeners(raw: Json) -> List[Json]:
    found = _field(_field(raw, "static_resources"), "listeners")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _set_port(entry: Json, port: int) -> None:
    """What has no port, a Unix socket, is left alone."""
    address = _field(_field(entry, "address"), "socket_address")
    if isinstance(address, dict):
        address.pop("portValue", None)
        address["port_value"] = port
