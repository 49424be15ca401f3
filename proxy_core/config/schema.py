"""JSON Schema (draft 2020-12) of a message and all it holds, from the same declarations that decode it.

Each message is one entry of `$defs` under its full name, so that recursive messages refer to themselves; an
`Any` is a choice of all registered types, told apart by `@type`. Only Envoy's snake_case names are described
(the decoder also takes lowerCamelCase and null), and rules between fields other than choices are left to the
decoder.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Dict, List, Type

from .descriptor import MAP, REPEATED, Descriptor, FieldSpec, Message
from .kinds import Schema
from .nested import PYTHON_PREFIX, TYPE_KEY, TYPE_PREFIX
from .registry import TypeRegistry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANY = "google.protobuf.Any"
_TYPED = "any:"  # prefix of the definitions that have `@type`


def schema(message_class: Type[Message], registry: TypeRegistry) -> Dict[str, Any]:
    """A self-contained schema document of one message class; `registry` = what an `Any` may hold.

    At the top level a `$schema` key is allowed, so that a configuration can name its schema for editors.
    """
    definitions = _SchemaDefinitions(registry)
    body = definitions.body(message_class)
    body["properties"] = {"$schema": {"type": "string"}, **body["properties"]}
    definitions.finish()
    title = message_class.DESCRIPTOR.full_name
    return {"$schema": DIALECT, "title": title, **body, "$defs": definitions.entries}


class _SchemaDefinitions:
    """The `$defs` of one document. Messages met on the way are queued, not recursed into."""

    def __init__(self, registry: TypeRegistry) -> None:
        self.entries: Dict[str, Any] = {}
        self._registry = registry
        self._queue: List[Type[Message]] = []

    def reference(self, message_class: Any) -> Schema:
        name = message_class.DESCRIPTOR.full_name
        if name not in self.entries:
            self.entries[name] = {}
            self._queue.append(message_class)
        return {"$ref": f"#/$defs/{name}"}

    def any_reference(self) -> Schema:
        if _ANY not in self.entries:
            self.entries[_ANY] = {}
            choices: List[Schema] = [self._typed(message_class) for message_class in self._registry.classes()]
            own = {TYPE_KEY: {"type": "string", "pattern": f"^{PYTHON_PREFIX}"}}
            choices.append({"type": "object", "properties": own, "required": [TYPE_KEY]})
            self.entries[_ANY] = {"type": "object", "required": [TYPE_KEY], "anyOf": choices}
        return {"$ref": f"#/$defs/{_ANY}"}

    def body(self, message_class: Type[Message]) -> Schema:
        """The schema of one message, without the definitions it refers to."""
        descriptor = message_class.DESCRIPTOR
        result: Schema = {"type": "object", "description": (message_class.__doc__ or "").strip()}
        result["properties"] = {name: self._field(spec) for name, spec in descriptor.fields.items()}
        required = [spec.name for spec in descriptor.fields.values() if spec.is_required]
        result.update({"required": required} if required else {})
        choices = [rule for group in descriptor.oneofs for rule in _choice(descriptor, group)]
        result.update({"allOf": choices} if choices else {})
        result["additionalProperties"] = False
        return result

    def finish(self) -> None:
        """Describe what is queued, and what that brings in."""
        while self._queue:
            message_class = self._queue.pop(0)
            self.entries[message_class.DESCRIPTOR.full_name] = self.body(message_class)

    def _typed(self, message_class: Type[Message]) -> Schema:
        """A message with its `@type`: an entry of its own, as the plain one allows no more keys."""
        name = message_class.DESCRIPTOR.full_name
        body = self.body(message_class)
        pattern = f"^.+/{name.replace('.', '[.]')}$"
        type_url = {"type": "string", "pattern": pattern, "examples": [TYPE_PREFIX + name]}
        body["properties"] = {TYPE_KEY: type_url, **body["properties"]}
        body["required"] = [TYPE_KEY, *body.get("required", [])]
        self.entries[_TYPED + name] = body
        return {"$ref": f"#/$defs/{_TYPED}{name}"}

    def _field(self, spec: FieldSpec) -> Schema:
        one = spec.kind.schema(self)
        if spec.label == REPEATED:
            one = {"type": "array", "items": one}
            one.update({"minItems": spec.min_items} if spec.min_items else {})
            one.update({"maxItems": spec.max_items} if spec.max_items is not None else {})
        elif spec.label == MAP:
            one = {"type": "object", "additionalProperties": one, "propertyNames": {"minLength": 1}}
        words = [text for text in (spec.help, one.get("description", "")) if text]
        one.update({"description": " ".join(words)} if words else {})
        one.update({"deprecated": True} if spec.deprecated else {})
        return one


def _choice(descriptor: Descriptor, group: str) -> List[Schema]:
    members = descriptor.oneofs[group]
    if group in descriptor.required_oneofs:
        return [{"oneOf": [{"required": [member]} for member in members]}]
    return [{"not": {"required": [first, second]}} for first, second in combinations(members, 2)]
