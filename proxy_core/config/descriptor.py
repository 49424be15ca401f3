"""What is known of one message: its fields, Envoy's other fields, and its choices (oneofs).

A message is a dataclass that inherits `Message` and is decorated with `@message(...)`, which puts a
`Descriptor` on the class itself; there is no global table. Decoding, dump, schema and the walk over a decoded
tree all read it.
"""

from __future__ import annotations

import dataclasses
from typing import (
    Any, Callable, ClassVar, Dict, Iterator, List, Optional, Sequence, Tuple, Type, TypeVar, cast,
)

from .context import Json, Wrong, join
from .kinds import Kind

T = TypeVar("T")
M = TypeVar("M", bound="Message")

PLAIN = "plain"  # proto3 scalar: unset and zero are the same
OPTIONAL = "optional"  # message, wrapper, duration or member of a choice: None = unset
REPEATED = "repeated"
MAP = "map"

_METADATA_KEY = "proxy_core.field"


@dataclasses.dataclass
class FieldSpec:
    """One field: `kind` is the kind of one value, `label` how many there are. `oneof` = the choice it belongs
    to.

    refers_to: what the value names ("cluster"), so that a reference to nothing can be reported.
    """

    name: str
    kind: Kind[Any]
    label: str
    oneof: str = ""
    required: bool = False
    min_items: int = 0
    max_items: Optional[int] = None
    deprecated: bool = False
    refers_to: str = ""
    help: str = ""

    @property
    def is_required(self) -> bool:
        """Whether leaving the field out is a mistake (a choice asks for one of its members by itself)."""
        if self.label == PLAIN:
            try:
                self.kind.constrain(self.kind.zero())
            except Wrong:
                return True
        return self.required or (self.label == REPEATED and self.min_items > 0)

    def is_set(self, value: Any) -> bool:
        """Whether this value would be printed: not None, not zero, not empty."""
        if self.label == OPTIONAL:
            return value is not None
        if self.label == PLAIN:
            return bool(value != self.kind.zero())
        return bool(value)

    def items(self, value: Any, path: str) -> Iterator[Tuple[str, Any]]:
        """Each single value in the field's value, with its path."""
        if self.label == REPEATED:
            for index, item in enumerate(value):
                yield f"{path}[{index}]", item
        elif self.label == MAP:
            for key, item in value.items():
                yield f'{path}["{key}"]', item
        elif self.is_set(value):
            yield path, value


class Descriptor:
    """The shape of a message class. `short_name` is the name without its package ("Cluster.RefreshRate")."""

    def __init__(
        self,
        full_name: str,
        fields: Sequence[FieldSpec],
        unsupported: Sequence[str],
        required_oneofs: Sequence[str],
    ) -> None:
        self.full_name = full_name
        package, _, rest = full_name.rpartition(".v3.")
        self.short_name = rest if package else full_name.rpartition(".")[2]
        self.fields = {spec.name: spec for spec in fields}
        self.unsupported = tuple(unsupported)
        self.oneofs: Dict[str, List[str]] = {}
        for spec in fields:
            if spec.oneof:
                self.oneofs.setdefault(spec.oneof, []).append(spec.name)
        self.required_oneofs = tuple(required_oneofs)
        self._names = {form: name for name in self.known_names() for form in (name, camel_case(name))}
        self._check()

    def _check(self) -> None:
        both = set(self.fields) & set(self.unsupported)
        if both or set(self.required_oneofs) - set(self.oneofs):
            raise TypeError(f"{self.full_name}: {sorted(both)} declared twice, or a required choice is empty")
        for spec in self.fields.values():
            if spec.oneof and spec.label != OPTIONAL:
                raise TypeError(f"{self.full_name}.{spec.name}: a oneof's member is declared with optional()")

    def canonical(self, written: str) -> str:
        """Envoy's name of a field written in either spelling, or "" if Envoy's message has no such field."""
        return self._names.get(written, "")

    def known_names(self) -> List[str]:
        """All of Envoy's field names, those that work here first."""
        return [*self.fields, *self.unsupported]


class Report:
    """Where a message's own `check` puts its problems.

    A problem that rests on a field that could not be read is dropped: it would be an echo of the first one.
    """

    def __init__(self, path: str, broken: Sequence[str], problem: Callable[[str, str, str], None]) -> None:
        self._path = path
        self._broken = frozenset(broken)
        self._problem = problem

    def __call__(self, field: str, message: str, hint: str = "", uses: Sequence[str] = ()) -> None:
        """Report a problem at `field`; "" = the message itself, "layers[1].name" is fine.

        uses: the other fields that the rule reads.
        """
        roots = {name.partition("[")[0].partition(".")[0] for name in (field, *uses)}
        if not roots & self._broken:
            self._problem(join(self._path, field) if field else self._path, message, hint)


class Message:
    """Base of every configuration message. Instances are plain data; `None`, zero and empty mean unset.

    Equality and repr are here, once, and not made by each dataclass (`eq=False, repr=False`): generating them for eighty
    messages was 12 of the 100 ms that a start spends on imports.
    """

    DESCRIPTOR: ClassVar[Descriptor]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __repr__(self) -> str:
        found = [(name, getattr(self, name)) for name in self.DESCRIPTOR.fields]
        shown = ", ".join(f"{name}={value!r}" for name, value in found if self.DESCRIPTOR.fields[name].is_set(value))
        return f"{type(self).__name__}({shown})"

    def check(self, report: Report) -> None:
        """Rules that one field alone can't tell. Called after decoding; the default has none."""

    def to_json(self) -> Dict[str, Json]:
        """The JSON object that decodes to this: Envoy's names in declaration order, only what was set."""
        result: Dict[str, Json] = {}
        for spec in self.DESCRIPTOR.fields.values():
            value = getattr(self, spec.name)
            if not spec.is_set(value):
                continue
            if spec.label == MAP:
                result[spec.name] = {key: spec.kind.dump(item) for key, item in value.items()}
            elif spec.label == REPEATED:
                result[spec.name] = [spec.kind.dump(item) for item in value]
            else:
                result[spec.name] = spec.kind.dump(value)
        return result


def message(
    full_name: str, unsupported: Sequence[str] = (), required_oneofs: Sequence[str] = ()
) -> Callable[[Type[M]], Type[M]]:
    """Class decorator, above `@dataclass`: describes the message by its dataclass fields.

    full_name: the name of Envoy's message ("envoy.config.listener.v3.Listener").
    unsupported: fields that Envoy's message has and this package does not support.
    required_oneofs: choices of which exactly one member must be set.
    """

    def describe(cls: Type[M]) -> Type[M]:
        specs = []
        for item in dataclasses.fields(cast(Any, cls)):
            spec = item.metadata.get(_METADATA_KEY)
            if not isinstance(spec, FieldSpec):
                raise TypeError(f"{full_name}.{item.name}: declare it with plain/optional/repeated/mapping")
            specs.append(dataclasses.replace(spec, name=item.name))
        cls.DESCRIPTOR = Descriptor(full_name, specs, unsupported, required_oneofs)
        return cls

    return describe


@message("google.protobuf.Empty")
@dataclasses.dataclass
class Empty(Message):
    """A message without fields; also what stands for an `Any` that could not be read."""


def plain(kind: Kind[T], *, help: str = "", deprecated: bool = False, refers_to: str = "") -> T:
    """A proto3 scalar: unset is the same as zero, so a kind that refuses zero makes the field required."""
    spec = FieldSpec("", kind, PLAIN, deprecated=deprecated, refers_to=refers_to, help=help)
    return dataclasses.field(default=kind.zero(), metadata={_METADATA_KEY: spec})


def optional(
    kind: Kind[T],
    *,
    oneof: str = "",
    required: bool = False,
    help: str = "",
    deprecated: bool = False,
    refers_to: str = "",
) -> Optional[T]:
    """A message, a wrapper (UInt32Value ...), a duration, or a member of the choice `oneof`: None = unset."""
    spec = FieldSpec(
        "", kind, OPTIONAL, oneof, required, deprecated=deprecated, refers_to=refers_to, help=help
    )
    return cast(Optional[T], dataclasses.field(default=None, metadata={_METADATA_KEY: spec}))


def repeated(
    kind: Kind[T],
    *,
    min_items: int = 0,
    max_items: Optional[int] = None,
    help: str = "",
    deprecated: bool = False,
    refers_to: str = "",
) -> List[T]:
    """A list of values; unset = empty."""
    spec = FieldSpec(
        "", kind, REPEATED, min_items=min_items, max_items=max_items, deprecated=deprecated,
        refers_to=refers_to, help=help,
    )
    return cast(List[T], dataclasses.field(default_factory=list, metadata={_METADATA_KEY: spec}))


def mapping(kind: Kind[T], *, help: str = "") -> Dict[str, T]:
    """A map from non-empty strings to values; unset = empty."""
    spec = FieldSpec("", kind, MAP, help=help)
    return cast(Dict[str, T], dataclasses.field(default_factory=dict, metadata={_METADATA_KEY: spec}))


def walk(root: Message, path: str = "") -> Iterator[Tuple[str, FieldSpec, Any]]:
    """Every single value set in a message and all messages inside it, in order: (path, field, value)."""
    for spec in root.DESCRIPTOR.fields.values():
        for where, value in spec.items(getattr(root, spec.name), join(path, spec.name)):
            yield where, spec, value
            inner = spec.kind.inside(value)
            if inner is not None:
                yield from walk(inner, where)


def camel_case(name: str) -> str:
    """protobuf's lowerCamelCase spelling of a field name."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
