"""The two kinds that hold messages: `Nested` (a message of a known class) and `AnyOf` (a message named by
`@type`).

An `Any` in JSON is an object with the message's fields and its `@type`; it is decoded to an `AnyValue`.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Generic, Optional, Type, TypeVar, cast

from .context import Context, Json, Wrong, found
from .decode import decode_message
from .descriptor import Empty, Message
from .kinds import Definitions, Kind, Schema

M = TypeVar("M", bound=Message)

TYPE_KEY = "@type"
TYPE_PREFIX = "type.googleapis.com/"
PYTHON_PREFIX = "python:"


@dataclasses.dataclass
class AnyValue:
    """A decoded google.protobuf.Any. `type_url` as written; `message` its content."""

    type_url: str
    message: Message

    @property
    def type_name(self) -> str:
        """The full message name ("envoy.extensions...Echo"), or the whole text for "python:..."."""
        return self.type_url if self.type_url.startswith(PYTHON_PREFIX) else self.type_url.rpartition("/")[2]


class Nested(Kind[M], Generic[M]):
    """A message of one class."""

    def __init__(self, message_class: Type[M]) -> None:
        self._class: Callable[[], Type[M]] = lambda: message_class
        self.noun = f"an object ({message_class.DESCRIPTOR.short_name})"

    @classmethod
    def later(cls, message_class: Callable[[], Type[M]]) -> Nested[M]:
        """For a class that is not declared yet: `Nested.later(lambda: AndFilter)`."""
        kind = cls.__new__(cls)
        kind._class = message_class
        kind.noun = "an object"
        return kind

    def decode(self, value: Json, path: str, context: Context) -> M:
        return decode_message(self._class(), value, path, context)

    def placeholder(self) -> M:
        return self._class()()

    def dump(self, value: M) -> Json:
        return value.to_json()

    def inside(self, value: M) -> Message:
        return value

    def schema(self, definitions: Definitions) -> Schema:
        return definitions.reference(self._class())

    def child(self) -> Optional[Type[M]]:
        return self._class()


class AnyOf(Kind[AnyValue]):
    """A message whose class is named by its `@type`, found through the run's type registry."""

    noun = "an object with `@type`"

    def decode(self, value: Json, path: str, context: Context) -> AnyValue:
        if not isinstance(value, dict):
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        type_url = value.get(TYPE_KEY)
        if type_url is None:
            hint = f'write "{TYPE_KEY}": "{TYPE_PREFIX}<message name>"'
            context.problem(f"{path}.{TYPE_KEY}", f"`{TYPE_KEY}` is required", hint)
            return AnyValue("", Empty())
        if not isinstance(type_url, str):
            context.problem(f"{path}.{TYPE_KEY}", f"expected a string, found {found(type_url)}")
            return AnyValue("", Empty())
        body = {key: item for key, item in value.items() if key != TYPE_KEY}
        try:
            return AnyValue(type_url, cast(Message, context.types.decode_any(type_url, body, path, context)))
        except Wrong as wrong:
            context.problem(f"{path}.{TYPE_KEY}", wrong.message, wrong.hint)
            return AnyValue(type_url, Empty())

    def placeholder(self) -> AnyValue:
        return AnyValue("", Empty())

    def dump(self, value: AnyValue) -> Json:
        return {TYPE_KEY: value.type_url, **value.message.to_json()}

    def inside(self, value: AnyValue) -> Message:
        return value.message

    def schema(self, definitions: Definitions) -> Schema:
        return definitions.any_reference()
