"""Messages back to JSON, for the admin's /config_dump: names as in the .proto files, only what was set.

Durations are "5s", enums names, 64-bit numbers strings, an `Any` its fields with `@type`, as Envoy prints
them. What comes out decodes to the same message again.
"""

from __future__ import annotations

import base64
from typing import Any, Dict, Final

from .descriptor import Message
from .nested import TYPE_KEY, TYPE_PREFIX


# Fields that Envoy's .proto files mark as sensitive, of those that there are here.
_SENSITIVE: Final = frozenset({"private_key", "password"})
_REDACTED: Final = "[redacted]"


def dump(message: Message) -> Dict[str, Any]:
    """The JSON object of a message."""
    return message.to_json()


def dump_any(message: Message) -> Dict[str, Any]:
    """The JSON object of a message inside an `Any`: with its `@type` in front."""
    return {TYPE_KEY: TYPE_PREFIX + message.DESCRIPTOR.full_name, **message.to_json()}


def redacted(value: Any) -> Any:
    """A dump without what is private: keys and passwords, and the names of their files, read "[redacted]" as in Envoy."""
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if isinstance(value, dict):
        return {key: _hidden(item) if key in _SENSITIVE else redacted(item) for key, item in value.items()}
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):  # a DataSource
        inline = base64.b64encode(_REDACTED.encode()).decode()
        return {key: inline if key == "inline_bytes" else _REDACTED for key in value}
    return _REDACTED
