"""Messages back to JSON, for the admin's /config_dump: names as in the .proto files, only what was set.

Durations are "5s", enums names, 64-bit numbers strings, an `Any` its fields with `@type`, as Envoy prints
them. What comes out decodes to the same message again.
"""

from __future__ import annotations

from typing import Any, Dict

from .descriptor import Message
from .nested import TYPE_KEY, TYPE_PREFIX


def dump(message: Message) -> Dict[str, Any]:
    """The JSON object of a message."""
    return message.to_json()


def dump_any(message: Message) -> Dict[str, Any]:
    """The JSON object of a message inside an `Any`: with its `@type` in front."""
    return {TYPE_KEY: TYPE_PREFIX + message.DESCRIPTOR.full_name, **message.to_json()}
