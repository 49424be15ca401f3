"""The inline configuration laid over the file's: protobuf's MergeFrom, done on JSON before anything is
decoded.

As Envoy does for --config-yaml: messages are merged field by field, lists are appended, map entries and
single values replaced, the other member of a choice (oneof) unset. A scalar without presence that is zero
counts as unset and so can't override. What does not fit its field is passed on unmerged: decoding will say
what is wrong with it.
"""

from __future__ import annotations

from typing import Any, Dict, Type

from .context import Json, Wrong
from .descriptor import MAP, PLAIN, REPEATED, Descriptor, FieldSpec, Message


def merge(message_class: Type[Message], base: Dict[str, Json], over: Dict[str, Json]) -> Dict[str, Json]:
    """The JSON of a message with `over` merged into `base`; neither is changed."""
    descriptor = message_class.DESCRIPTOR
    result = dict(base)
    written = {descriptor.canonical(key): key for key in base if descriptor.canonical(key)}
    for key, item in over.items():
        name = descriptor.canonical(key)
        spec = descriptor.fields.get(name)
        old_key = written.get(name, key)
        if spec is None:
            if item is not None:
                result[old_key if name else key] = item
        elif item is not None and not _is_unset(spec, item):
            _unset_others(descriptor, spec, written, result)
            result[old_key] = _merged(spec, result.get(old_key), item)
    return result


def _merged(spec: FieldSpec, old: Json, new: Json) -> Json:
    inner = spec.kind.child()
    if old is None:
        return new
    if spec.label == REPEATED:
        if isinstance(old, list) and isinstance(new, list):
            return [*old, *new]
        return old if not isinstance(old, list) else new  # keep the wrong one: it is to be reported
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    if spec.label == MAP:
        return {**old, **new}
    if inner is not None:
        return merge(inner, old, new)
    # A Struct is a map of its top-level keys; an Any, like a scalar, is replaced whole.
    return {**old, **new} if spec.kind.is_open_map else new


def _is_unset(spec: FieldSpec, item: Json) -> bool:
    """Whether MergeFrom would skip the value: a plain scalar that is zero."""
    if spec.label != PLAIN:
        return False
    try:
        return bool(spec.kind.decode(item, "", _NO_CONTEXT) == spec.kind.zero())
    except Wrong:
        return False


def _unset_others(
    descriptor: Descriptor, spec: FieldSpec, written: Dict[str, str], result: Dict[str, Json]
) -> None:
    for member in descriptor.oneofs.get(spec.oneof, []):
        if member != spec.name and member in written:
            result.pop(written[member], None)


_NO_CONTEXT: Any = None  # plain kinds never use it
