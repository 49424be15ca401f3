"""Which messages an `Any` may hold: `TypeRegistry`, filled by the program's composition root, passed to
`decode`.

Three answers for a type that is not registered: Envoy has it and this package does not yet; it looks like a
registered one; or nobody knows it. A "python:module.Class" type goes to the resolver given at construction,
so that the configuration can name a filter of the user's own.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Iterable, List, Optional, Type

from .context import Context, Json, Wrong, did_you_mean, found
from .decode import decode_message
from .descriptor import Message, message
from .envoy_types import ENVOY_TYPES
from .nested import PYTHON_PREFIX, TYPE_KEY, TYPE_PREFIX

PythonResolver = Callable[[str], Any]


@message("python.Config")
@dataclasses.dataclass(eq=False, repr=False)  # `Message` compares the attributes below, which are no fields
class PythonConfig(Message):
    """The content of an `Any` with a "python:" type: `target` from the resolver, `config` = the rest."""

    def __post_init__(self) -> None:
        self.target: Any = None
        self.config: Dict[str, Any] = {}

    def to_json(self) -> Dict[str, Json]:
        """The user's own keys, as they were written."""
        return self.config


class TypeRegistry:
    """Type names to message classes. One per server; extensions are added before any file is read."""

    def __init__(
        self, classes: Iterable[Type[Message]] = (), python: Optional[PythonResolver] = None
    ) -> None:
        """`python` takes the text behind "python:"; it returns what to call, or raises ValueError."""
        self._classes: Dict[str, Type[Message]] = {}
        self._python = python
        for message_class in classes:
            self.add(message_class)

    def add(self, message_class: Type[Message]) -> None:
        """Let `@type` name this class. Two classes for one name are a bug of the caller."""
        name = message_class.DESCRIPTOR.full_name
        if self._classes.setdefault(name, message_class) is not message_class:
            raise ValueError(f"two message classes are registered for {name}")

    def classes(self) -> List[Type[Message]]:
        """All registered classes, in the order they were added."""
        return list(self._classes.values())

    def resolve(self, type_url: str) -> Type[Message]:
        """The class that a type URL names. Raises `Wrong` saying why there is none."""
        host, slash, name = type_url.rpartition("/")
        if not slash or not host:
            hint = f'write "{TYPE_PREFIX}{type_url}"' if type_url in self._classes else ""
            rule = f"`{TYPE_KEY}` must contain at least one / and a nonempty host"
            raise Wrong(f"{rule}, found {found(type_url)}", hint)
        if name in self._classes:
            return self._classes[name]
        if name in ENVOY_TYPES:
            raise Wrong(f"'{name}' is a type of Envoy's that is not supported by proxy_core yet")
        raise Wrong(f"could not find {TYPE_KEY} '{type_url}'", self._nearest(name))

    def decode_any(self, type_url: str, body: Json, path: str, context: Context) -> Message:
        """The content of an `Any`; `body` = its JSON without `@type`. Raises `Wrong` for a bad type."""
        if not type_url.startswith(PYTHON_PREFIX):
            return decode_message(self.resolve(type_url), body, path, context)
        if self._python is None:
            raise Wrong(f"'{type_url}': no filters of one's own can be loaded here")
        result = PythonConfig()
        try:
            result.target = self._python(type_url[len(PYTHON_PREFIX):])
        except ValueError as error:
            raise Wrong(f"'{type_url}': {error}") from error
        result.config = dict(body)
        return result

    def _nearest(self, name: str) -> str:
        """Hint by the last word first: people mistype the name more often than the package."""
        by_word = {known.rpartition(".")[2]: known for known in self._classes}
        word = name.rpartition(".")[2]
        if word in by_word:
            return f"did you mean `{TYPE_PREFIX}{by_word[word]}`?"
        hint = did_you_mean(name, self._classes) or did_you_mean(name, ENVOY_TYPES)
        return hint.replace("`", f"`{TYPE_PREFIX}", 1)
