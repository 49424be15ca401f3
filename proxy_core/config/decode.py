"""JSON objects become messages: every field read by its kind, every mistake noted with its path, none
skipped.

`decode` is the way in for a whole tree; `decode_message` is what nested kinds call for the messages inside.
Mirrors protobuf's JSON parser followed by Envoy's `MessageUtil::validate` (protoc-gen-validate's rules and
unknown fields), but goes on after a mistake.
"""

from __future__ import annotations

from typing import Any, Dict, List, Set, Type, TypeVar

from ..errors import ConfigError
from .context import Context, Json, TypeResolver, Wrong, found, join, nearest
from .descriptor import MAP, OPTIONAL, PLAIN, REPEATED, Descriptor, FieldSpec, Message, Report

M = TypeVar("M", bound=Message)


def decode(
    message_class: Type[M], value: Json, types: TypeResolver, path: str = "", allow_unknown: bool = False
) -> M:
    """Read one message from parsed JSON (as `json_text.parse` returns it).

    types: what `@type` may name. path: prefix of all paths in problems. allow_unknown: unknown fields are
    skipped. Raises `ConfigError` with every problem found.
    """
    context = Context(types, allow_unknown)
    result = decode_into(message_class, value, path, context)
    if context.problems:
        raise ConfigError(context.problems)
    return result


def decode_into(message_class: Type[M], value: Json, path: str, context: Context) -> M:
    """As `decode`, but leaves the problems in `context` and returns what could be read."""
    try:
        return decode_message(message_class, value, path, context)
    except Wrong as wrong:
        context.problem(path, wrong.message, wrong.hint)
        return message_class()


def decode_message(message_class: Type[M], value: Json, path: str, context: Context) -> M:
    """The message in `value`. Raises `Wrong` only if `value` is no object; the rest goes to `context`."""
    if not isinstance(value, dict):
        raise Wrong(f"expected an object ({message_class.DESCRIPTOR.short_name}), found {found(value)}")
    reading = _Reading(message_class.DESCRIPTOR, path, context)
    for key, item in value.items():
        reading.field(key, item)
    reading.finish()
    result = message_class(**reading.values)
    result.check(Report(path, sorted(reading.broken), context.problem))
    return result


class _Reading:
    """One message while its fields are read, in file order."""

    def __init__(self, descriptor: Descriptor, path: str, context: Context) -> None:
        self.descriptor = descriptor
        self.path = path
        self.context = context
        self.values: Dict[str, Any] = {}
        self.broken: Set[str] = set()  # fields that had a problem, or that were refused
        self._written: Dict[str, str] = {}  # field -> the spelling used
        self._chosen: Dict[str, str] = {}  # choice -> the member set
        self._refused = False  # an unsupported field was used

    def field(self, key: str, item: Json) -> None:
        """Read one key of the object."""
        name = self.descriptor.canonical(key)
        if not name:
            self._unknown(key)
        elif name in self._written:
            self._fail(name, f"`{name}` is given twice, as `{self._written[name]}` and as `{key}`")
        elif name not in self.descriptor.fields:
            self._written[name] = key
            self._unsupported(name, item)
        else:
            self._written[name] = key
            if item is not None:  # null = unset
                self._known(self.descriptor.fields[name], item)

    def finish(self) -> None:
        """Look for what is missing."""
        for spec in self.descriptor.fields.values():
            if spec.name not in self.values and spec.name not in self.broken:
                self._missing(spec)
        for group in self.descriptor.required_oneofs:
            members = self.descriptor.oneofs[group]
            if group not in self._chosen and not self._refused and not self.broken.intersection(members):
                one_of = f"exactly one of {', '.join(members)}" if len(members) > 1 else f"`{members[0]}`"
                self.context.problem(self.path, f"{one_of} is required")

    def _known(self, spec: FieldSpec, item: Json) -> None:
        path = join(self.path, spec.name)
        if spec.oneof and self._chosen.setdefault(spec.oneof, spec.name) != spec.name:
            members = ", ".join(self.descriptor.oneofs[spec.oneof])
            other = self._chosen[spec.oneof]
            self._fail(spec.name, f"`{other}` is set already: at most one of {members} may be set")
            return
        before = len(self.context.problems)
        try:
            self.values[spec.name] = _read(spec, item, path, self.context)
        except Wrong as wrong:
            self.context.problem(path, wrong.message, wrong.hint)
        if len(self.context.problems) > before:
            self.broken.add(spec.name)
        elif spec.deprecated and spec.is_set(self.values[spec.name]):
            full_name = f"{self.descriptor.full_name}.{spec.name}"
            self.context.warning(path, f"Using deprecated option '{full_name}'")

    def _unknown(self, key: str) -> None:
        path = join(self.path, key)
        if self.context.allow_unknown:
            self.context.warning(path, f"unknown field `{key}` is ignored")
            return
        close = nearest(key, self.descriptor.known_names())
        hint = f"did you mean `{close}`?" if close else ""
        if close:  # then it is not missing as well
            self.broken.add(close)
            self.context.misspelt.append(join(self.path, close))
        for spec in self.descriptor.fields.values():
            inner = spec.kind.child()
            if inner is not None and inner.DESCRIPTOR.canonical(key):
                hint = hint or f"`{key}` is a field of `{spec.name}`"
        self.context.problem(path, f"unknown field `{key}`", hint)

    def _unsupported(self, name: str, item: Json) -> None:
        if item in (None, "", [], {}) or item is False or (isinstance(item, (int, float)) and item == 0):
            return  # the same as unset
        self._refused = True
        owner = f"Envoy's {self.descriptor.short_name}"
        self._fail(name, f"`{name}` is a field of {owner} that proxy_core does not support yet")

    def _missing(self, spec: FieldSpec) -> None:
        if spec.is_required:
            what = f"at least {spec.min_items} in the list" if spec.label == REPEATED else spec.kind.noun
            self._fail(spec.name, f"`{spec.name}` is required: expected {what}, and it is not set")

    def _fail(self, name: str, text: str) -> None:
        self.broken.add(name)
        self.context.problem(join(self.path, name), text)


def _read(spec: FieldSpec, item: Json, path: str, context: Context) -> Any:
    """The Python value of a whole field: one value, a list or a dict."""
    if spec.label in (PLAIN, OPTIONAL):
        return _one(spec, item, path, context)
    if spec.label == MAP:
        return _map(spec, item, path, context)
    if not isinstance(item, list):
        hint = "put it in [ ]" if isinstance(item, (dict, str)) else ""
        raise Wrong(f"expected a list, found {found(item)}", hint)
    result: List[Any] = []
    for index, element in enumerate(item):
        _append(spec, element, f"{path}[{index}]", context, result)
    if len(item) < spec.min_items:
        raise Wrong(f"expected at least {spec.min_items} in the list, found {len(item)}")
    if spec.max_items is not None and len(item) > spec.max_items:
        raise Wrong(f"expected at most {spec.max_items} in the list, found {len(item)}")
    return result


def _one(spec: FieldSpec, item: Json, path: str, context: Context) -> Any:
    value = spec.kind.decode(item, path, context)
    spec.kind.constrain(value)
    return value


def _append(spec: FieldSpec, element: Json, path: str, context: Context, result: List[Any]) -> None:
    """Read one element. A bad one keeps its place, so that the paths of those behind it stay right."""
    try:
        if element is None:
            raise Wrong(f"expected {spec.kind.noun}, found null")
        result.append(_one(spec, element, path, context))
    except Wrong as wrong:
        context.problem(path, wrong.message, wrong.hint)
        result.append(spec.kind.placeholder())


def _map(spec: FieldSpec, item: Json, path: str, context: Context) -> Dict[str, Any]:
    if not isinstance(item, dict):
        raise Wrong(f"expected an object with one entry per key, found {found(item)}")
    result: Dict[str, Any] = {}
    for key, element in item.items():
        where = f'{path}["{key}"]'
        try:
            if not key:
                raise Wrong("the key of an entry can't be empty")
            if element is None:
                raise Wrong(f"expected {spec.kind.noun}, found null")
            result[key] = _one(spec, element, where, context)
        except Wrong as wrong:
            context.problem(where, wrong.message, wrong.hint)
    return result
